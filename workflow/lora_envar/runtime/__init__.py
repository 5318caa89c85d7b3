"""How Snakemake's jobs run: what every script does around its work, warm starts, patches of Snakemake."""

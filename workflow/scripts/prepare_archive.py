"""Rule prepare_archive: a downloaded block as 69-channel states on the configured grid."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.archive.prepare import prepare
        from lora_envar.fields.grid import Grid
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import write_states

    grid = Grid.from_settings(snakemake.params.grid)
    times, parts = prepare(
        snakemake.input[0], grid, snakemake.params.grid.get("truncation"), tuple(snakemake.params.derive)
    )
    about = {"title": f"Archive of states, block {snakemake.wildcards.block}"} | described(snakemake)
    write_states(snakemake.output[0], parts, times, grid, about, compressed=True)

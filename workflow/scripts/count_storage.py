"""Rule count_storage: bytes that the configuration will download, write and keep."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.pretraining import size_of_vae
        from lora_envar.fields.grid import Grid
        from lora_envar.files.atomic import atomic_write
        from lora_envar.plan.storage import FLOAT, as_text, requirements

    config = snakemake.params.config
    grid = Grid.from_settings(config["error_grid"])
    truncation = config["error_grid"].get("truncation")
    weights = {name: FLOAT * size_of_vae(vae, grid, truncation) for name, vae in config["vaes"].items()}
    text = as_text(requirements(config, snakemake.params.counts, weights))
    with atomic_write(snakemake.output[0]) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")

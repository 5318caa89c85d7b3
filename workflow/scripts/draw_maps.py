"""Rule draw_maps: one cycle of the richest method as maps."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import numpy as np
        import pandas as pd
        from lora_envar.fields.timeline import parse
        from lora_envar.files.state_file import Archive, read_state
        from lora_envar.observations.table import read_observations
        from lora_envar.verification.figures import maps

    time = parse(snakemake.params.time)
    archive = Archive(snakemake.input.archive)
    table = read_observations(snakemake.input.observations)
    maps(
        snakemake.output,
        snakemake.params.experiment,
        time,
        archive.grid,
        archive.read(time),
        read_state(snakemake.input.background),
        read_state(snakemake.input.analysis),
        np.unique(np.stack([table.longitude, table.latitude], axis=1), axis=0),
        pd.read_csv(snakemake.input.coastline),
    )

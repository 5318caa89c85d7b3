"""Rule nature_run: a segment of the example's nature run, as T21 coefficients."""

from lora_envar.script import step

with step(snakemake):
    import numpy as np
    import torch
    from lora_envar.archive.nature import nature_run
    from lora_envar.archive.packed import write_coefficients

    blocks = list(nature_run(snakemake.params.start, snakemake.params.days, snakemake.params.step_hours))
    times = np.concatenate([times for times, _ in blocks])
    write_coefficients(snakemake.output[0], times, torch.cat([coefficients for _, coefficients in blocks]))

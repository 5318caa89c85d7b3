"""Rule nature_run: a segment of the example's nature run, as T21 coefficients."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import numpy as np
        import torch
        from lora_envar.example_world.nature import nature_run
        from lora_envar.example_world.packed import write_coefficients

    blocks = list(nature_run(snakemake.params.start, snakemake.params.days, snakemake.params.step_hours))
    times = np.concatenate([times for times, _ in blocks])
    write_coefficients(snakemake.output[0], times, torch.cat([coefficients for _, coefficients in blocks]))

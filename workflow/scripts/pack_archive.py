"""Rule pack_archive: an archive's coefficients, or those of a period of it, in the form that ships."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        import numpy as np
        from lora_envar.example_world.packed import read_coefficients, write_coefficients

    times, coefficients = read_coefficients(snakemake.input[0])
    period = snakemake.params.period
    first = np.datetime64(period.get("start", times[0]))
    last = np.datetime64(period.get("end", times[-1]))
    kept = (first <= times) & (times <= last)
    attributes = {"title": "SPEEDY nature run (jcm 3.0.0, T21L8), 69 channels as T21 coefficients"}
    write_coefficients(snakemake.output[0], times[kept], coefficients[kept], packed=True, attributes=attributes)

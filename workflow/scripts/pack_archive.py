"""Rule pack_archive: the archive's coefficients in the form that ships."""

from lora_envar.script import step

with step(snakemake):
    from lora_envar.archive.packed import read_coefficients, write_coefficients

    attributes = {"title": "SPEEDY nature run (jcm 3.0.0, T21L8), 69 channels as T21 coefficients"}
    write_coefficients(snakemake.output[0], *read_coefficients(snakemake.input[0]), packed=True, attributes=attributes)

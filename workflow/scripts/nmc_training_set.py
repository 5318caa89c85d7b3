"""Rule nmc_training_set: the blocks' forecast errors in one file, with their standard deviation."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.training_set import TrainingSet, write_samples
        from lora_envar.files.provenance import described

    blocks = [TrainingSet(path) for path in snakemake.input]
    samples = ((block.hours, block.read()) for block in blocks)
    write_samples(snakemake.output[0], samples, blocks[0].grid, described(snakemake))

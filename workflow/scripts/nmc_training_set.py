"""Rule nmc_training_set: the blocks' forecast errors in one file, with their standard deviation."""

from lora_envar.script import step

with step(snakemake):
    from lora_envar.background.training_set import TrainingSet, write_samples

    blocks = [TrainingSet(path) for path in snakemake.input]
    write_samples(snakemake.output[0], ((block.hours, block.read()) for block in blocks), blocks[0].grid)

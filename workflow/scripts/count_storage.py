"""Rule count_storage: bytes that the configuration will download, write and keep."""

from lora_envar.script import step

with step(snakemake):
    from lora_envar.files import whole
    from lora_envar.storage import in_words, requirements

    text = in_words(requirements(snakemake.params.config, snakemake.params.counts))
    with whole(snakemake.output[0]) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")

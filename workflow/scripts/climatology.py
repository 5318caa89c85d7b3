"""Rule climatology: mean and standard deviation of the archive over the NMC period."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.archive.prepare import climatology
        from lora_envar.fields.timeline import parse
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import Archive, write_states

    archive = Archive(snakemake.input)
    times = [parse(time) for time in snakemake.params.times]
    result = climatology(archive, times)
    write_states(
        snakemake.output[0],
        result.mean[None],
        times[:1],
        archive.grid,
        {"title": f"Climatology of {len(times)} states, {times[0]:%Y-%m-%dT%H} to {times[-1]:%Y-%m-%dT%H}"}
        | described(snakemake),
        {"anomaly_standard_deviation": result.deviation},
    )

"""Rule select_observations: the data of one day's analysis times, quality-controlled, thinned, and in part withheld."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.fields.timeline import hours_since_1970, parse
        from lora_envar.files.provenance import described
        from lora_envar.observations.quality import QualitySettings, select, summary
        from lora_envar.observations.reports import at_times, outside_of_windows
        from lora_envar.observations.table import concatenate, read_observations, write_observations

    network = snakemake.params.network
    decoded = concatenate([read_observations(path) for path in snakemake.input])
    times = [hours_since_1970(parse(time)) for time in snakemake.params.times]
    outside = outside_of_windows(decoded, times, network["half_window_hours"])
    table = at_times(decoded, times, network["half_window_hours"])
    table = select(table, QualitySettings(seed=network["seed"], **network["quality"]))
    print(summary(table, outside), flush=True)
    about = {"title": f"Checked reports of {snakemake.wildcards.day}", "seed": network["seed"]} | described(snakemake)
    write_observations(snakemake.output[0], table, about)

"""Rule simulate_observations: a simulated network's observations of one day's analysis times."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.example_world.networks.simulated import error_fractions
        from lora_envar.example_world.twin import STATE_VARIABLES, SimulatedNetwork, draw_columns, simulate
        from lora_envar.fields.timeline import parse
        from lora_envar.files.provenance import described
        from lora_envar.files.state_file import Archive, read_per_channel
        from lora_envar.observations.table import write_observations

    archive = Archive(snakemake.input.archive)
    network = snakemake.params.network
    errors = error_fractions(network) * read_per_channel(snakemake.input.climatology, "anomaly_standard_deviation")
    columns = draw_columns(archive.grid, network["columns"], network["arrangement"], network["seed"])
    simulated = SimulatedNetwork(
        columns,
        errors,
        network["noise"],
        network["seed"],
        tuple(network.get("types") or STATE_VARIABLES),
        network.get("relative_errors") or {},
    )
    table = simulate(archive.read, [parse(time) for time in snakemake.params.times], archive.grid, simulated)
    about = {"title": f"Simulated observations of {snakemake.wildcards.day}", "seed": network["seed"]} | described(
        snakemake
    )
    write_observations(snakemake.output[0], table, about)

"""Rule simulate_reports: what a network of stations reports of the archive at one time, as PrepBUFR."""

from lora_envar.runtime.step import step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.example_world.prepbufr_writer import write_prepbufr
        from lora_envar.example_world.report_network import ReportNetwork, read_places, simulate_reports
        from lora_envar.fields.timeline import parse
        from lora_envar.files.state_file import Archive
        from lora_envar.observations.error_table import ErrorTable
        from lora_envar.observations.reports import Orography

    archive = Archive(snakemake.input.archive)
    time = parse(snakemake.wildcards.time)
    network = ReportNetwork(
        read_places(snakemake.input.stations),
        Orography.read(snakemake.input.orography),
        ErrorTable(snakemake.input.error_table),
        snakemake.params.network["gross_error_share"],
        snakemake.params.network["seed"],
    )
    reports = simulate_reports(archive.read(time), archive.grid, time, network)
    write_prepbufr(snakemake.output[0], time, reports)

"""Rule judge_forecast_model: the forecast model beside persistence and climatology."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        import torch
        from lora_envar.fields.regridding import regridder
        from lora_envar.fields.timeline import parse
        from lora_envar.files.state_file import Archive, StateFile
        from lora_envar.files.tables import write_table
        from lora_envar.forecast import load_model
        from lora_envar.verification.gates import forecast_errors, refuse_worse_than_persistence

    archive = Archive(snakemake.input.archive)
    model = load_model(**snakemake.params.model, device=device())
    climatology = StateFile(snakemake.input.climatology)
    mean = regridder(climatology.grid, archive.grid)(torch.from_numpy(climatology.read())).numpy()
    errors = forecast_errors(model, archive, parse(snakemake.params.first), mean)
    refuse_worse_than_persistence(errors)
    write_table(snakemake.output[0], errors, digits=5)

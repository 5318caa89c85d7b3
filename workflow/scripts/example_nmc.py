"""Rule example_nmc: forecast errors of a nature run, as T21 coefficients."""

from lora_envar.runtime.step import device, step

with step(snakemake) as clock:
    with clock.imports():
        import torch
        from lora_envar.background.nmc import nmc_differences
        from lora_envar.example_world.nature import NATURE_GRID, NATURE_TRUNCATION
        from lora_envar.example_world.packed import read_coefficients, write_coefficients
        from lora_envar.fields.harmonics import SphericalHarmonics
        from lora_envar.forecast import forecasts
        from lora_envar.forecast.emulator import Emulator

    times, coefficients = read_coefficients(snakemake.input.segment)
    model = Emulator.load(snakemake.input.model, device())
    model.autocast = True
    harmonics = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION, device=device())
    tau = snakemake.params.tau_hours
    apart = snakemake.params.every_hours // model.step_hours
    starts = range(0, len(times) - 2 * tau // model.step_hours, apart)

    def from_nature_run(starts, leads):
        picked = [start // model.step_hours for start in starts]
        states = torch.stack([harmonics.synthesise(coefficients[index].to(device())) for index in picked])
        return forecasts(model, states, leads)

    differences = nmc_differences(
        from_nature_run,
        [start * model.step_hours for start in starts],
        tau,
        batch=16,
    )
    write_coefficients(snakemake.output[0], times[list(starts)], harmonics.analyse(differences).cpu())

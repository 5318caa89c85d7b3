"""Rule pretrain_vae: train the VAE on the forecast errors, from given weights or from scratch."""

from lora_envar.runtime.step import checkpoint_minutes, step

with step(snakemake) as clock:
    with clock.imports():
        from lora_envar.background.set_training import train_on_set
        from lora_envar.networks.launching import in_processes

    params = snakemake.params
    settings = params.vae
    about = {"error_grid": params.error_grid, "held_out": params.held_out, "brought": params.brought}
    in_processes(
        settings["training"].get("gpus", 1),
        train_on_set,
        samples=snakemake.input.samples,
        initial=snakemake.input.get("initial") or None,
        weights=snakemake.output.weights,
        curve=snakemake.output.curve,
        settings=settings,
        truncation=params.error_grid.get("truncation"),
        held_out=params.held_out,
        about={
            "vae": settings,
            "error_grid": params.error_grid,
            "held_out": params.held_out,
            "brought": params.brought,
        },
        checkpoint_minutes=checkpoint_minutes(),
    )

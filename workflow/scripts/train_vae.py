"""Rule train_vae: the VAE that ships with the example, trained long on the forecast errors of its nature runs."""

from lora_envar.script import device, step

with step(snakemake):
    import torch
    from lora_envar.archive.nature import NATURE_GRID, NATURE_TRUNCATION
    from lora_envar.archive.packed import read_coefficients
    from lora_envar.background.pretraining import pretrain, vae_network
    from lora_envar.background.vae import VAE
    from lora_envar.grid import SphericalHarmonics
    from lora_envar.training import TrainingSettings

    settings = snakemake.params.vae
    coefficients = torch.cat([read_coefficients(path)[1] for path in snakemake.input])
    deviation = (coefficients.double() ** 2).sum(-1).mean(0).sqrt().float()
    coefficients /= deviation[:, None]
    torch.manual_seed(settings["training"]["seed"])
    network = vae_network(settings["network"], NATURE_GRID.shape)
    vae = VAE(NATURE_GRID, NATURE_TRUNCATION, network, settings["sigma"], device())
    vae.deviation.copy_(deviation.view(-1, 1, 1))
    harmonics = SphericalHarmonics(NATURE_GRID, NATURE_TRUNCATION)
    training = TrainingSettings(**snakemake.params.training)
    indices = list(range(len(coefficients)))
    pretrain(
        vae, lambda picked: harmonics.synthesise(coefficients[picked]), indices, training, settings["training"]["seed"]
    )
    vae.save(snakemake.output[0], half=True, samples=len(indices), **snakemake.params.training)

"""What is timed at every scale, each with what it needs and how much memory that may take."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lora_envar.analysis.assimilate import compare, cost_function
from lora_envar.analysis.variational import CostFunction
from lora_envar.background.finetuning import finetune_cycle
from lora_envar.background.pretraining import size_of_vae, vae_network
from lora_envar.background.settings import TrainedFinetuneSettings
from lora_envar.background.vae import VAE
from lora_envar.fields.grid import Grid
from lora_envar.fields.seeds import generator
from lora_envar.fields.state import CHANNELS
from lora_envar.fields.timeline import parse
from lora_envar.files.state_file import read_state, write_states
from lora_envar.forecast import load_model
from lora_envar.forecast.emulator import Emulator
from lora_envar.networks.swin import NetworkSettings, mixed_precision
from lora_envar.plan.experiments import Experiment
from lora_envar.plan.models import Place, places
from lora_envar.settings import settings_from

from .world import ROOT, World

#: variational methods that are timed
METHODS = ("3dvar", "hybrid", "vae_var", "lora_envar", "latent_lora")
#: methods whose finetuning is timed
FINETUNED = ("lora_envar", "latent_lora")
#: bytes of the libraries, and of all that is small
BASE = 500_000_000


@dataclass(frozen=True)
class Item:
    """Something that is timed.

    Attributes
    ----------
    name : str
        Kind, and after a colon what it is of.
    prepare : function or None
        Gives the call to be timed, of a world; None where the scale has no such thing.
    reason : str
        Why it cannot run; empty where it can.
    estimate : int
        Bytes that it may take.
    note : str
        What is to be known of it.
    dtype : dtype
        Of most of its products.
    """

    name: str
    prepare: Callable[[World], Callable[[], Any]] | None = None
    reason: str = ""
    estimate: int = BASE
    note: str = ""
    dtype: torch.dtype = torch.float32


def all_items(world: World) -> list[Item]:
    """All items of a world, in the order of the table."""
    return [
        *_of_vaes(world),
        *(item for method in METHODS for item in _of_method(world, method)),
        *_of_genbe(world),
        *_of_observations(world),
        *(_forecast(world, place) for place in places(world.config)),
        *_of_files(world),
    ]


def chosen(items: list[Item], only: str | None) -> list[Item]:
    """Those of names, or of kinds, that a text lists with commas; all without one.

    Raises
    ------
    ValueError
        If there is none of a name.
    """
    if only is None:
        return items
    names = only.split(",")
    for name in names:
        if not any(_is_called(item, name) for item in items):
            raise ValueError(f"--only: there is no {name}; there are {', '.join(item.name for item in items)}")
    return [item for item in items if any(_is_called(item, name) for name in names)]


def _is_called(item: Item, name: str) -> bool:
    return name in (item.name, item.name.partition(":")[0])


# VAEs


def _weights(world: World, name: str) -> int:
    """Bytes of the weights of a VAE."""
    return 4 * size_of_vae(world.config["vaes"][name], world.error_grid, world.error_truncation)


def _activations(world: World, name: str, bytes_each: int = 4) -> int:
    """Bytes that one half of a VAE keeps of one sample for the backward pass."""
    network = vae_network(world.config["vaes"][name]["network"], world.error_grid.shape)
    # of a block: its input twice, two normalised ones, queries, keys, values, what is attended, both sides of GELU
    kept = 9 + 2 * network.mlp_ratio
    total = 0
    for stage, width in enumerate(network.widths):
        rows, columns = network.tokens(stage)
        total += 2 * network.depth * len(network.inputs) * rows * columns * width
    rows, columns = network.tokens(len(network.widths) - 1)
    total += network.core_depth * rows * columns * network.core_width
    return bytes_each * kept * total


def _of_vaes(world: World) -> Iterator[Item]:
    for name in world.config["vaes"]:
        weights = _weights(world, name)
        kept = _activations(world, name)
        yield Item(f"vae_forward:{name}", partial(_vae_forward, name=name), "", BASE + weights + kept // 4)
        yield Item(
            f"vae_forward_backward:{name}",
            partial(_vae_forward_backward, name=name),
            "",
            BASE + 2 * weights + 2 * kept,
            "loss of one sample, gradients of all weights",
        )
        yield Item(f"load_vae:{name}", partial(_load_vae, name=name), "", BASE + weights, f"{weights / 1e6:.0f} MB")


def _sample(world: World, vae: VAE) -> torch.Tensor:
    """One normalised error."""
    return vae.variables.normalise(world.errors()[:1].to(world.device))


def _vae_forward(world: World, name: str) -> Callable[[], Any]:
    vae = world.vae(name)
    errors = _sample(world, vae)

    def call() -> None:
        with torch.no_grad():
            vae.decode(vae.encode(errors)[0])

    return call


def _vae_forward_backward(world: World, name: str) -> Callable[[], Any]:
    vae = world.vae(name).requires_grad_(True)
    errors = _sample(world, vae)
    noise = torch.randn(1, *vae.latent_shape, generator=generator(1, "noise")).to(errors)

    def call() -> None:
        vae.zero_grad()
        vae.loss(errors, noise).backward()

    return call


def _load_vae(world: World, name: str) -> Callable[[], Any]:
    path = world.vae_file(name)
    return partial(VAE.load, path, world.device)


# methods


def _of_method(world: World, method: str) -> Iterator[Item]:
    kinds = ["cost_gradient", "analysis", *(["finetuning"] if method in FINETUNED else [])]
    experiments = world.experiments(method)
    if not experiments:
        for kind in kinds:
            yield Item(f"{kind}:{method}", reason=f"no experiment of the configuration has the method {method}")
    for experiment in experiments:
        state = 4 * len(CHANNELS) * world.grid.nlat * world.grid.nlon
        size = BASE + 10 * state
        if experiment.vae:
            size += _weights(world, experiment.vae) + _activations(world, experiment.vae)
        yield Item(f"cost_gradient:{experiment.name}", partial(_cost_gradient, experiment=experiment), "", size)
        shortened = world.shortened.said("iterations")
        note = f"{shortened} alone" if shortened else ""
        if experiment.adaptive:
            note = "; ".join(filter(None, ["two minimisations, as in a first cycle", note]))
        yield Item(f"analysis:{experiment.name}", partial(_analysis, experiment=experiment), "", size + 2 * state, note)
        if method in FINETUNED:
            yield _finetuning(world, experiment)


def _cost(world: World, experiment: Experiment) -> CostFunction:
    """The cost function of an experiment; an adaptive weight is 1."""
    method = experiment.method(experiment.analysis_settings)
    model = method.background_error(world.inputs(experiment))
    weight = 1.0 if experiment.adaptive else method.settings.background_weight
    return cost_function(compare(world.case(experiment)), model, weight)


def _cost_gradient(world: World, experiment: Experiment) -> Callable[[], Any]:
    cost = _cost(world, experiment)
    start = cost.zero()

    def call() -> None:
        control = start.detach().requires_grad_(True)
        cost(control).backward()

    return call


def _analysis(world: World, experiment: Experiment) -> Callable[[], Any]:
    method = experiment.method(experiment.analysis_settings)
    case = world.case(experiment)
    inputs = world.inputs(experiment)
    return partial(method.analyse, case, inputs)


def _finetuning(world: World, experiment: Experiment) -> Item:
    """The finetuning of a cycle: loading of the VAE, and its distance from the pretrained one, are part of it."""
    settings, count = world.finetuning(experiment)
    note = f"{count} members"
    dtype = torch.float32
    estimate = BASE + _weights(world, str(experiment.vae))
    kept = _activations(world, str(experiment.vae))
    if isinstance(settings, TrainedFinetuneSettings):
        note += f", {settings.epochs} epochs, batch of {min(settings.batch, count)}"
        estimate += 2 * min(settings.batch, count) * kept
        with mixed_precision(torch.device(world.device), True) as autocast:
            if autocast._enabled:
                dtype = torch.bfloat16
    if world.shortened.said("members", "epochs", "batch"):
        note += f" (the configuration: {_configured(experiment)})"
    return Item(f"finetuning:{experiment.name}", partial(_finetune, experiment=experiment), "", estimate, note, dtype)


def _configured(experiment: Experiment) -> str:
    settings = experiment.finetune_settings
    trained = [f"{settings[name]} {name}" for name in ("epochs", "batch") if name in settings]
    return ", ".join([f"{experiment.ensemble_size} members", *trained])


def _finetune(world: World, experiment: Experiment) -> Callable[[], Any]:
    settings, count = world.finetuning(experiment)
    members = world.members(count).to(world.device)
    path = world.vae_file(str(experiment.vae))
    added = experiment.method.adapters(settings, experiment.entry.get("rank"))

    def call() -> None:
        vae = VAE.load(path, world.device)
        finetune_cycle(vae, members, settings, added, (1, world.time(experiment)), progress=lambda _: None)

    return call


# operators


def _of_genbe(world: World) -> Iterator[Item]:
    for kind, prepare in (("genbe_forward", _genbe_forward), ("genbe_adjoint", _genbe_adjoint)):
        if world.experiments("3dvar"):
            yield Item(kind, prepare, note="B^1/2, control vector to increment")
        else:
            yield Item(kind, reason="no experiment of the configuration has the method 3dvar")


def _genbe(world: World) -> Any:
    [experiment] = world.experiments("3dvar")
    return experiment.method(experiment.analysis_settings).background_error(world.inputs(experiment))


def _genbe_forward(world: World) -> Callable[[], Any]:
    model = _genbe(world)
    control = torch.randn(model.control_size, generator=generator(1, "control")).to(world.device)
    return partial(model.increment, control)


def _genbe_adjoint(world: World) -> Callable[[], Any]:
    model = _genbe(world)
    return _adjoint(model.increment, torch.zeros(model.control_size, device=world.device))


def _adjoint(operator: Callable[[torch.Tensor], torch.Tensor], point: torch.Tensor) -> Callable[[], Any]:
    """The backward pass of an operator alone."""
    start = point.requires_grad_(True)
    image = operator(start)
    given = torch.randn(image.shape, generator=generator(1, "image")).to(image)
    return partial(torch.autograd.grad, image, start, given, retain_graph=True)


def _of_observations(world: World) -> Iterator[Item]:
    state = 4 * len(CHANNELS) * world.grid.nlat * world.grid.nlon
    yield Item("observe_forward", _observe_forward, "", BASE + 6 * state, "H, state to equivalents")
    yield Item("observe_adjoint", _observe_adjoint, "", BASE + 8 * state, "H', equivalents to state")


def _observed(world: World) -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]:
    experiment = next(experiment for experiment in world.plan.experiments.compared if experiment.method.assimilates)
    compared = compare(world.case(experiment))
    return compared.operator, compared.background


def _observe_forward(world: World) -> Callable[[], Any]:
    operator, state = _observed(world)
    return partial(operator, state)


def _observe_adjoint(world: World) -> Callable[[], Any]:
    return _adjoint(*_observed(world))


# forecast models


def _forecast(world: World, place: Place) -> Item:
    """One step of a model of the configuration, of one state; one that is trained has random weights."""
    name = f"forecast:{place.name}"
    section = dict(place.section)
    if "train" in section:
        sizes = section["train"]["network"]
        return Item(name, partial(_trained_step, place=place), note=f"random weights, widths {sizes['widths']}")
    files = [ROOT / section["weights"]]
    if not all(path.is_file() for path in files):
        return Item(name, reason=f"{section['name']}: {section['weights']} must be brought, and is not here")
    return Item(name, partial(_loaded_step, section=section), note=section["name"])


def _step(world: World, model: Any, grid: Grid) -> Callable[[], Any]:
    if grid == world.error_grid:
        state = world.members(1).to(world.device)
    else:
        state = torch.from_numpy(world.state[None]).to(world.device)
    previous = state if model.history == 2 else None

    def call() -> None:
        with torch.no_grad():
            model.step(state, previous)

    return call


def _trained_step(world: World, place: Place) -> Callable[[], Any]:
    settings = place.section["train"]
    section = world.plan.trained_models.grid(place.name)
    grid = Grid.from_settings(section)
    channels = (len(CHANNELS),)
    sizes = {"shape": grid.shape, "inputs": channels, "outputs": channels, **settings["network"]}
    network = settings_from(NetworkSettings, sizes)
    model = Emulator(grid, section["truncation"], network, settings["step_hours"], world.device)
    return _step(world, model.eval().requires_grad_(False), grid)


def _loaded_step(world: World, section: dict[str, Any]) -> Callable[[], Any]:
    model = load_model(**{**section, "weights": str(ROOT / section["weights"])}, device=world.device)
    return _step(world, model, model.grid)


# files


def _of_files(world: World) -> Iterator[Item]:
    state = 4 * len(CHANNELS) * world.grid.nlat * world.grid.nlon
    note = f"{state / 1e6:.1f} MB, netCDF"
    yield Item("write_state", _write_state, "", BASE + 4 * state, note)
    yield Item("read_state", _read_state, "", BASE + 4 * state, note)


def _write_state(world: World) -> Callable[[], Any]:
    times = [parse("20220101T00")]
    return partial(write_states, world.path("written.nc"), world.state[None], times, world.grid)


def _read_state(world: World) -> Callable[[], Any]:
    write_states(world.path("read.nc"), world.state[None], [parse("20220101T00")], world.grid)
    return partial(read_state, world.path("read.nc"), world.grid)

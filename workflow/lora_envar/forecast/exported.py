"""Any network that was exported to a file, as TorchScript or as a program of torch.export (.pt2).

The module maps (batch, 69, lat, lon) in the units of the state to the same, one step later. Such files hold programs,
and with torch 2.13 reading them is not always harmless:

- ``torch.export.load`` unpickles. It calls ``torch.load(weights_only=False)`` for tensors that were pickled, tries that
  again where ``weights_only=True`` refuses, calls ``pickle.loads`` for opaque constants, and opens compiled libraries.
  Here ``torch.load`` is held to tensors, and archives with custom objects or libraries are refused, so that no pickle
  is run.
- ``torch.jit.load`` reads with TorchScript's own unpickler, which knows no Python classes, but it runs what the program
  says on loading, and torch itself warns of it.

So the configuration must say which file is meant, by its SHA-256; it cannot make a file of unknown origin safe.
"""

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ..fields.grid import Grid
from ..fields.state import CHANNELS
from .model import ForecastModel, Times

#: members of a .pt2 archive that are unpickled, or loaded as machine code
_FOREIGN = ("/constants/opaque_obj", "/constants/custom_obj", "/aotinductor/")


class Exported(ForecastModel):
    """See the module.

    Parameters
    ----------
    module : callable
        From (batch, 69, lat, lon) to the same.
    grid : Grid
    step_hours : int
    single : bool
        Whether the program takes one state at a time.
    """

    differentiable = True

    def __init__(
        self, module: Callable[[torch.Tensor], torch.Tensor], grid: Grid, step_hours: int, single: bool = False
    ) -> None:
        self.grid = grid
        self.step_hours = step_hours
        self._module = module
        self._single = single

    @classmethod
    def load(cls, path: str | Path, grid: Grid, step_hours: int, device: torch.device | str = "cpu") -> "Exported":
        """Load a file of torch.export, if it is named ``*.pt2``, or else of TorchScript.

        Raises
        ------
        ValueError
            If the file cannot be read, if something in it would be unpickled, or if its inputs have another shape.
        """
        path = Path(path)
        single = False
        if path.suffix == ".pt2":
            program = _load_program(path)
            shape = _input_shape(program)
            wanted = (len(CHANNELS), *grid.shape)
            if len(shape) != 4 or any(isinstance(n, int) and n != m for n, m in zip(shape[1:], wanted, strict=True)):
                raise ValueError(
                    f"{path} takes states of the shape {shape}, but must take (batch, {', '.join(map(str, wanted))})"
                )
            if isinstance(shape[0], int) and shape[0] != 1:
                raise ValueError(f"{path} takes {shape[0]} states at a time; export it for one, or for any number")
            single = isinstance(shape[0], int)
            if torch.device(device).type != "cpu":
                from torch.export.passes import move_to_device_pass

                program = move_to_device_pass(program, str(device))
            module = program.module()
        else:
            try:
                module = torch.jit.load(str(path), map_location=device).eval()
            except (RuntimeError, ValueError, OSError) as error:
                raise ValueError(f"{path} cannot be read as TorchScript ({str(error).splitlines()[0]})") from error
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        return cls(module, grid, step_hours, single)

    def step(self, states: torch.Tensor, previous: torch.Tensor | None = None, valid: Times = None) -> torch.Tensor:
        """Advance states, (batch, 69, lat, lon); earlier states and times are not used.

        Raises
        ------
        ValueError
            If the program returns another shape, or if gradients are needed and do not flow through it.
        """
        parts = states.split(1) if self._single else [states]
        advanced = torch.cat([self._module(part) for part in parts])
        if advanced.shape != states.shape:
            raise ValueError(
                f"the exported model turned the shape {tuple(states.shape)} into {tuple(advanced.shape)}, but must "
                "keep it"
            )
        if states.requires_grad and not advanced.requires_grad:
            raise ValueError("no gradients flow through the exported model; export it without torch.no_grad")
        return advanced


def _load_program(path: Path) -> torch.export.ExportedProgram:
    try:
        with zipfile.ZipFile(path) as archive:
            foreign = [name for name in archive.namelist() if any(part in name for part in _FOREIGN)]
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as a .pt2 archive ({error})") from error
    if foreign:
        raise ValueError(f"{path} has custom objects or compiled code in it ({foreign[0]}); export plain tensors only")
    try:
        with _tensors_only():
            return torch.export.load(str(path))
    except Exception as error:  # the archive's reader raises errors of many kinds
        raise ValueError(f"{path} cannot be read as a program of torch.export ({error})") from error


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Force ``weights_only=True`` on every torch.load, even where the caller says otherwise."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _input_shape(program: torch.export.ExportedProgram) -> tuple[int | torch.SymInt, ...]:
    """Sizes of the program's only input; free sizes are not integers."""
    names = program.graph_signature.user_inputs
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(nodes) != 1:
        raise ValueError(f"the exported program takes {len(nodes)} inputs, but must take one")
    return tuple(nodes[0].meta["val"].shape)

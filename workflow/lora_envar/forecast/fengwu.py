"""FengWu (arXiv 2304.02948) as published: an ONNX file that takes two frames 6 h apart and returns the next one.

Its input is (1, 138, lat, lon): the frame before and the present one, each of the 69 channels of the state in their
order, less their mean and divided by their standard deviation; the first 69 channels of its output are the next frame,
normalised alike. Mean and standard deviation come as ``data_mean.npy`` and ``data_std.npy`` with the file.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..fields.grid import Grid
from ..fields.state import CHANNELS
from .model import ForecastModel, Times

if TYPE_CHECKING:
    import onnxruntime

_LOG = logging.getLogger(__name__)


class FengWu(ForecastModel):
    """See the module: a history of two frames, without gradients.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    mean, deviation : (69,)
        In the units of the state.
    grid : Grid, optional
        Needed if the file does not fix the sizes of its grid; by default, the equiangular grid of these sizes.

    Raises
    ------
    ValueError
        If the file's input has another shape, or is on another grid.
    """

    history = 2
    step_hours = 6
    differentiable = False

    def __init__(
        self,
        session: "onnxruntime.InferenceSession",
        mean: np.ndarray,
        deviation: np.ndarray,
        grid: Grid | None = None,
    ) -> None:
        inputs = session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 2 * len(CHANNELS):
            found = ", ".join(f"{entry.name} {entry.shape}" for entry in inputs)
            raise ValueError(
                f"the model takes {found}, but FengWu takes one input of (1, {2 * len(CHANNELS)}, lat, lon)"
            )
        sizes = tuple(shape[2:])
        if grid is None:
            if not all(isinstance(size, int) for size in sizes):
                raise ValueError("the file does not fix its grid; give it as the setting grid of the model")
            grid = Grid("equiangular", *sizes)
        if any(isinstance(size, int) and size != wanted for size, wanted in zip(sizes, grid.shape, strict=True)):
            raise ValueError(f"the file is for {sizes[0]} x {sizes[1]} points, but the setting grid gives {grid}")
        self.grid = grid
        self._session = session
        self._name = inputs[0].name
        self._mean = torch.as_tensor(mean, dtype=torch.float32).reshape(-1, 1, 1)
        self._deviation = torch.as_tensor(deviation, dtype=torch.float32).reshape(-1, 1, 1)

    @classmethod
    def load(
        cls,
        weights: str | Path,
        mean: str | Path,
        deviation: str | Path,
        grid: Grid | None = None,
        device: torch.device | str = "cpu",
    ) -> "FengWu":
        """Load the ONNX file and two .npy files, on the GPU if `device` and the installed runtime allow it.

        Raises
        ------
        ValueError
            If a file cannot be read or does not fit.
        ImportError
            If onnxruntime is not installed.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError("the model fengwu needs onnxruntime: pip install -e '.[fengwu]'") from error
        wanted = ["CPUExecutionProvider"]
        if torch.device(device).type == "cuda":
            if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
                wanted.insert(0, "CUDAExecutionProvider")
            else:
                _LOG.warning(
                    "the installed onnxruntime has no CUDA, so FengWu runs on the CPU; install onnxruntime-gpu instead"
                )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            session = onnxruntime.InferenceSession(str(weights), options, providers=wanted)
        except Exception as error:  # its errors have no common class but Exception
            raise ValueError(f"{weights} cannot be read as ONNX ({str(error).splitlines()[0]})") from error
        try:
            return cls(session, _statistics(mean), _statistics(deviation, positive=True), grid)
        except ValueError as error:
            raise ValueError(f"{weights}: {error}") from None

    def step(self, states: torch.Tensor, previous: torch.Tensor | None = None, valid: Times = None) -> torch.Tensor:
        """The next frame, from the present one and the one before, each (batch, 69, lat, lon).

        Raises
        ------
        ValueError
            If the frame before is missing.
        """
        if previous is None:
            raise ValueError("FengWu also needs the frame before")
        mean = self._mean.to(states.device)
        deviation = self._deviation.to(states.device)
        normalised = torch.cat([(frame - mean) / deviation for frame in (previous, states)], dim=1)
        frames = normalised.detach().cpu().float().numpy()
        # published for a batch of one
        following = [
            self._session.run(None, {self._name: frames[i : i + 1]})[0][:, : len(CHANNELS)] for i in range(len(frames))
        ]
        return torch.from_numpy(np.concatenate(following)).to(states) * deviation + mean


def _statistics(path: str | Path, positive: bool = False) -> np.ndarray:
    """Read values per channel, (69,), from a .npy file."""
    try:
        values = np.load(path, allow_pickle=False).squeeze()
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as .npy ({error})") from error
    if values.shape != (len(CHANNELS),) or not np.isfinite(values).all() or (positive and not (values > 0).all()):
        kind = "positive" if positive else "finite"
        raise ValueError(
            f"{path} has the shape {values.shape}, expected {len(CHANNELS)} {kind} values, one for each channel"
        )
    return values

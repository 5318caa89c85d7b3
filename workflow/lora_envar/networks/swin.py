"""The network of the forecast emulator and of both halves of the VAE: a FengWu-like encoder, core and decoder.

Per variable group: a patch embedding with learned positions and a stage of Swin blocks, then patch merging and the
next stage; the groups are concatenated for a core of Swin blocks, split, and brought back by patch expansion with skip
connections. Windows are periodic in longitude: of the shifted windows only those that would join the two poles are
masked. Defaults are the paper's sizes (one half of the VAE at 128 x 256: 216 M parameters, 60 attention blocks).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.module import register_module_parameter_registration_hook


def mixed_precision(device: torch.device, wanted: bool) -> torch.autocast:
    """Autocast to bfloat16 if wanted and native to the device; emulated, it is several times slower than float32."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    known = device.type if torch.amp.is_autocast_available(device.type) else "cpu"
    return torch.autocast(known, dtype=torch.bfloat16, enabled=wanted and native and known == device.type)


@contextmanager
def without_weights() -> Iterator[None]:
    """Modules built within it have no weights, for which those of a file are about to be put.

    Their parameters are on the device `meta`: nothing is drawn, and no memory is taken. `put_weights` gives them those
    of a file.
    """
    hook = register_module_parameter_registration_hook(_without_values)
    try:
        yield
    finally:
        hook.remove()


def _without_values(module: nn.Module, name: str, parameter: nn.Parameter) -> Any:
    """The parameter to register instead (torch's documentation of hooks allows this, its type hint says None)."""
    return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)


def move(module: nn.Module, device: torch.device | str) -> None:
    """Move a module to a device, unless its weights are still to come: `put_weights` moves it then."""
    if torch.device(device).type == "meta" or not any(parameter.is_meta for parameter in module.parameters()):
        module.to(device)


def put_weights(module: nn.Module, tensors: Mapping[str, torch.Tensor], device: torch.device | str) -> None:
    """Give a module its weights and buffers, and move it to a device.

    On the CPU it has the tensors themselves, not copies: those of a file that is mapped into memory stay there.

    Raises
    ------
    RuntimeError
        If names or shapes do not fit.
    """
    module.load_state_dict(tensors, assign=True)
    module.to(device)


@dataclass(frozen=True)
class NetworkSettings:
    """Sizes of a network.

    Attributes
    ----------
    shape : (int, int)
        Points of the grid, latitude and longitude.
    inputs, outputs : tuple of int
        Channels of each variable group, in the order of the state. One entry makes one group of all.
    patch : int
        Side of the patches of the embedding.
    widths : tuple of int
        Width of each group's stages, before and after each patch merging.
    heads : tuple of int
        Attention heads of each of these stages.
    depth : int
        Blocks of each of these stages, on the way in and again on the way out.
    core_width, core_heads, core_depth : int
        The core's width, heads and number of blocks.
    window : (int, int)
        Attention window in latitude and longitude; every other block shifts it by half.
    mlp_ratio : int
        Width of a block's hidden layer over its width.

    Raises
    ------
    ValueError
        If the numbers of input and output groups differ, or those of heads and widths, or if the grid does not divide
        into windows.
    """

    shape: tuple[int, int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    patch: int = 2
    widths: tuple[int, ...] = (96, 192)
    heads: tuple[int, ...] = (3, 6)
    depth: int = 2
    core_width: int = 1152
    core_heads: int = 6
    core_depth: int = 12
    window: tuple[int, int] = (4, 4)
    mlp_ratio: int = 4

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.outputs):
            raise ValueError(
                f"network: there are {len(self.inputs)} input groups, but {len(self.outputs)} output groups"
            )
        if len(self.widths) != len(self.heads):
            raise ValueError(f"network: there are {len(self.widths)} widths, but {len(self.heads)} numbers of heads")
        coarsest = self.patch * 2 ** (len(self.widths) - 1)
        for name, points, window in zip(("latitudes", "longitudes"), self.shape, self.window, strict=True):
            if points % (coarsest * window):
                raise ValueError(
                    f"network: {points} {name} do not divide into windows of {window} at 1/{coarsest} of the "
                    "resolution; choose another window"
                )

    def tokens(self, stage: int) -> tuple[int, int]:
        """Tokens in latitude and longitude of a stage."""
        scale = self.patch * 2**stage
        return self.shape[0] // scale, self.shape[1] // scale


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows, with a learned bias per relative position."""

    relative_index: torch.Tensor
    pole_mask: torch.Tensor | None

    def __init__(self, width: int, heads: int, tokens: tuple[int, int], window: tuple[int, int], shifted: bool) -> None:
        super().__init__()
        self.heads = heads
        self.tokens = tokens
        self.window = window
        self.shift = tuple(side // 2 if shifted and side < n else 0 for side, n in zip(window, tokens, strict=True))
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        rows, columns = window
        self.relative_bias = nn.Parameter(torch.zeros((2 * rows - 1) * (2 * columns - 1), heads))
        row_of, column_of = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        row = row_of.flatten()
        column = column_of.flatten()
        relative = (row[:, None] - row + rows - 1) * (2 * columns - 1) + column[:, None] - column + columns - 1
        self.register_buffer("relative_index", relative.flatten(), persistent=False)
        self.register_buffer("pole_mask", self._pole_mask(), persistent=False)

    def _pole_mask(self) -> torch.Tensor | None:
        """Additive mask (windows, 1, N, N) that keeps the northern and southern rows of a wrapped window apart."""
        if not self.shift[0]:
            return None
        rows, columns = self.window
        north = torch.arange(rows) >= rows - self.shift[0]  # rows of the last window that came from the north
        side = north.repeat_interleave(columns)
        apart = torch.zeros(rows * columns, rows * columns).masked_fill(side[:, None] != side, -math.inf)
        per_latitude = self.tokens[1] // columns
        mask = torch.zeros(self.tokens[0] // rows * per_latitude, 1, rows * columns, rows * columns)
        mask[-per_latitude:] = apart
        return mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, lat, lon, width) to the same shape."""
        if any(self.shift):
            x = x.roll((-self.shift[0], -self.shift[1]), (1, 2))
        windows = self._split(x)
        query = self._by_head(self.query(windows))
        key = self._by_head(self.key(windows))
        value = self._by_head(self.value(windows))
        size = self.window[0] * self.window[1]
        bias = self.relative_bias[self.relative_index].view(size, size, self.heads).permute(2, 0, 1)[None]
        if self.pole_mask is not None:
            bias = (bias + self.pole_mask).repeat(x.shape[0], 1, 1, 1)
        attended = _attend(query, key, value, bias)
        x = self._join(self.output(attended.transpose(1, 2).flatten(2)), x.shape[0])
        if any(self.shift):
            x = x.roll(self.shift, (1, 2))
        return x

    def _by_head(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, tokens, width) -> (batch, heads, tokens, width of a head)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, lat, lon, width) -> (batch * windows, tokens of a window, width)."""
        batch, _, _, width = x.shape
        rows, columns = self.window
        lat, lon = self.tokens
        x = x.view(batch, lat // rows, rows, lon // columns, columns, width)
        return x.transpose(2, 3).reshape(-1, rows * columns, width)

    def _join(self, windows: torch.Tensor, batch: int) -> torch.Tensor:
        """The inverse of `_split`."""
        rows, columns = self.window
        lat, lon = self.tokens
        x = windows.view(batch, lat // rows, lon // columns, rows, columns, -1)
        return x.transpose(2, 3).reshape(batch, lat, lon, -1)


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Scaled dot-product attention; its arguments are those of torch's function of that name.

    In bfloat16 on a CPU it is written out, with weights in float32: the gradient of torch's fused kernel takes ten
    times as long there.
    """
    dtype = query.dtype
    if query.device.type != "cpu" or dtype != torch.bfloat16:
        return functional.scaled_dot_product_attention(query, key, value, bias.to(dtype))
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + bias
    return scores.softmax(-1).to(dtype) @ value


class Block(nn.Module):
    """Pre-norm Swin block."""

    def __init__(
        self,
        width: int,
        heads: int,
        tokens: tuple[int, int],
        window: tuple[int, int],
        shifted: bool,
        mlp_ratio: int,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads, tokens, window, shifted)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_ratio * width), nn.GELU(), nn.Linear(mlp_ratio * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, lat, lon, width) to the same shape."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


def _blocks(settings: NetworkSettings, count: int, width: int, heads: int, stage: int) -> nn.Sequential:
    tokens = settings.tokens(stage)
    return nn.Sequential(
        *(Block(width, heads, tokens, settings.window, bool(i % 2), settings.mlp_ratio) for i in range(count))
    )


class PatchMerging(nn.Module):
    """Join 2 x 2 tokens: (batch, lat, lon, width) to (batch, lat / 2, lon / 2, wider)."""

    def __init__(self, width: int, wider: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, wider, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, lat, lon, width) to (batch, lat / 2, lon / 2, wider)."""
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).transpose(2, 3).flatten(-3)
        return self.reduction(self.norm(x))


class PatchExpansion(nn.Module):
    """The inverse of `PatchMerging`: (batch, lat, lon, width) to (batch, 2 lat, 2 lon, narrower)."""

    def __init__(self, width: int, narrower: int) -> None:
        super().__init__()
        self.expansion = nn.Linear(width, 4 * narrower, bias=False)
        self.norm = nn.LayerNorm(narrower)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, lat, lon, width) to (batch, 2 lat, 2 lon, narrower)."""
        x = self.expansion(x).unflatten(-1, (2, 2, -1)).transpose(2, 3).flatten(1, 2).flatten(2, 3)
        return self.norm(x)


class GroupEncoder(nn.Module):
    """Embedding and stages of one variable group; returns the output of every stage, finest first."""

    def __init__(self, settings: NetworkSettings, channels: int) -> None:
        super().__init__()
        widths = settings.widths
        self.embedding = nn.Conv2d(channels, widths[0], settings.patch, settings.patch)
        self.position = nn.Parameter(torch.zeros(*settings.tokens(0), widths[0]))
        self.stages = nn.ModuleList(
            _blocks(settings, settings.depth, width, heads, stage)
            for stage, (width, heads) in enumerate(zip(widths, settings.heads, strict=True))
        )
        self.merging = nn.ModuleList(PatchMerging(*pair) for pair in pairwise(widths))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map fields (batch, channels, lat, lon) to tokens (batch, lat, lon, width) of every stage."""
        x = self.embedding(x).permute(0, 2, 3, 1) + self.position
        outputs = [self.stages[0](x)]
        for merge, stage in zip(self.merging, self.stages[1:], strict=True):
            outputs.append(stage(merge(outputs[-1])))
        return outputs


class GroupDecoder(nn.Module):
    """Stages of one variable group back to the grid, each joined to the encoder's output of the same resolution."""

    def __init__(self, settings: NetworkSettings, channels: int) -> None:
        super().__init__()
        widths = settings.widths
        self.skips = nn.ModuleList(nn.Linear(2 * width, width) for width in widths)
        self.stages = nn.ModuleList(
            _blocks(settings, settings.depth, width, heads, stage)
            for stage, (width, heads) in enumerate(zip(widths, settings.heads, strict=True))
        )
        self.expansion = nn.ModuleList(PatchExpansion(*pair) for pair in zip(widths[1:], widths[:-1], strict=True))
        self.recovery = nn.ConvTranspose2d(widths[0], channels, settings.patch, settings.patch)

    def forward(self, x: torch.Tensor, encoded: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map tokens (batch, lat, lon, width) of the last stage to fields (batch, channels, lat, lon).

        Parameters
        ----------
        x : (batch, lat, lon, width)
        encoded : sequence of tensors
            The result of `GroupEncoder`.
        """
        for stage in reversed(range(len(self.stages))):
            x = self.stages[stage](self.skips[stage](torch.cat([x, encoded[stage]], dim=-1)))
            if stage:
                x = self.expansion[stage - 1](x)
        return self.recovery(x.permute(0, 3, 1, 2))


class Network(nn.Module):
    """Map fields of shape (batch, sum of inputs, lat, lon) to (batch, sum of outputs, lat, lon).

    The channels are in the order of the groups. Weights are drawn once, when the network is built.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        groups = len(settings.inputs)
        width = settings.widths[-1]
        coarsest = len(settings.widths) - 1
        self.encoders = nn.ModuleList(GroupEncoder(settings, channels) for channels in settings.inputs)
        self.gather = nn.Linear(groups * width, settings.core_width)
        self.position = nn.Parameter(torch.zeros(*settings.tokens(coarsest), settings.core_width))
        self.core = _blocks(settings, settings.core_depth, settings.core_width, settings.core_heads, coarsest)
        self.scatter = nn.Linear(settings.core_width, groups * width)
        self.decoders = nn.ModuleList(GroupDecoder(settings, channels) for channels in settings.outputs)
        self.apply(_initialise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, sum of inputs, lat, lon) to (batch, sum of outputs, lat, lon).

        Raises
        ------
        ValueError
            If the fields have another shape.
        """
        expected = (sum(self.settings.inputs), *self.settings.shape)
        if x.dim() != 4 or tuple(x.shape[1:]) != expected:
            raise ValueError(f"network: expected fields of the shape (batch, {expected}), got {tuple(x.shape)}")
        encoded = [
            encoder(group) for encoder, group in zip(self.encoders, x.split(self.settings.inputs, dim=1), strict=True)
        ]
        core = self.gather(torch.cat([outputs[-1] for outputs in encoded], dim=-1)) + self.position
        parts = self.scatter(self.core(core)).chunk(len(self.decoders), dim=-1)
        return torch.cat([decoder(*pair) for decoder, *pair in zip(self.decoders, parts, encoded, strict=True)], dim=1)


def _initialise(module: nn.Module) -> None:
    """Truncated normal of 0.02 as in Swin for linear layers, positions and biases; convolutions as torch has them."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    for name in ("position", "relative_bias"):
        parameter = getattr(module, name, None)
        if isinstance(parameter, nn.Parameter):
            nn.init.trunc_normal_(parameter, std=0.02)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable parameters; works on the meta device, where nothing is allocated."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)

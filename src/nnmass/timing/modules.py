"""The module of every block, as it stands in its network, and what it reads."""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import POOLED, BlockShape, Convolution, InvertedResidualShape
from nnmass.architectures.costs import halved
from nnmass.latency import KINDS, Block
from nnmass.networks import DenseCell, DenseLayer, InvertedResidual, PreactivationBlock, ResidualBlock
from nnmass.networks.skips import LayerInput
from nnmass.topology import Cell

Sizes: TypeAlias = dict[str, int]
Shapes: TypeAlias = list[tuple[int, ...]]
"""Shapes of what a block reads, without the batch."""


def module_of(block: Block, *, seed: int = 0) -> tuple[nn.Module, Shapes]:
    """Build the module of a block, in evaluation mode, and the shapes of its inputs without the batch.

    The caller's random state stays as it was.
    """
    sizes = dict(zip(KINDS[block.kind], block.sizes, strict=True))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module, shapes = _BUILDERS[block.kind](sizes)
    return module.eval(), shapes


class Gathered(nn.Module):
    """A layer that reads the output of the layer before and skip channels, which are gathered for it.

    Shape:
        (batch, width, ...), (batch, skips, ...) → what the layer puts out.
    """

    def __init__(self, layer: nn.Module, skips: int) -> None:
        super().__init__()
        self.layer = layer
        self.register_buffer("picks", torch.arange(skips))

    def forward(self, direct: Tensor, source: Tensor) -> Tensor:
        """Output of the layer."""
        skips = [source.index_select(1, self.picks)] if len(self.picks) else []  # type: ignore[arg-type]
        joined = LayerInput(direct, skips)
        if isinstance(self.layer, DenseLayer):
            output: Tensor = self.layer(joined, [direct], [])
        else:
            output = self.layer(F.elu(joined.joined()))
        return output


class _Pooled(nn.Module):
    """Average pool and a linear layer, after norm and ReLU where they come first.

    Shape:
        (batch, channels, side, side) → (batch, classes).
    """

    def __init__(self, channels: int, pooled: int, classes: int, before: nn.Module) -> None:
        super().__init__()
        self.before, self.pooled = before, pooled
        self.linear = nn.Linear(pooled**2 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.linear(F.adaptive_avg_pool2d(self.before(x), self.pooled).flatten(1))
        return logits


def _linear(s: Sizes) -> tuple[nn.Module, Shapes]:
    if s["first"]:
        return nn.Linear(s["inputs"], s["outputs"]), [(s["inputs"],)]
    layer = nn.Linear(s["inputs"], s["outputs"])
    return Gathered(layer, s["skips"]), [(s["inputs"] - s["skips"],), (max(s["skips"], 1),)]


def _dense_first(s: Sizes) -> tuple[nn.Module, Shapes]:
    first = s["stride"] == 1
    cell = DenseCell(Cell(s["width"], 1, 0), ((),), inputs=s["inputs"], conv=_conv(s), first=first)
    return cell.layers[0], [(s["inputs"], s["entering"], s["entering"])]


def _dense_second(s: Sizes) -> tuple[nn.Module, Shapes]:
    cell = DenseCell(Cell(s["width"], 2, 0), ((), ()), inputs=1, conv=_conv(s), first=True)
    return cell.layers[1], [(s["width"], s["side"], s["side"])]


def _dense_layer(s: Sizes) -> tuple[nn.Module, Shapes]:
    skips, side = s["inputs"] - s["width"], s["side"]
    layer = DenseLayer(s["inputs"], s["width"], _conv(s))
    return Gathered(layer, skips), [(s["width"], side, side), (max(skips, 1), side, side)]


def _conv(s: Sizes) -> Convolution:
    return "separable" if s["separable"] else "regular"


def _pooled_head(s: Sizes) -> tuple[nn.Module, Shapes]:
    head = _Pooled(s["channels"], POOLED, s["classes"], nn.Identity())
    return head, [(s["channels"], s["side"], s["side"])]


def _average_head(s: Sizes) -> tuple[nn.Module, Shapes]:
    before = nn.Sequential(nn.BatchNorm2d(s["channels"]), nn.ReLU()) if s["norm"] else nn.Identity()
    return _Pooled(s["channels"], 1, s["classes"], before), [(s["channels"], s["side"], s["side"])]


def _mobile_head(s: Sizes) -> tuple[nn.Module, Shapes]:
    conv = nn.Conv2d(s["inputs"], s["last"], 1, bias=False)
    before = nn.Sequential(conv, nn.BatchNorm2d(s["last"]), nn.ReLU6(inplace=True))
    return _Pooled(s["last"], 1, s["classes"], before), [(s["inputs"], s["side"], s["side"])]


def _stem(s: Sizes) -> tuple[nn.Module, Shapes]:
    kernel = s["kernel"]
    conv = nn.Conv2d(s["inputs"], s["outputs"], kernel, s["stride"], padding=kernel // 2, bias=False)
    norm = [nn.BatchNorm2d(s["outputs"]), nn.ReLU(inplace=True)] if s["norm"] else []
    pool = [nn.MaxPool2d(3, 2, 1)] if s["pool"] else []
    return nn.Sequential(conv, *norm, *pool), [(s["inputs"], s["entering"], s["entering"])]


def _inverted_residual(s: Sizes) -> tuple[nn.Module, Shapes]:
    shape = InvertedResidualShape(
        s["inputs"], s["hidden"], s["outputs"], bool(s["expands"]), s["stride"], s["entering"], _side(s)
    )
    return InvertedResidual(shape), [(s["inputs"], s["entering"], s["entering"])]


def _residual(s: Sizes, make: Callable[[BlockShape], nn.Module]) -> tuple[nn.Module, Shapes]:
    shape = BlockShape(
        s["inputs"], s["inner"], s["outputs"], s["stride"], s["entering"], _side(s), bool(s["projected"])
    )
    return make(shape), [(s["inputs"], s["entering"], s["entering"])]


def _side(s: Sizes) -> int:
    return halved(s["entering"]) if s["stride"] == 2 else s["entering"]


_BUILDERS: dict[str, Callable[[Any], tuple[nn.Module, Shapes]]] = {
    "linear": _linear,
    "dense_first": _dense_first,
    "dense_second": _dense_second,
    "dense_layer": _dense_layer,
    "pooled_head": _pooled_head,
    "stem": _stem,
    "inverted_residual": _inverted_residual,
    "mobile_head": _mobile_head,
    "basic": lambda s: _residual(s, lambda shape: ResidualBlock(shape, None)),
    "bottleneck": lambda s: _residual(s, lambda shape: ResidualBlock(shape, s["groups"])),
    "preactivation": lambda s: _residual(s, lambda shape: PreactivationBlock(shape, 0.0)),
    "average_head": _average_head,
}

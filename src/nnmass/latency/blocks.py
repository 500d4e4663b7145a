"""The pieces of a network that are timed one by one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nnmass.architectures import (
    BlockShape,
    CifarResNet,
    DenseCNN,
    DenseMLP,
    InvertedResidualShape,
    MobileNetV2,
    ResNet,
    Specification,
    Stages,
    WideResNet,
    require_specification,
)
from nnmass.errors import InvalidValueError
from nnmass.representation import brief

KINDS: dict[str, tuple[str, ...]] = {
    "linear": ("inputs", "outputs", "skips", "first"),
    "dense_first": ("separable", "inputs", "width", "stride", "entering"),
    "dense_second": ("separable", "width", "side"),
    "dense_layer": ("separable", "width", "side", "inputs"),
    "pooled_head": ("channels", "side", "classes"),
    "stem": ("kernel", "stride", "inputs", "outputs", "entering", "pool", "norm"),
    "inverted_residual": ("inputs", "hidden", "outputs", "expands", "stride", "entering"),
    "mobile_head": ("inputs", "last", "side", "classes"),
    "basic": ("inputs", "inner", "outputs", "stride", "entering", "projected"),
    "bottleneck": ("inputs", "inner", "outputs", "stride", "entering", "projected", "groups"),
    "preactivation": ("inputs", "inner", "outputs", "stride", "entering", "projected"),
    "average_head": ("channels", "side", "classes", "norm"),
}
"""Names of the sizes of every kind of block."""


@dataclass(frozen=True, order=True)
class Block:
    """One piece of a network, as far as its latency depends on it.

    Attributes:
        kind: one of `KINDS`.
        sizes: whole numbers in the order that `KINDS` names; truth values are 0 and 1.

    Raises:
        InvalidValueError: an unknown kind, or another number of sizes.

    Examples:
        >>> str(Block("dense_second", (0, 32, 16)))
        'dense_second(separable=0, width=32, side=16)'
    """

    __repr__ = brief

    kind: str
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidValueError(f"kind of a block must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if len(self.sizes) != len(KINDS[self.kind]):
            raise InvalidValueError(f"a {self.kind} has the sizes {', '.join(KINDS[self.kind])}, got {self.sizes}")

    def __str__(self) -> str:
        sizes = ", ".join(f"{name}={size}" for name, size in zip(KINDS[self.kind], self.sizes, strict=True))
        return f"{self.kind}({sizes})"


_ORDERED = {
    "channels", "classes", "entering", "hidden", "inner", "inputs", "kernel", "last", "outputs", "side", "skips",
    "width",
}  # fmt: skip
"""Sizes of which more never take less time; blocks that differ in others cannot be compared."""


def comparison(block: Block) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    """What two blocks must have in common to be compared, and the sizes by which they are.

    Of two blocks that share the first, the one of which no size of the second is smaller takes no less time.  An
    inverted residual that adds its input is another than one that does not.

    Examples:
        >>> comparison(Block("dense_second", (0, 32, 16)))
        (('dense_second', False, 0), (32, 16))
    """
    named = dict(zip(KINDS[block.kind], block.sizes, strict=True))
    adds = block.kind == "inverted_residual" and named["inputs"] == named["outputs"] and named["stride"] == 1
    others = (size for name, size in named.items() if name not in _ORDERED)
    return (block.kind, adds, *others), tuple(size for name, size in named.items() if name in _ORDERED)


def block(kind: str, *sizes: Any) -> Block:
    """Make a block of numbers and truth values."""
    return Block(kind, tuple(int(size) for size in sizes))


def inverted_residual_block(shape: InvertedResidualShape) -> Block:
    """The block of one inverted residual."""
    return block("inverted_residual", *shape[:6])


def residual_block(kind: str, shape: BlockShape, groups: int | None = None) -> Block:
    """The block of a basic block, a bottleneck or a pre-activation block."""
    last = () if groups is None else (groups,)
    return block(kind, *shape[:5], shape.projected, *last)


def blocks_of(spec: Specification) -> tuple[Block, ...]:
    """The blocks of a network, first to last.

    Raises:
        InvalidValueError: a family without blocks.

    Examples:
        >>> from nnmass import DenseMLP
        >>> for piece in blocks_of(DenseMLP(width=8, depth=3, max_skips=20, in_features=64)):
        ...     print(piece)
        linear(inputs=64, outputs=8, skips=0, first=1)
        linear(inputs=8, outputs=8, skips=0, first=0)
        linear(inputs=16, outputs=10, skips=8, first=0)
    """
    require_specification(spec)
    for family, cut in _CUTS.items():
        if isinstance(spec, family):
            return tuple(cut(spec))
    raise InvalidValueError(f"no blocks are known for the family {spec.family!r}")


def _dense_mlp(spec: DenseMLP) -> list[Block]:
    skips = spec.cells[0].layer_skips
    outputs = [spec.width] * (spec.depth - 1) + [spec.num_classes]
    hidden = [block("linear", spec.width + s, out, s, 0) for s, out in zip(skips[1:], outputs[1:], strict=True)]
    return [block("linear", spec.in_features, outputs[0], 0, 1), *hidden]


def _dense_cnn(spec: DenseCNN) -> list[Block]:
    found, inputs, entering = [], spec.in_channels, spec.image_size
    for k, (cell, side) in enumerate(zip(spec.cells, spec.resolutions, strict=True)):
        separable = spec.conv == "separable"
        found.append(block("dense_first", separable and k > 0, inputs, cell.width, 2 if k else 1, entering))
        if cell.depth > 1:
            found.append(block("dense_second", separable, cell.width, side))
        found += [block("dense_layer", separable, cell.width, side, cell.width + s) for s in cell.layer_skips[2:]]
        inputs, entering = cell.width, side
    return [*found, block("pooled_head", inputs, entering, spec.num_classes)]


def _mobilenet_v2(spec: MobileNetV2) -> list[Block]:
    last = spec.blocks[-1]
    return [
        block("stem", 3, 2, spec.in_channels, spec.stem, spec.image_size, False, True),
        *map(inverted_residual_block, spec.blocks),
        block("mobile_head", last.outputs, spec.last, last.side, spec.num_classes),
    ]


def _resnet(spec: ResNet) -> list[Block]:
    groups = spec.groups if spec.block == "bottleneck" else None
    stem = block("stem", 7, 2, spec.in_channels, spec.stages[0][0].inputs, spec.image_size, True, True)
    return [stem, *_stages(spec.block, spec.stages, groups), _head(spec.stages, spec.num_classes, norm=False)]


def _cifar_resnet(spec: CifarResNet) -> list[Block]:
    stem = block("stem", 3, 1, spec.in_channels, spec.widths[0], spec.image_size, False, True)
    return [stem, *_stages("basic", spec.stages), _head(spec.stages, spec.num_classes, norm=False)]


def _wide_resnet(spec: WideResNet) -> list[Block]:
    stem = block("stem", 3, 1, spec.in_channels, spec.stages[0][0].inputs, spec.image_size, False, False)
    return [stem, *_stages("preactivation", spec.stages), _head(spec.stages, spec.num_classes, norm=True)]


def _stages(kind: str, stages: Stages, groups: int | None = None) -> list[Block]:
    return [residual_block(kind, shape, groups) for stage in stages for shape in stage]


def _head(stages: Stages, num_classes: int, *, norm: bool) -> Block:
    last = stages[-1][-1]
    return block("average_head", last.outputs, last.side, num_classes, norm)


_CUTS: dict[type[Specification], Callable[[Any], list[Block]]] = {
    DenseMLP: _dense_mlp,
    DenseCNN: _dense_cnn,
    MobileNetV2: _mobilenet_v2,
    ResNet: _resnet,
    CifarResNet: _cifar_resnet,
    WideResNet: _wide_resnet,
}

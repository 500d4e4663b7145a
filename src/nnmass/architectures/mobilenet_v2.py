"""MobileNetV2: inverted residuals with free stages."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import Field

from nnmass.architectures.costs import Costs, halved
from nnmass.architectures.residual import LayerShape, block_values, residual_costs
from nnmass.architectures.specification import PerCell, Positive, Specification
from nnmass.topology import ResidualCell

Expansion: TypeAlias = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Stride: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=2)]
Stage: TypeAlias = tuple[Expansion, Positive, Positive, Stride]
"""Expansion, channels before the width multiplier, blocks, and stride of the first block."""

PUBLISHED_STAGES: tuple[Stage, ...] = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM, _LAST, _DIVISOR = 32, 1280, 8


class InvertedResidualShape(NamedTuple):
    """One inverted residual.

    Attributes:
        inputs: channels in.
        hidden: channels of its depthwise convolution.
        outputs: channels out.
        expands: whether a 1x1 convolution leads to the hidden channels; not where the expansion is 1.
        stride: of the depthwise convolution.
        entering: side of its input, in pixels.
        side: of its output, in pixels.
    """

    inputs: int
    hidden: int
    outputs: int
    expands: bool
    stride: int
    entering: int
    side: int

    @property
    def shortcut(self) -> bool:
        """Whether the input is added to the output: neither stride nor channels change."""
        return self.stride == 1 and self.inputs == self.outputs

    @property
    def cell(self) -> ResidualCell:
        """The block as a cell."""
        expanded = [self.hidden] if self.expands else []
        return ResidualCell((self.inputs, *expanded, self.hidden, self.outputs), self.shortcut)

    @property
    def layers(self) -> list[LayerShape]:
        """Its convolutions, each followed by batch norm."""
        expansion = LayerShape(self.inputs * self.hidden, self.hidden, self.entering)
        depthwise = LayerShape(9 * self.hidden, self.hidden, self.side)
        projection = LayerShape(self.hidden * self.outputs, self.outputs, self.side)
        return [expansion, depthwise, projection] if self.expands else [depthwise, projection]

    @property
    def live_values(self) -> int:
        """Numbers that are alive at most within the block."""
        expanded = [(self.hidden, self.entering)] if self.expands else []
        nodes = [*expanded, (self.hidden, self.side), (self.outputs, self.side)]
        return block_values(self.inputs, nodes, self.entering, held=self.shortcut)


class MobileNetV2(Specification):
    """MobileNetV2 as torchvision builds it, parameter for parameter (Sandler et al., arXiv:1801.04381).

    A 3x3 convolution of stride 2 to 32 channels, inverted residuals (1x1 expansion, depthwise 3x3, 1x1 projection, with
    batch norm, ReLU6 after the first two), a 1x1 convolution to 1280 channels, average pool, dropout, linear layer.
    Channels are multiplied by ``width_mult`` and rounded to multiples of 8; the last 1280 are only ever widened.

    A block whose stride or channels change has no shortcut and no mass, as in the published code.

    Attributes:
        width_mult: multiplies all channels.
        stages: (expansion, channels, blocks, stride) of each stage.
        stem_channels: of the first convolution, unmultiplied; None: 32 times ``width_mult``.
        last_channels: that the classifier reads, unmultiplied; None: 1280 times ``width_mult``, but at least 1280.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs.

    Raises:
        SpecificationError: a value is out of range or unknown.

    Examples:
        >>> [(spec.params, round(spec.nn_mass, 6)) for spec in (MobileNetV2(), MobileNetV2(width_mult=0.5))]
        [(3504872, 1287.0), (1968680, 650.0)]
    """

    family: Literal["MobileNetV2"] = "MobileNetV2"
    width_mult: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 1.0
    stages: Annotated[tuple[Stage, ...], PerCell] = Field(default=PUBLISHED_STAGES, min_length=1)
    stem_channels: Positive | None = None
    last_channels: Positive | None = None
    image_size: Positive = 224
    in_channels: Positive = 3
    num_classes: Positive = 1000

    @property
    def stem(self) -> int:
        """Channels of the first convolution."""
        return self.stem_channels or make_divisible(_STEM * self.width_mult)

    @property
    def last(self) -> int:
        """Channels that the classifier reads."""
        return self.last_channels or make_divisible(_LAST * max(1.0, self.width_mult))

    @property
    def blocks(self) -> tuple[InvertedResidualShape, ...]:
        """The inverted residuals, first to last."""
        inputs, side, found = self.stem, halved(self.image_size), []
        for expansion, channels, repeats, stride in self.stages:
            outputs = make_divisible(channels * self.width_mult)
            for i in range(repeats):
                s = stride if i == 0 else 1
                left = halved(side) if s == 2 else side
                hidden = max(round(inputs * expansion), 1)
                found.append(InvertedResidualShape(inputs, hidden, outputs, expansion != 1, s, side, left))
                inputs, side = outputs, left
        return tuple(found)

    @property
    def cells(self) -> tuple[ResidualCell, ...]:
        """The inverted residuals as cells."""
        return tuple(block.cell for block in self.blocks)

    @property
    def traits(self) -> dict[str, Any]:
        """All but the blocks per stage: channels as they are built, whatever multiplied them."""
        expansions, channels, _, strides = zip(*self.stages, strict=True)
        return {
            "expansions": expansions,
            "channels": tuple(make_divisible(count * self.width_mult) for count in channels),
            "strides": strides,
            "stem_channels": self.stem,
            "last_channels": self.last,
            **self.model_dump(include={"image_size", "in_channels", "num_classes"}),
        }

    @property
    def scaled_traits(self) -> frozenset[str]:
        """Expansions and channels."""
        return frozenset({"expansions", "channels", "stem_channels", "last_channels"})

    @property
    def costs(self) -> Costs:
        """Mass, parameters and MACs in closed form."""
        blocks = self.blocks
        layers = [LayerShape(9 * self.in_channels * self.stem, self.stem, halved(self.image_size))]
        for block in blocks:
            layers += block.layers
        layers.append(LayerShape(blocks[-1].outputs * self.last, self.last, blocks[-1].side))
        return residual_costs(self.cells, layers, self.last, self.num_classes)

    def _live_values(self) -> Iterator[int]:
        yield self.in_channels * self.image_size**2 + self.stem * halved(self.image_size) ** 2
        yield from (block.live_values for block in self.blocks)
        end = self.blocks[-1]
        yield (end.outputs + self.last) * end.side**2

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(in_channels, image_size, image_size)."""
        return (self.in_channels, self.image_size, self.image_size)


def make_divisible(channels: float) -> int:
    """Round to the nearest multiple of 8, at least 8, and never down by more than a tenth.

    Examples:
        >>> make_divisible(32), make_divisible(11), make_divisible(11.9), make_divisible(8.9)
        (32, 16, 16, 16)
    """
    rounded = max(_DIVISOR, int(channels + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded + _DIVISOR if rounded < 0.9 * channels else rounded

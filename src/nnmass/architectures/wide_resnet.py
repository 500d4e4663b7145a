"""Wide residual networks of pre-activation blocks."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nnmass.architectures.costs import Costs
from nnmass.architectures.residual import (
    BlockShape,
    LayerShape,
    Projection,
    Stages,
    residual_cells,
    residual_costs,
    residual_stages,
    stages_values,
)
from nnmass.architectures.specification import Positive, Specification
from nnmass.topology import ResidualCell

WIDE_STEM = 16
"""Channels of the first convolution; the stages have 1, 2 and 4 times as many, widened."""


class WideResNet(Specification):
    """Wide residual network for small images (Zagoruyko and Komodakis, arXiv:1605.07146): WRN-depth-widen_factor.

    A 3x3 convolution to 16 channels, three stages of n basic blocks with 16k, 32k and 64k channels, stride 2 from the
    second stage on, batch norm, ReLU, average pool, linear layer.  A block has batch norm, ReLU and a 3x3 convolution
    twice; where stride or channels change, a 1x1 convolution without batch norm leads its input, after the first ReLU,
    to the sum.

    A block (w_0, w_1, w_1) has density 1 and mass w_0 + w_1.

    Attributes:
        depth: 6n + 4: the two convolutions of every block, the first, and three 1x1 convolutions.
        widen_factor: k.
        dropout: probability of dropout between the second ReLU and the second convolution of a block.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs.
        projection: whether a shortcut that is a 1x1 convolution counts as skips, ``"count"``, or not, ``"zero"``.

    Raises:
        SpecificationError: a value is fractional, out of range or unknown; a depth that is not 6n + 4.

    Note:
        As in the published code, the first stage of k = 1 has no 1x1 convolution: its channels stay 16.  Dropout stands
        where the paper (section 2.4) and its Torch code have it; some PyTorch versions drop before the batch norm.

    Examples:
        >>> spec = WideResNet(depth=28, widen_factor=10)
        >>> spec.params, spec.macs, spec.nn_mass
        (36479194, 5243328768, 8336.0)
    """

    family: Literal["WideResNet"] = "WideResNet"
    depth: Positive
    widen_factor: Positive
    dropout: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    image_size: Positive = 32
    in_channels: Positive = 3
    num_classes: Positive = 10
    projection: Projection = "count"

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if self.depth < 10 or (self.depth - 4) % 6:
            raise ValueError(f"depth must be 6n + 4 with n at least 1 (10, 16, 22, 28, ...), got {self.depth}")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the three stages."""
        return tuple(WIDE_STEM * self.widen_factor * factor for factor in (1, 2, 4))

    @property
    def stages(self) -> Stages:
        """The blocks of every stage."""
        layers = [(self.depth - 4) // 6] * 3
        return residual_stages(WIDE_STEM, [(width, width) for width in self.widths], layers, self.image_size)

    @property
    def cells(self) -> tuple[ResidualCell, ...]:
        """The blocks, first to last."""
        return residual_cells(self.stages, 1, self.projection)

    @property
    def traits(self) -> dict[str, Any]:
        """All but the depth."""
        return self.model_dump(exclude={"family", "depth"})

    @property
    def scaled_traits(self) -> frozenset[str]:
        """The widening."""
        return frozenset({"widen_factor"})

    @property
    def costs(self) -> Costs:
        """Mass, parameters and MACs in closed form."""
        last = self.stages[-1][-1]
        stem = LayerShape(9 * self.in_channels * WIDE_STEM, 0, self.image_size)
        blocks = [layer for stage in self.stages for shape in stage for layer in _preactivation_layers(shape)]
        norm = LayerShape(0, last.outputs, last.side)
        return residual_costs(self.cells, [stem, *blocks, norm], last.outputs, self.num_classes)

    def _live_values(self) -> Iterator[int]:
        yield self.in_channels * self.image_size**2 + WIDE_STEM * self.image_size**2
        yield from stages_values(self.stages, 1)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(in_channels, image_size, image_size)."""
        return (self.in_channels, self.image_size, self.image_size)


def _preactivation_layers(shape: BlockShape) -> list[LayerShape]:
    """Two 3x3 convolutions, each after batch norm, and the 1x1 convolution of the shortcut, without."""
    inputs, inner, outputs = shape[:3]
    shortcut = inputs * outputs if shape.projected else 0
    return [
        LayerShape(9 * inputs * inner, inputs, shape.side),
        LayerShape(9 * inner * outputs, inner, shape.side),
        LayerShape(shortcut, 0, shape.side),
    ]

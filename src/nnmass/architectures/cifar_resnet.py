"""Residual networks in the form for small images."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from nnmass.architectures.costs import Costs
from nnmass.architectures.residual import (
    LayerShape,
    Projection,
    Stages,
    basic_layers,
    residual_cells,
    residual_costs,
    residual_stages,
    stages_values,
)
from nnmass.architectures.specification import PerCell, Positive, Specification
from nnmass.errors import InvalidValueError
from nnmass.topology import ResidualCell

Shortcut: TypeAlias = Literal["A", "B"]
"""Where stride or channels change: every other pixel and channels of zeros, or a 1x1 convolution and batch norm."""


class CifarResNet(Specification):
    """Residual network for CIFAR-10 (He et al., arXiv:1512.03385, section 4.2).

    A 3x3 convolution to the first stage's channels, stages of basic blocks, stride 2 from the second stage on, average
    pool, linear layer; batch norm after every convolution.

    A basic block (w_0, w_1, w_1) has density 1 and mass w_0 + w_1.  With option A every shortcut adds its w_0 channels
    without a weighted layer, so that it counts as w_0 skips, whatever ``projection`` says.

    Attributes:
        layers: blocks of each stage.
        widths: channels of each stage.
        shortcut: where stride or channels change, ``"A"`` (without parameters, as published: every other pixel, and
            channels of zeros after the others) or ``"B"`` (projection: a 1x1 convolution and batch norm).
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs.
        projection: whether a shortcut that is a projection counts as skips, ``"count"``, or not, ``"zero"``.

    Raises:
        SpecificationError: a value is fractional, out of range or unknown; other numbers of layers and widths; widths
            that decrease with option A.

    Examples:
        >>> spec = CifarResNet.of_depth(20)
        >>> spec.params, spec.macs, spec.nn_mass
        (269722, 40551040, 624.0)
        >>> CifarResNet(layers=(1,), widths=(16,)).nn_mass  # one basic block (16, 16, 16)
        32.0
    """

    family: Literal["CifarResNet"] = "CifarResNet"
    layers: Annotated[tuple[Positive, ...], PerCell] = Field(min_length=1, max_length=8)
    widths: Annotated[tuple[Positive, ...], PerCell] = (16, 32, 64)
    shortcut: Shortcut = "A"
    image_size: Positive = 32
    in_channels: Positive = 3
    num_classes: Positive = 10
    projection: Projection = "count"

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if len(self.layers) != len(self.widths):
            raise ValueError(f"layers must have one entry per stage ({len(self.widths)}), got {len(self.layers)}")
        if self.shortcut == "A" and list(self.widths) != sorted(self.widths):
            raise ValueError(f'widths must not decrease with shortcut "A", which adds channels, got {self.widths}')
        return self

    @classmethod
    def of_depth(
        cls,
        depth: int,
        *,
        widths: tuple[int, int, int] = (16, 32, 64),
        shortcut: Shortcut = "A",
        image_size: int = 32,
        in_channels: int = 3,
        num_classes: int = 10,
        projection: Projection = "count",
    ) -> Self:
        """Return the network of 6n + 2 layers, n blocks in each of three stages: 20, 32, 44, 56, 110 in the paper.

        Raises:
            InvalidValueError: another depth.
        """
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise InvalidValueError(f"depth must be 6n + 2 with n at least 1 (8, 14, 20, ...), got {depth}")
        return cls(
            layers=(blocks,) * 3,
            widths=widths,
            shortcut=shortcut,
            image_size=image_size,
            in_channels=in_channels,
            num_classes=num_classes,
            projection=projection,
        )

    @property
    def depth(self) -> int:
        """Layers on the longest path: two per block, the first convolution and the linear layer."""
        return 2 * sum(self.layers) + 2

    @property
    def stages(self) -> Stages:
        """The blocks of every stage."""
        widths = [(width, width) for width in self.widths]
        return residual_stages(self.widths[0], widths, self.layers, self.image_size, projects=self.shortcut == "B")

    @property
    def cells(self) -> tuple[ResidualCell, ...]:
        """The blocks, first to last."""
        return residual_cells(self.stages, 1, self.projection)

    @property
    def traits(self) -> dict[str, Any]:
        """All but the blocks per stage."""
        return self.model_dump(exclude={"family", "layers"})

    @property
    def scaled_traits(self) -> frozenset[str]:
        """Channels of the stages."""
        return frozenset({"widths"})

    @property
    def costs(self) -> Costs:
        """Mass, parameters and MACs in closed form."""
        stem = LayerShape(9 * self.in_channels * self.widths[0], self.widths[0], self.image_size)
        blocks = [layer for stage in self.stages for shape in stage for layer in basic_layers(shape)]
        return residual_costs(self.cells, [stem, *blocks], self.widths[-1], self.num_classes)

    def _live_values(self) -> Iterator[int]:
        yield self.in_channels * self.image_size**2 + self.widths[0] * self.image_size**2
        yield from stages_values(self.stages, 1)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(in_channels, image_size, image_size)."""
        return (self.in_channels, self.image_size, self.image_size)

"""The DenseNet-type convolutional network."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from nnmass.architectures.costs import Convolution, Costs, cell_resolutions, cell_values, dense_cnn_costs
from nnmass.architectures.specification import LinkedSpecification, NonNegative, PerCell, Positive
from nnmass.topology import Cell


def _one_if_equal(value: object) -> object:
    """Equal depths are one depth, however they were written."""
    if not isinstance(value, list | tuple | np.ndarray) or np.ndim(value) != 1:
        return value
    values = tuple(int(v) if isinstance(v, np.integer) else v for v in value)
    return values[0] if values and all(type(v) is int for v in values) and len(set(values)) == 1 else values


class DenseCNN(LinkedSpecification):
    """Convolutional network of cells with random concatenation skips (arXiv:1910.00780, section 4.2).

    Layer 0 of a cell is a 3x3 convolution (stride 2 from the second cell on) and batch norm; layer 1 is ReLU, 3x3
    convolution, batch norm; layer i >= 2 is cat(x_{i-1}, skips), batch norm, ReLU, 3x3 convolution to the cell's width.
    No convolution has a bias.  The last map is average-pooled to 4x4 and classified by a linear layer.

    With ``conv="separable"`` each 3x3 convolution but the network's first becomes 1x1, batch norm, ReLU, depthwise 3x3,
    batch norm, ReLU, 1x1, batch norm; a stride is that of the depthwise one.

    Attributes:
        widths: channels of each cell; one cell or more.
        depth: layers per cell: one number for all, or one per cell.
        max_skips: maximum number of skip candidates per layer, one per cell (one number serves all).
        conv: ``"regular"`` or ``"separable"``.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs.

    Raises:
        SpecificationError: a value is fractional, out of range or unknown, or not one per cell.

    Examples:
        >>> spec = DenseCNN(widths=(32, 64, 128), depth=8, max_skips=(10, 20, 40))
        >>> spec.nn_mass, [round(cell.density, 4) for cell in spec.cells]
        (160.0, [0.0893, 0.0893, 0.0893])
    """

    family: Literal["DenseCNN"] = "DenseCNN"
    widths: Annotated[tuple[Positive, ...], PerCell] = Field(min_length=1)
    depth: Annotated[Positive | tuple[Positive, ...], BeforeValidator(_one_if_equal)]
    max_skips: Annotated[NonNegative | tuple[NonNegative, ...], PerCell]
    conv: Convolution = "regular"
    image_size: Positive = 32
    in_channels: Positive = 3
    num_classes: Positive = 10

    @model_validator(mode="before")
    @classmethod
    def _one_skip_number_per_cell(cls, values: dict[str, object]) -> dict[str, object]:
        skips, widths = values.get("max_skips"), values.get("widths")
        one = isinstance(skips, int | np.integer) and not isinstance(skips, bool)
        if one and isinstance(widths, list | tuple | np.ndarray) and np.ndim(widths) == 1:
            return values | {"max_skips": (skips,) * len(widths)}
        return values

    @model_validator(mode="after")
    def _validate(self) -> Self:
        for name in ("depth", "max_skips"):
            given = getattr(self, name)
            if isinstance(given, tuple) and len(given) != len(self.widths):
                raise ValueError(f"{name} must have one entry per cell ({len(self.widths)}), got {len(given)}")
        return self._check_links()

    @property
    def depths(self) -> tuple[int, ...]:
        """Layers of each cell."""
        return self.depth if isinstance(self.depth, tuple) else (self.depth,) * len(self.widths)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells, first to last."""
        assert isinstance(self.max_skips, tuple)  # a single number was spread over the cells
        return tuple(map(Cell, self.widths, self.depths, self.max_skips))

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Side of each cell's feature maps, in pixels."""
        return tuple(cell_resolutions(self.image_size, len(self.widths)))

    @property
    def costs(self) -> Costs:
        """Mass, parameters and MACs in closed form."""
        return dense_cnn_costs(
            self.widths,
            self.depths,
            [cell.max_skips for cell in self.cells],
            conv=self.conv,
            image_size=self.image_size,
            in_channels=self.in_channels,
            num_classes=self.num_classes,
        )

    def _live_values(self) -> Iterator[int]:
        entering = self.in_channels * self.image_size**2
        for cell, side in zip(self.cells, self.resolutions, strict=True):
            yield entering + cell.width * side**2
            yield cell_values(cell.width, cell.depth, cell.max_skips, side)
            entering = cell.width * side**2

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(in_channels, image_size, image_size)."""
        return (self.in_channels, self.image_size, self.image_size)

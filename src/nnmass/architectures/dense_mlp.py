"""The DenseNet-type multilayer perceptron."""

from collections.abc import Iterator
from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from nnmass.architectures.costs import Costs, cell_values, dense_mlp_costs
from nnmass.architectures.specification import LinkedSpecification, NonNegative, Positive
from nnmass.topology import Cell

Activation: TypeAlias = Literal["elu", "relu", "selu", "tanh", "linear"]


class DenseMLP(LinkedSpecification):
    """Multilayer perceptron with random concatenation skips, one cell (arXiv:1910.00780, section 4.1).

    Layer 0 is Linear(in_features, width).  Layer i >= 1 is Linear(width + s_i, width) on φ(cat(x_{i-1}, skips)), with
    s_i = min(max_skips, width * (i-1)) channels of layers 0 ... i-2; the last layer, depth-1, goes to the classes.

    Attributes:
        width: neurons per layer.
        depth: layers, the classifier included; at least 2.
        max_skips: maximum number of skip candidates per layer; beyond width * (depth-2) it saturates.
        in_features: inputs; an input of any shape with so many values is flattened.
        num_classes: outputs.
        activation: φ; ``"linear"`` is none.

    Raises:
        SpecificationError: a value is fractional, out of range or unknown.

    Note:
        The published code applies φ twice to layer 0 and not at all before the classifier; this one applies it once,
        everywhere.

    Examples:
        >>> spec = DenseMLP(width=8, depth=16, max_skips=20, in_features=64)
        >>> spec.params, spec.macs, round(spec.nn_mass, 4)
        (3770, 3640, 40.2286)
    """

    family: Literal["DenseMLP"] = "DenseMLP"
    width: Positive
    depth: Positive = Field(ge=2)
    max_skips: NonNegative
    in_features: Positive = 784
    num_classes: Positive = 10
    activation: Activation = "elu"

    @model_validator(mode="after")
    def _validate(self) -> Self:
        return self._check_links()

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The one cell."""
        return (Cell(self.width, self.depth, self.max_skips),)

    @property
    def costs(self) -> Costs:
        """Mass, parameters and MACs in closed form."""
        return dense_mlp_costs(
            self.width, self.depth, self.max_skips, in_features=self.in_features, num_classes=self.num_classes
        )

    def _live_values(self) -> Iterator[int]:
        yield self.in_features + self.width
        yield cell_values(self.width, self.depth, self.max_skips)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(in_features,)."""
        return (self.in_features,)

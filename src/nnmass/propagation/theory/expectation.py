"""The expected singular values of layers, and their pooled figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.propagation.theory.large_matrix import LargeMatrix
from nnmass.representation import brief

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedLayer:
    """What theory expects of the singular values of one layer's Jacobian.

    Attributes:
        name: path of the layer's module in the built network.
        hidden: whether the pooled figures count it.
        rows: outputs; of a convolution, channels.
        columns: inputs; of a convolution, channels: those of the matrix at one frequency.
        effective_columns: of those, as many of one common variance as have the same second moments: less by the
            activation's slope, and by unequal variances.
        std: standard deviation of an entry in an effective column.
        count: singular values per input: the smaller of the output's and the input's size.
        mean: expected mean of the singular values.
        mean_square: expected mean of their squares.
        matrix: the Jacobian as a large matrix, for the distribution of its singular values.
        orthogonal_columns: columns of the orthogonal matrix that the layer is a part of; None for independent entries.
    """

    name: str
    hidden: bool
    rows: int
    columns: int
    effective_columns: float
    std: float
    count: int
    mean: float
    mean_square: float
    matrix: LargeMatrix = field(compare=False, repr=False)
    orthogonal_columns: int | None = None

    @property
    def spread(self) -> float:
        """Standard deviation of the singular values, over layer and network alike."""
        return _spread(self.mean, self.mean_square)

    def below(self, values: npt.ArrayLike) -> FloatArray:
        """Expected share of the singular values that are at most each of ``values``, by the law of large matrices.

        Args:
            values: >= 0, of any shape.
        """
        return self.matrix.below(values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "matrix"} | {"spread": self.spread}


@dataclass(frozen=True)
class ExpectedIsometry:
    """What theory expects of the singular values of a network at initialisation.

    Pooled figures count every singular value once: layers weigh as their ``count``.

    Attributes:
        layers: every weighted layer, in order.
        short_form: the paper's short form for the hidden layers, without activation: f at w rows and w + m/2 columns;
            None where no layer is hidden.
        initialisation: as ``str(Initialisation)``.
        activation: whose slope is corrected for.
    """

    __repr__ = brief

    layers: tuple[ExpectedLayer, ...]
    short_form: float | None
    initialisation: str
    activation: str

    @property
    def hidden(self) -> tuple[ExpectedLayer, ...]:
        """The hidden layers."""
        return tuple(layer for layer in self.layers if layer.hidden)

    @property
    def mean(self) -> float | None:
        """Mean singular value over the hidden layers; None where there is none."""
        return _pooled(self.hidden)[0] if self.hidden else None

    @property
    def std(self) -> float | None:
        """Standard deviation of the hidden layers' singular values; None where no layer is hidden."""
        return _spread(*_pooled(self.hidden)) if self.hidden else None

    @property
    def all_mean(self) -> float:
        """Mean singular value over every weighted layer."""
        return _pooled(self.layers)[0]

    @property
    def all_std(self) -> float:
        """Standard deviation of every weighted layer's singular values."""
        return _spread(*_pooled(self.layers))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "initialisation": self.initialisation,
            "activation": self.activation,
            "mean": self.mean,
            "std": self.std,
            "all_mean": self.all_mean,
            "all_std": self.all_std,
            "short_form": self.short_form,
            "layers": [layer.to_dict() for layer in self.layers],
        }


def _pooled(layers: Sequence[ExpectedLayer]) -> tuple[float, float]:
    """Give mean and mean square."""
    counts = np.array([layer.count for layer in layers], dtype=np.float64)
    moments = np.array([(layer.mean, layer.mean_square) for layer in layers])
    mean, mean_square = counts @ moments / counts.sum()
    return float(mean), float(mean_square)


def _spread(mean: float, mean_square: float) -> float:
    return math.sqrt(max(mean_square - mean**2, 0.0))

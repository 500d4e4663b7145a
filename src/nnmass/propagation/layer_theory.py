"""The expected singular values of one layer from its weights' law and its columns' scales."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from nnmass.propagation.expectation import ExpectedLayer
from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.random_matrix import Symmetry, mean_masked_orthogonal, mean_singular_value

FloatArray: TypeAlias = npt.NDArray[np.float64]

_STEP = 1.15  # ratio of neighbouring widths between which a sum is interpolated: good to 1e-4
_FEW_ROWS = 16


@dataclass(frozen=True)
class Columns:
    """A layer's input columns: W·diag(g) with W of equal variance; one value per sample of the network.

    Attributes:
        number: columns, those that are off included.
        first: Σ|g|.
        square: Σg².
        fourth: Σg⁴.
    """

    number: int
    first: FloatArray
    square: FloatArray
    fourth: FloatArray

    @classmethod
    def of(cls, squares: FloatArray) -> Self:
        """Sum over the columns: g² of shape (samples, columns)."""
        return cls(squares.shape[1], np.sqrt(squares).sum(1), squares.sum(1), (squares**2).sum(1))

    @classmethod
    def expected(cls, number: int, squares: npt.ArrayLike, times: npt.ArrayLike = 1.0) -> Self:
        """One sample: each g² counts as many times, a real number; ``number`` columns in all."""
        g2, m = np.broadcast_arrays(np.asarray(squares, dtype=np.float64), np.asarray(times, dtype=np.float64))
        return cls(number, *(np.array([(m * g2**power).sum()]) for power in (0.5, 1, 2)))

    @classmethod
    def plain(cls, number: int) -> Self:
        """Columns of scale 1."""
        return cls.expected(number, 1.0, number)

    @property
    def effective(self) -> FloatArray:
        """(Σg²)² / Σg⁴ columns of one variance have the same second moments; 0 where all are off."""
        return np.divide(self.square**2, self.fourth, out=np.zeros_like(self.square), where=self.fourth > 0)

    @property
    def scale(self) -> FloatArray:
        """√(Σg⁴ / Σg²), their common g; 0 where all are off."""
        return np.sqrt(np.divide(self.fourth, self.square, out=np.zeros_like(self.square), where=self.square > 0))


@dataclass(frozen=True)
class Weights:
    """The law of a layer's weights and biases.

    Attributes:
        variance: mean square of a weight.
        bias_variance: mean square of a bias.
        excess_kurtosis: of a weight.
        orthogonal_columns: columns of the semi-orthogonal weight matrix; None for independent weights.
    """

    variance: float
    bias_variance: float
    excess_kurtosis: float
    orthogonal_columns: int | None

    @classmethod
    def of(cls, init: Initialisation, inputs: int, outputs: int, *, kernel_area: int = 1) -> Self:
        """Weights of a linear layer or an ungrouped convolution."""
        fan_in, fan_out = inputs * kernel_area, outputs * kernel_area
        return cls(
            variance=init.weight_variance(fan_in, fan_out, kernel_area=kernel_area),
            bias_variance=init.bias_variance(fan_in),
            excess_kurtosis=init.excess_kurtosis,
            orthogonal_columns=fan_in if init.kind == "orthogonal" else None,
        )


def expected_layer(
    name: str,
    rows: int,
    columns: Columns,
    weights: Weights,
    *,
    hidden: bool,
    count: int | None = None,
    symmetry: Symmetry = "real",
    excess_kurtosis: float | None = None,
) -> ExpectedLayer:
    """Expect the singular values of W·diag(g): f(rows, effective columns) · √(variance · Σg⁴/Σg²), over samples.

    The mean of their squares is exact: rows · variance · E Σg² / min(rows, columns).

    Args:
        name: path of the module.
        rows: outputs.
        columns: their scales.
        weights: their law.
        hidden: whether pooled figures count the layer.
        count: singular values per input, min(rows, columns) if not given.
        symmetry: of the matrix.
        excess_kurtosis: of its entries, the weights' own if not given.
    """
    kurtosis = weights.excess_kurtosis if excess_kurtosis is None else excess_kurtosis
    number, std = min(rows, columns.number), math.sqrt(weights.variance)
    if weights.orthogonal_columns is None:
        sums = std * columns.scale * _gaussian_sums(rows, columns.effective, symmetry, kurtosis)
    else:
        sums = _orthogonal_sums(rows, columns, weights.orthogonal_columns, symmetry)
    return ExpectedLayer(
        name=name,
        hidden=hidden,
        rows=rows,
        columns=columns.number,
        effective_columns=float(columns.effective.mean()),
        std=std * float(columns.scale.mean()),
        count=number if count is None else count,
        mean=float(sums.mean()) / number,
        mean_square=rows * weights.variance * float(columns.square.mean()) / number,
        orthogonal_columns=weights.orthogonal_columns,
    )


def _gaussian_sums(rows: int, effective: FloatArray, symmetry: Symmetry, kurtosis: float) -> FloatArray:
    """Sum of the singular values at each effective width; interpolated where there are many."""

    def exact(width: float) -> float:
        if width == 0:
            return 0.0
        return min(rows, width) * mean_singular_value(rows, width, symmetry=symmetry, excess_kurtosis=kurtosis)

    if effective.size == 1:
        return np.array([exact(float(effective[0]))])
    nodes = _nodes(rows, float(effective.max()))
    values = PchipInterpolator(nodes, [exact(width) for width in nodes])(effective)
    return np.asarray(values, dtype=np.float64)


def _orthogonal_sums(rows: int, columns: Columns, total: int, symmetry: Symmetry) -> FloatArray:
    """Sum of the singular values of Q·diag(g); where Q's columns are orthonormal these are the g themselves."""
    if rows >= total:
        return columns.first
    kept = np.minimum(columns.effective, total)
    means = [mean_masked_orthogonal(rows, total, float(k), symmetry=symmetry) for k in kept]
    sums: FloatArray = rows * columns.scale * np.array(means)
    return sums


@lru_cache(maxsize=256)
def _nodes_up_to(rows: int, steps: int) -> tuple[float, ...]:
    few = np.linspace(0, rows, min(rows, _FEW_ROWS) + 1)
    return (*few.tolist(), *(rows * _STEP ** np.arange(1, steps + 1)).tolist())


def _nodes(rows: int, largest: float) -> tuple[float, ...]:
    """Widths from 0 past the largest; the same ones for every layer, so that they are evaluated once."""
    return _nodes_up_to(rows, 1 + max(0, math.ceil(math.log(largest / rows, _STEP))) if largest > rows else 1)

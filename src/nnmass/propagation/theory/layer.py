"""The expected singular values of one layer from its weights' law and its columns' scales."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from scipy.interpolate import PchipInterpolator

from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.theory.columns import Columns, FloatArray
from nnmass.propagation.theory.expectation import ExpectedLayer
from nnmass.propagation.theory.large_matrix import LargeMatrix
from nnmass.propagation.theory.random_matrix import Symmetry, large_sum, mean_singular_value
from nnmass.propagation.theory.unequal_columns import gaussian_sum, orthogonal_sum

_STEP = 1.15  # ratio of neighbouring widths between which a sum is interpolated: error below 4e-4
_INTERVALS = 16  # at least, below as many columns as rows
_FEWEST, _ENTRIES = 8, 4096  # samples, and columns in all of them, on which unequal columns are corrected for


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
    """Expect the singular values of W·diag(g).

    Independent entries: the sum over the singular values is f(rows, effective columns) · √(variance · Σg⁴/Σg²), times
    what unequal columns change in a large matrix, averaged over samples.  The effective columns bring in the finite
    size, by f; the correction for unequal columns, `gaussian_sum` over its value at the effective columns, matters
    where these are hardly more than the rows.

    Orthogonal weights: by `orthogonal_sum`.

    The mean of the squares is rows · variance · E Σg² / min(rows, columns) in either case.

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
        sums *= _profile_factor(rows, columns)
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
        mean_square=rows * weights.variance * float(columns.power_sum(1).mean()) / number,
        matrix=LargeMatrix(rows, columns, weights.variance, weights.orthogonal_columns),
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


def _profile_factor(rows: int, columns: Columns) -> float:
    """What unequal columns change in a large matrix, over a few samples."""
    few = columns.few(max(_FEWEST, _ENTRIES // columns.squares.shape[1]))
    equal = [_large(rows, float(width)) for width in few.effective]
    expected = float(few.scale @ np.array(equal))
    return float(gaussian_sum(rows, few).sum()) / expected if expected else 1.0


def _large(rows: int, width: float) -> float:
    return large_sum(min(rows, width), max(rows, width), "complex") if width else 0.0


def _orthogonal_sums(rows: int, columns: Columns, total: int, symmetry: Symmetry) -> FloatArray:
    """Sum of the singular values of Q·diag(g); where Q's columns are orthonormal these are the g themselves."""
    if rows >= total:
        return columns.power_sum(0.5)
    return orthogonal_sum(rows, columns, total, symmetry)


@lru_cache(maxsize=256)
def _nodes_up_to(rows: int, steps: int) -> tuple[float, ...]:
    intervals = _INTERVALS if rows > _INTERVALS else rows * math.ceil(_INTERVALS / rows)  # whole numbers are nodes
    few = np.linspace(0, rows, intervals + 1)
    return (*few.tolist(), *(rows * _STEP ** np.arange(1, steps + 1)).tolist())


def _nodes(rows: int, largest: float) -> tuple[float, ...]:
    """Widths from 0 past the largest; the same ones for every layer, so that they are evaluated once."""
    return _nodes_up_to(rows, 1 + max(0, math.ceil(math.log(largest / rows, _STEP))) if largest > rows else 1)

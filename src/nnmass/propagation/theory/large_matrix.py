"""How the singular values of a large random matrix J = W·diag(g) are distributed.

For independent and for orthogonal weights the eigenvalues x of JJᵀ are an explicit function x(ω) of a complex number.
Im x / Im ω increases with Im ω, so that above every real part there is at most one point where x is real.  Along these
points x increases, and its density is that of the table (P. Biane, Indiana Univ. Math. J. 46 (1997) 705-718).

| weights                   | x(ω)                          | density, of all H rows      |
|---------------------------|-------------------------------|-----------------------------|
| H × W independent ones    | H ω + Σ g² ω / (ω - g²)       | Im ω / (π abs(ω)²)          |
| H of W orthonormal rows   | ω - (W - H) / Σ 1 / (ω - g²)  | Im ω Σ abs(ω - g²)⁻² / π    |

Besides, a scale that τ of W columns have is a singular value of at least H + τ - W orthonormal rows.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nnmass.propagation.theory.columns import Columns, FloatArray

_POINTS = 96
_CENTRES = 24
_FINEST = 1e-8  # of the range of real parts
_HALVINGS = 28
_REAL = 1e-6  # ω whose imaginary part is a smaller share of its bound is real: there is nothing at its x
_FEWEST, _ENTRIES = 4, 1024  # samples, and columns in all of them


@dataclass(frozen=True, eq=False)
class _Sample:
    """The singular values at one sample of the columns' scales.

    Attributes:
        exact: those that are a column's scale.
        counts: how many of each.
        nodes: where the distribution function of the others is known, ascending.
        reached: how many of the others lie below each node.
    """

    exact: FloatArray
    counts: FloatArray
    nodes: FloatArray
    reached: FloatArray

    def above(self, s: FloatArray) -> FloatArray:
        """How many are larger."""
        others = self.reached[-1] - np.interp(s, self.nodes, self.reached)
        above: FloatArray = (self.exact > s[..., None]) @ self.counts + others
        return above


@dataclass(frozen=True, eq=False)
class LargeMatrix:
    """A layer's Jacobian as a large matrix.

    Attributes:
        rows: H.
        columns: their scales g, in samples of the network.
        variance: of independent weights.
        orthogonal_columns: W of orthogonal weights; None for independent ones.
    """

    rows: int
    columns: Columns
    variance: float
    orthogonal_columns: int | None

    def below(self, values: npt.ArrayLike) -> FloatArray:
        """Share of the min(rows, columns) singular values that are at most each value, averaged over samples.

        Args:
            values: >= 0, of any shape.
        """
        s = np.asarray(values, dtype=np.float64)
        above = np.mean([sample.above(s) for sample in self._samples], axis=0)
        shares: FloatArray = np.clip(1 - above / min(self.rows, self.columns.number), 0, 1)
        return shares

    @cached_property
    def _samples(self) -> list[_Sample]:
        few = self.columns.few(max(_FEWEST, _ENTRIES // self.columns.squares.shape[1]))
        return [self._sample(squares) for squares in few.squares]

    def _sample(self, squares: FloatArray) -> _Sample:
        kinds, places = np.unique(squares, return_inverse=True)
        times: FloatArray = np.bincount(places, self.columns.times)[kinds > 0].astype(np.float64)
        g2 = kinds[kinds > 0]
        if self.orthogonal_columns is None:
            rank, counts = min(self.rows, times.sum()), np.zeros_like(times)
        else:
            short = max(self.orthogonal_columns - self.rows, 0)  # rows fewer than columns
            rank, counts = min(self.orthogonal_columns - short, times.sum()), np.maximum(times - short, 0)
        others = rank - counts.sum()
        if others <= _REAL * self.rows:
            return _Sample(np.sqrt(g2), counts, np.zeros(1), np.zeros(1))
        low, high, reach = self._reach(g2, times)
        v, reached = _real_parts(g2, low - reach, high + reach), np.empty(0)
        for once_more in (True, False):
            y = self._imaginary_parts(v, reach, g2, times)
            x, _, density = self._curve(v, y, g2, times)
            nodes = np.sqrt(np.maximum(x, 0))
            heights = np.where(y > _REAL * reach, nodes * density, 0.0)
            reached = np.concatenate([[0.0], np.cumsum((heights[1:] + heights[:-1]) * np.diff(nodes))])
            if once_more:  # with points where the singular values are
                v = np.union1d(v, np.interp(np.linspace(0, reached[-1], _POINTS), reached, v))
        scale = math.sqrt(self.variance) if self.orthogonal_columns is None else 1.0
        return _Sample(np.sqrt(g2), counts, scale * nodes, others * reached / reached[-1])

    def _imaginary_parts(self, v: FloatArray, most: float, g2: FloatArray, times: FloatArray) -> FloatArray:
        """Where x is real above each v, 0 where it is so on the real axis only."""
        low, high = np.zeros_like(v), np.full_like(v, most)
        for _ in range(_HALVINGS):
            y = (low + high) / 2
            inside = self._curve(v, y, g2, times)[1] < 0
            low, high = np.where(inside, y, low), np.where(inside, high, y)
        return high

    def _reach(self, g2: FloatArray, times: FloatArray) -> tuple[float, float, float]:
        """Least and largest g², and how far ω may be from them where x is real."""
        total = self.orthogonal_columns
        first, second = float(g2 @ times), float(g2**2 @ times)
        if total is None:
            return float(g2.min()), float(g2.max()), math.sqrt(second / self.rows)
        variance = max(second / total - (first / total) ** 2, 0.0)
        low = 0.0 if times.sum() < total else float(g2.min())
        return low, float(g2.max()), math.sqrt(variance * (total - self.rows) / self.rows)

    def _curve(
        self, v: FloatArray, y: FloatArray, g2: FloatArray, times: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give Re x, Im x / Im ω and the density (times π) at ω = v + iy."""
        apart = v[:, None] - g2
        square = 1 / (apart**2 + y[:, None] ** 2)
        distance = 1 / (v**2 + y**2)
        if self.orthogonal_columns is None:
            strengths = g2**2 * times
            x = self.rows * v + g2 @ times + (apart * square) @ strengths
            return x, self.rows - square @ strengths, y * distance
        off, short = self.orthogonal_columns - times.sum(), self.orthogonal_columns - self.rows
        second = square @ times + off * distance
        real = (apart * square) @ times + off * v * distance
        size = real**2 + (y * second) ** 2  # of Σ 1 / (ω - g²), squared
        return v - short * real / size, 1 - short * second / size, y * second


def _real_parts(g2: FloatArray, low: float, high: float) -> FloatArray:
    """Points from low to high: evenly spaced, and close to 0 and to the scales, around which narrow arcs may lie."""
    centres = np.concatenate([[0.0], g2[:: -(-len(g2) // _CENTRES)]])
    near = np.geomspace(_FINEST, 1, max(_POINTS // len(centres), 3)) * (high - low)
    points = np.concatenate(
        [np.linspace(low, high, _POINTS), np.add.outer(centres, np.concatenate([-near, near])).ravel()]
    )
    return np.unique(points[(points >= low) & (points <= high)])

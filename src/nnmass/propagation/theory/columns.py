"""The columns of a layer's Jacobian W·diag(g)."""

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """Scales g of the columns, one set per sample of the network.

    Attributes:
        number: columns, those that are off included.
        squares: g², shape (samples, kinds).
        times: how many columns are of each kind, real, shape (kinds,).
    """

    number: int
    squares: FloatArray
    times: FloatArray

    @classmethod
    def sampled(cls, squares: FloatArray) -> Self:
        """Each column is of its own kind: g² of shape (samples, columns)."""
        return cls(squares.shape[1], squares, np.ones(squares.shape[1]))

    @classmethod
    def expected(cls, number: int, squares: npt.ArrayLike, times: npt.ArrayLike) -> Self:
        """One sample: g² of some kinds, and how many of the ``number`` columns are of each; the others are off."""
        g2, m = np.broadcast_arrays(np.asarray(squares, dtype=np.float64), np.asarray(times, dtype=np.float64))
        return cls(number, np.atleast_2d(g2), np.atleast_1d(m))

    @classmethod
    def plain(cls, number: int) -> Self:
        """Columns of scale 1."""
        return cls.expected(number, 1.0, number)

    def power_sum(self, power: float) -> FloatArray:
        """Σ g^(2 power), one per sample."""
        sums: FloatArray = self.squares**power @ self.times
        return sums

    @property
    def effective(self) -> FloatArray:
        """(Σg²)² / Σg⁴ columns of one variance have the same second moments; 0 where all are off."""
        square, fourth = self.power_sum(1), self.power_sum(2)
        return np.divide(square**2, fourth, out=np.zeros_like(square), where=fourth > 0)

    @property
    def scale(self) -> FloatArray:
        """√(Σg⁴ / Σg²), their common g; 0 where all are off."""
        square, fourth = self.power_sum(1), self.power_sum(2)
        return np.sqrt(np.divide(fourth, square, out=np.zeros_like(square), where=square > 0))

    def few(self, most: int) -> Self:
        """As many samples, or all there are."""
        return type(self)(self.number, self.squares[:most], self.times)

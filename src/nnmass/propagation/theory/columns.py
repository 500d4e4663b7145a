"""The columns of a layer's Jacobian W·diag(g), and what unequal ones do to the singular values."""

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]

_GAUSS, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_ANGLES: FloatArray = (_GAUSS + 1) * np.pi / 4
_MOST_STEPS = 100


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


def large_profile_sum(rows: int, columns: Columns) -> FloatArray:
    """Sum of the singular values of a large G·diag(g), G of ``rows`` rows and independent entries of mean square 1.

    Since √x = (1/π) ∫ x / (x + t) dt/√t, the sum is (1/π) ∫ (H - t r(t)) dt/√t.  Here r(t) = tr (JJᵀ + t)⁻¹ tends to
    the root of t r + Σ g² r / (1 + g² r) = H.  The left side is increasing and concave in r, so that Newton's method
    climbs to the root from any value below it, as H / (t + Σg²) is.

    Source: J. W. Silverstein, Z. D. Bai, J. Multivariate Anal. 54 (1995) 175-192.  With equal g it is the
    Marchenko-Pastur law.

    Args:
        rows: H.
        columns: their scales.

    Returns:
        One sum per sample.

    Examples:
        >>> large_profile_sum(8, Columns.plain(8)).round(4).tolist()  # 8 √8 · 8 / (3π)
        [19.2067]
    """
    total = columns.power_sum(1)
    unit = np.where(total > 0, total, 1.0)[:, None]
    t = np.tan(_ANGLES) ** 2  # in units of Σg²
    g2 = (columns.squares / unit)[:, None, :]
    r = rows / (t + g2 @ columns.times)
    for _ in range(_MOST_STEPS):
        shrunk = g2 / (1 + g2 * r[..., None])
        excess = r * (t + shrunk @ columns.times) - rows
        slope = t + (shrunk / (1 + g2 * r[..., None])) @ columns.times
        r = r - excess / slope
        if np.abs(excess).max() < 1e-9 * rows:
            break
    sums: FloatArray = np.sqrt(total) * ((rows - t * r) * (_WEIGHTS / np.cos(_ANGLES) ** 2)).sum(1) / 2
    return sums

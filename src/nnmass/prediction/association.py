"""Associations within groups, for every resample of a sample at once."""

from collections.abc import Hashable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]

_SAME = 1e-9
"""Values that differ by less, relatively, are tied: closed forms of one number may differ in the last digits."""
_COLLINEAR = 1e-8


class WithinGroups:
    """What elements of one group say of each other; elements of different groups are never compared.

    All results hold one value per resample, NaN where it is not defined.

    Attributes:
        counts: (resamples, n) how often each element stands in each resample.
    """

    def __init__(self, groups: Sequence[Hashable], counts: FloatArray) -> None:
        self.counts = counts
        self._same = np.array([[a == b for b in groups] for a in groups], np.float64)
        self._sizes = counts @ self._same

    def centred(self, values: FloatArray) -> FloatArray:
        """Values minus the mean of their group: (resamples, n)."""
        means = (self.counts * values) @ self._same / np.maximum(self._sizes, 1)
        centred: FloatArray = values - means
        return centred

    def ranks(self, values: FloatArray) -> FloatArray:
        """Ranks in their group, as shares of its size and centred: (resamples, n).

        An element of rank r (ties share the mean of their ranks) among N has 2r/(N + 1) - 1, so that all elements
        weigh alike, whatever the size of their group.
        """
        ranks: FloatArray = self.counts @ self.signs(values).T / (self._sizes + 1)
        return ranks

    def signs(self, values: FloatArray) -> FloatArray:
        """Element i, j: whether i is larger (1), smaller (-1) or tied (0); 0 between groups: (n, n)."""
        differences = values[:, None] - values[None, :]
        tied = np.abs(differences) <= _SAME * np.maximum(np.abs(values)[:, None], np.abs(values)[None, :])
        signs: FloatArray = np.where(tied, 0.0, np.sign(differences)) * self._same
        return signs

    def over_pairs(self, terms: FloatArray) -> FloatArray:
        """Sum of a symmetric (n, n) matrix over the pairs of each resample: (resamples,)."""
        total: FloatArray = ((self.counts @ terms) * self.counts).sum(1) / 2
        return total

    def spearman(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Correlation of `ranks`; Spearman's rank correlation where there is one group."""
        return self.correlation(self.ranks(x), self.ranks(y))

    def kendall(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Kendall's tau-b over the pairs inside groups (Kendall, Biometrika 33, 1945): (C - D) / sqrt(X · Y).

        C, D: pairs that x and y order alike, or oppositely; X, Y: pairs not tied in x, or in y.
        """
        a, b = self.signs(x), self.signs(y)
        return _divided(self.over_pairs(a * b), np.sqrt(self.over_pairs(a**2) * self.over_pairs(b**2)))

    def r2(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Share of y's variance inside groups that a line in x explains, of one slope for all groups."""
        correlation = self.correlation(self.centred(x), self.centred(y))
        return correlation * correlation

    def correlation(self, x: FloatArray, y: FloatArray, given: Sequence[FloatArray] = ()) -> FloatArray:
        """Partial correlation of centred values: that of what linear fits on the given ones leave of x and y.

        Args:
            x: (resamples, n) from `centred` or `ranks`.
            y: the same.
            given: the same each; none: the plain correlation.
        """
        if not given:
            xx, yy = self._moment(x, x), self._moment(y, y)
            return _divided(self._moment(x, y), np.sqrt(xx * yy))
        *rest, last = given
        xy, xz, yz = (self.correlation(a, b, rest) for a, b in ((x, y), (x, last), (y, last)))
        left = np.minimum(1 - xz**2, 1 - yz**2)
        scale = np.where(left > _COLLINEAR, (1 - xz**2) * (1 - yz**2), 0.0)
        return _divided(xy - xz * yz, np.sqrt(scale))

    def _moment(self, x: FloatArray, y: FloatArray) -> FloatArray:
        moment: FloatArray = (self.counts * x * y).sum(1)
        return moment


def _divided(above: FloatArray, below: FloatArray) -> FloatArray:
    """A correlation: NaN where the denominator vanishes but for rounding."""
    defined = below > 1e-12 * np.nanmax(below, initial=0.0)
    quotient = np.divide(above, below, out=np.full(len(below), np.nan), where=defined)
    clipped: FloatArray = np.clip(quotient, -1, 1)
    return clipped

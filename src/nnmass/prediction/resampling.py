"""Bootstrap by counts: how often each network stands in each resample."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.errors import FitError

FloatArray: TypeAlias = npt.NDArray[np.float64]

FEWEST_UNITS = 6
"""Independent units below which a bootstrap gives no verdict.

Of k differences that chance gives either sign, all have one sign with a probability of 2^(1-k), and then so has every
resample: from six on this is less than 1 in 20."""

_LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        value: of the sample.
        interval: percentile bootstrap (Efron, Ann. Statist. 7, 1979), from the resamples in which it is defined.
    """

    value: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, values: FloatArray, *, name: str = "statistic") -> Self:
        """Take the value of the sample, the first, and the quantiles of the resamples, the others.

        Args:
            values: (1 + resamples,), NaN where it is not defined.
            name: for messages.

        Raises:
            FitError: it is not defined in the sample, or in most resamples.

        Examples:
            >>> Estimate.of(np.array([0.5, 2, 2, 2, np.nan]))
            Estimate(value=0.5, interval=(2.0, 2.0))
        """
        known = values[1:][np.isfinite(values[1:])]
        if not np.isfinite(values[0]) or 2 * len(known) < len(values) - 1:
            raise FitError(
                f"{name} is not defined in this sample or in most of its resamples: too few networks, or alike"
            )
        low, high = np.quantile(known, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
        return cls(float(values[0]), (float(low), float(high)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"value": self.value, "interval_95": list(self.interval)}


def resample_counts(units: Sequence[Hashable], *, resamples: int, seed: int) -> FloatArray:
    """Draw as many units as there are, with replacement, and count how often each element is drawn.

    Elements of one unit, e.g. one architecture trained in several ways, are drawn together (cluster bootstrap).

    Args:
        units: (n,) the unit of each element.
        resamples: how many.
        seed: of the draws.

    Returns:
        (1 + resamples, n); the first row is the sample itself, all ones.

    Examples:
        >>> resample_counts("aab", resamples=2, seed=0)
        array([[1., 1., 1.],
               [0., 0., 2.],
               [1., 1., 1.]])
    """
    index = {unit: i for i, unit in enumerate(dict.fromkeys(units))}
    of_element = np.array([index[unit] for unit in units])
    picks = np.random.default_rng(seed).integers(len(index), size=(resamples, len(index)))
    drawn = (np.bincount(pick, minlength=len(index)) for pick in picks)
    return np.stack([np.ones(len(of_element)), *(count[of_element] for count in drawn)]).astype(np.float64)

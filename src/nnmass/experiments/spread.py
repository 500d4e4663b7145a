"""How far means over seeds lie apart, beside how far seeds alone would drive them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nnmass.errors import InvalidValueError

_LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """Largest difference between the means of several networks.

    Attributes:
        networks: how many.
        lowest: smallest mean over seeds.
        highest: largest mean over seeds.
        spread: their difference.
        standard_error: of one mean, from the pooled variance over seeds.
        noise_95: the spread that networks which are truly alike exceed in one of twenty cases.
    """

    networks: int
    lowest: float
    highest: float
    spread: float
    standard_error: float
    noise_95: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def spread_of_means(samples: Sequence[Sequence[float]]) -> Spread:
    """Compare the means of several networks, each measured with several seeds.

    The standard error is s / sqrt(n) with s² the variances over seeds, pooled over networks, and n the (harmonic mean)
    number of seeds.  ``noise_95`` is that standard error times the 95 % quantile of Tukey's studentized range.

    Args:
        samples: per network one value per seed.

    Raises:
        InvalidValueError: fewer than two networks, or a network with fewer than two seeds.

    Note:
        Seeds count as independent between networks and as scattering alike in all of them.  Where networks share a
        seed's batches and so go up and down together, ``noise_95`` is too large rather than too small.

    Examples:
        >>> found = spread_of_means([[1.0, 3.0], [4.0, 6.0]])  # means 2 and 5, variances 2 and 2
        >>> found.spread, found.standard_error
        (3.0, 1.0)
    """
    sizes = np.array([len(sample) for sample in samples])
    if len(sizes) < 2 or sizes.min() < 2:
        raise InvalidValueError(
            f"a spread needs at least 2 networks of at least 2 seeds each, got {sizes.tolist()} seeds"
        )
    means = np.array([np.mean(sample) for sample in samples])
    freedom = int((sizes - 1).sum())
    pooled = sum(float(np.var(sample, ddof=1)) * (len(sample) - 1) for sample in samples) / freedom
    error = float(np.sqrt(pooled * np.mean(1 / sizes)))
    return Spread(
        networks=len(means),
        lowest=float(means.min()),
        highest=float(means.max()),
        spread=float(np.ptp(means)),
        standard_error=error,
        noise_95=error * _studentized_range(len(means), freedom),
    )


@lru_cache(maxsize=64)
def _studentized_range(means: int, freedom: int) -> float:
    """The 95 % quantile of (largest - smallest of so many normal means) / standard error; takes a tenth of a second."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(_LEVEL, means, freedom))

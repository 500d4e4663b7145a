"""95 % intervals of averages over few random vectors, and over few networks: Student's, since both are few."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

FloatArray = npt.NDArray[np.float64]

LEVEL = 0.95


class Scatter(NamedTuple):
    """How well an average is known.

    Attributes:
        standard_error: of the average.
        degrees: of freedom that it comes from.
    """

    standard_error: float
    degrees: int

    @property
    def half_width(self) -> float:
        """Half of the interval: standard error × Student's quantile."""
        return self.standard_error * float(stdtrit(self.degrees, (1 + LEVEL) / 2))


def of_probes(values: FloatArray) -> Scatter:
    """Scatter of the average over probes, within networks.

    With one probe per network the scatter between networks stands for that between probes, which is smaller.

    Args:
        values: (networks, probes), at least two in all.
    """
    across = values if values.shape[1] > 1 else values.T
    variance = float(across.var(1, ddof=1).mean())
    return Scatter(math.sqrt(variance / values.size), across.shape[0] * (across.shape[1] - 1))


def of_networks(means: FloatArray) -> Scatter:
    """Scatter of the average over networks, at least two."""
    return Scatter(float(means.std(ddof=1)) / math.sqrt(len(means)), len(means) - 1)

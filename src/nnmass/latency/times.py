"""What is known of a latency: the passes in which it was timed, and the bounds that follow from them."""

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

PASSES = 6
"""Over each block, at least; the two slowest of six do not count for its bounds."""
_QUANTILE = 0.25  # over passes: whatever else the machine does only slows
_COVERAGE = 0.95  # of each bound
_FEWEST = 4  # passes whose order statistics are bounds
_WIDE = 1.25
LARGEST_CORRECTION = 1.3
"""By which times are corrected for the machine's speed, at most."""


class Timing(NamedTuple):
    """One pass: repeats of one block or network, in milliseconds at the machine's usual speed.

    Attributes:
        median_ms: median over the repeats.
        p10_ms: tenth percentile.
        p90_ms: ninetieth percentile.
        p99_ms: ninety-ninth percentile.
        repeats: how many were timed.
        unstable: why the times cannot be trusted: they differed too much, or the machine was at another speed; empty
            where they can.
        speed: of the machine meanwhile, relative to its usual; the times are corrected for it by at most
            `LARGEST_CORRECTION`, and `raw_ms` is what the clock said.
        drift: how far that speed moved meanwhile, or what it is known to, relatively.
        usual_ms: what the yardstick, a fixed convolution, takes at the usual speed.
    """

    median_ms: float
    p10_ms: float
    p90_ms: float
    p99_ms: float
    repeats: int
    unstable: str = ""
    speed: float = 1.0
    drift: float = 0.0
    usual_ms: float = 1.0

    @property
    def yardstick_ms(self) -> float:
        """What the yardstick took meanwhile."""
        return self.usual_ms / self.speed

    @property
    def raw_ms(self) -> float:
        """The median as the clock said it, at the speed of then."""
        return self.median_ms / corrected(self.speed)

    def stated_for(self, usual_ms: float) -> "Timing":
        """The same pass, stated for another usual speed."""
        speed = usual_ms / self.yardstick_ms
        factor = corrected(speed) / corrected(self.speed)
        median_ms, p10_ms, p90_ms, p99_ms = (factor * ms for ms in self[:4])
        return Timing(median_ms, p10_ms, p90_ms, p99_ms, self.repeats, self.unstable, speed, self.drift, usual_ms)

    @property
    def bounds(self) -> tuple[float, float]:
        """Between what the median may lie at the machine's usual speed.

        It is the median itself, unless the speed was beyond what is corrected for.  Where the times cannot be trusted,
        they may all be too slow: the lower one is as far below their tenth percentile as the ninetieth is above.
        """
        beyond = self.speed / corrected(self.speed)
        low = self.p10_ms**2 / self.p90_ms if self.unstable else self.median_ms
        return low * min(beyond, 1.0), self.median_ms * max(beyond, 1.0)


def corrected(speed: float) -> float:
    """What times are multiplied by at a speed: the speed itself, within bounds."""
    return min(max(speed, 1 / LARGEST_CORRECTION), LARGEST_CORRECTION)


class Latency(NamedTuple):
    """Milliseconds, and the bounds within which they are known.

    Attributes:
        ms: the estimate.
        low_ms: the lower bound.
        high_ms: the upper bound.

    Examples:
        >>> print(Latency(9.912, 9.6, 10.3))
        9.91 ms [9.60, 10.30]
        >>> print(Latency(2.0, 2.0, 2.0))
        2.00 ms
    """

    ms: float
    low_ms: float
    high_ms: float

    def __str__(self) -> str:
        return f"{self.ms:.2f} ms" if self.low_ms == self.high_ms else f"{self.ms:.2f} ms {self.bounds}"

    @property
    def is_wide(self) -> bool:
        """Whether the bounds are so far apart that the machine was not steady."""
        return self.high_ms > _WIDE * self.low_ms

    @property
    def bounds(self) -> str:
        """The bounds in brackets."""
        return f"[{self.low_ms:.2f}, {self.high_ms:.2f}]"

    def to_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return dict(zip(self.names(), self, strict=True))

    @staticmethod
    def names() -> tuple[str, str, str]:
        """What they are called in JSON."""
        return ("latency_ms", "latency_low_ms", "latency_high_ms")


def total(parts: Iterable[Latency]) -> Latency:
    """Latency of parts that run one after the other: estimates and bounds add up.

    Independent errors partly cancel, and bounds would add in squares, in a network that was chosen for other reasons.
    But a design is chosen by these very times: its blocks are those whose times fell too low, and their errors point
    the same way.  The machine's speed drifts for all blocks alike, and those that wait for memory err together.  So
    bounds add linearly: where every block lies within its own, every network does.

    Examples:
        >>> total([Latency(1.0, 0.9, 1.2), Latency(2.0, 1.9, 2.1)])
        Latency(ms=3.0, low_ms=2.8, high_ms=3.3)
    """
    parts = list(parts)
    return Latency(*(math.fsum(part[i] for part in parts) for i in range(3)))


def known_from(passes: Sequence[Timing]) -> Latency:
    """What the passes of one block say together: the lower quartile of their medians, and bounds.

    Passes build a block again, at another time, so that they differ by its place in memory and by what else the machine
    does.  The latter only slows, and so the lower quartile.  The a-th least of n passes bounds it from below with
    probability P(Binomial(n, 1/4) ≥ a), the b-th least from above with P(Binomial(n, 1/4) < b), whatever their
    distribution (David and Nagaraja, Order Statistics, 2003, section 7.1).  Each is the nearest bound of at least 95 %,
    or the outermost pass.  The drift of the machine's speed widens both.  Of fewer than four passes the bounds hold the
    middle 80 % of all times as well.

    Args:
        passes: at least one.

    Examples:
        >>> known_from([Timing(ms, ms, ms, ms, 7) for ms in (6.0, 2.0, 3.0, 1.0, 4.0, 5.0)])
        Latency(ms=2.25, low_ms=1.0, high_ms=4.0)
        >>> known_from([Timing(2.0, 1.5, 4.0, 6.0, 7)])
        Latency(ms=2.0, low_ms=1.5, high_ms=4.0)
    """
    count = len(passes)
    lows, highs = (sorted(one.bounds[i] for one in passes) for i in range(2))
    low, high = lows[_rank_below(count) - 1], highs[_rank_above(count) - 1]
    if count < _FEWEST:
        low, high = min(low, *(one.p10_ms for one in passes)), max(high, *(one.p90_ms for one in passes))
    drift = 1 + median(one.drift for one in passes)
    estimate = _lower_quartile(sorted(one.median_ms for one in passes))
    return Latency(estimate, low / drift, high * drift)


def _lower_quartile(values: Sequence[float]) -> float:
    place = _QUANTILE * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


def _rank_below(count: int) -> int:
    """The largest a with P(Binomial(count, quantile) ≥ a) of at least the coverage, or 1."""
    return max((a for a in range(1, count + 1) if 1 - _binomial(count, a - 1) >= _COVERAGE), default=1)


def _rank_above(count: int) -> int:
    """The least b with P(Binomial(count, quantile) < b) of at least the coverage, or the count."""
    return min((b for b in range(1, count + 1) if _binomial(count, b - 1) >= _COVERAGE), default=count)


def _binomial(count: int, most: int) -> float:
    """P(Binomial(count, quantile) ≤ most)."""
    return sum(math.comb(count, k) * _QUANTILE**k * (1 - _QUANTILE) ** (count - k) for k in range(most + 1))

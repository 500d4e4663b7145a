"""Timing that says whether it can be trusted, on a machine that does other things too.

Whatever else a machine does only slows what is timed, and comes and goes.  Runs during which the operating system gave
the core to something else are left out.  A call is timed in several series, until the two fastest agree; what is stated
lies between them, and is never less than what was measured by more than a bounded correction: processors change their
clock, and a fixed convolution, timed beside the series of a latency table, tells by how much.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional as F

from nnmass.errors import InvalidValueError
from nnmass.latency import LARGEST_CORRECTION, Timing, corrected

Clock = Callable[[], float]
"""Seconds from some beginning."""
Interruptions = Callable[[], int]
"""How often the operating system took the core from this process; 0 where it does not say."""

_RUNS = 7
_LOOKS = 15
_LEAST_REPEATS, _MOST_REPEATS = 3, 200  # of a series
_TRIES = 5  # times the least repeats, where runs are interrupted
_WARM_UP = 2
_MOST_SERIES = 12
_LONGER = 8  # times the seconds that were asked for, at most, where the machine is not steady
_AGREEMENT = 0.1  # by which the two fastest series may differ
_SPREAD = 2.0  # of the 90th to the 10th percentile
_LEAST_DRIFT = 0.03  # of the machine's speed: by so much the yardstick says other than the blocks do
MOST_SECONDS = 3600.0


def involuntary_switches() -> int:
    """How often the operating system took the core from this process; 0 where it does not say."""
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:  # not a POSIX system
        return 0
    return getrusage(RUSAGE_SELF).ru_nivcsw


@dataclass
class Series:
    """Repeats of one call, one after the other.

    Attributes:
        taken: milliseconds of each.
        speed: of the machine meanwhile, relative to its usual; 1 where nobody asked.
        interrupted: whether too few were left alone to be trusted; if none was, all stand here.
    """

    taken: list[float]
    speed: float = 1.0
    interrupted: bool = False

    @property
    def stated(self) -> list[float]:
        """Milliseconds at the usual speed, as far as that is corrected for."""
        return [ms * corrected(self.speed) for ms in self.taken]

    @property
    def median(self) -> float:
        """Median at the usual speed."""
        return float(np.median(self.stated))


@dataclass
class Yardstick:
    """What a fixed convolution takes, in milliseconds.

    Attributes:
        usual_ms: at the speed that measurements are stated for; None: what it takes first.
        clock: that everything is timed by.
    """

    usual_ms: float | None = None
    clock: Clock = time.perf_counter
    interruptions: Interruptions = involuntary_switches
    _generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    @cached_property
    def _work(self) -> tuple[torch.Tensor, torch.Tensor]:
        draw = torch.randn
        return draw((1, 64, 32, 32), generator=self._generator), draw((64, 64, 3, 3), generator=self._generator)

    def now(self) -> float:
        """Milliseconds that it takes now, at best: what interrupts it is no speed."""
        x, weight = self._work
        with torch.inference_mode():
            return min(_once(lambda: F.conv2d(x, weight, padding=1), self.clock) for _ in range(_RUNS))

    def settle(self) -> float:
        """The usual speed; if it is not known yet, the median over some looks."""
        if self.usual_ms is None:
            self.now()
            self.usual_ms = float(np.median([self.now() for _ in range(_LOOKS)]))
        return self.usual_ms

    def time(self, call: Callable[[], object], seconds: float) -> Timing:
        """Time a call, stated for the usual speed; see `time_in_turn`."""
        return self.time_in_turn([call], seconds)[0]

    def time_in_turn(self, calls: Sequence[Callable[[], object]], seconds: float) -> list[Timing]:
        """Time several calls, one after the other and over and over, stated for the usual speed.

        Args:
            calls: to time; warmed up first.
            seconds: to spend on rounds; up to some times as long where the machine is not steady.
        """
        usual_ms = self.settle()
        timings = in_turn(
            calls, seconds, clock=self.clock, interruptions=self.interruptions, speed=lambda: usual_ms / self.now()
        )
        return [timing._replace(usual_ms=usual_ms) for timing in timings]


def in_turn(
    calls: Sequence[Callable[[], object]],
    seconds: float,
    *,
    clock: Clock = time.perf_counter,
    interruptions: Interruptions = involuntary_switches,
    speed: Callable[[], float] | None = None,
) -> list[Timing]:
    """Time several calls, one after the other and over and over, in series until the two fastest of each call agree.

    Args:
        calls: to time; warmed up first.
        seconds: to spend; up to some times as long where series do not agree.
        clock: that is looked at.
        interruptions: of the process so far.
        speed: of the machine, relative to its usual; looked at before and after each series.

    Returns:
        Of each call the two fastest series together; where they cannot be trusted the result says why.  Its drift is
        that of the machine's speed meanwhile, at least 3 %; none where nobody looked at the speed.

    Raises:
        InvalidValueError: no time, or more than an hour.
    """
    if not 0 < seconds <= MOST_SECONDS:
        raise InvalidValueError(f"seconds must be positive and at most {MOST_SECONDS:g}, got {seconds}")
    for call in calls:
        for _ in range(_WARM_UP):
            call()
    found: list[list[Series]] = [[] for _ in calls]
    began = clock()
    speeds = [speed() if speed else 1.0]
    for k in range(_MOST_SERIES):
        taken = _rounds(calls, seconds / 2, clock, interruptions)
        speeds.append(speed() if speed else 1.0)
        for series, own in zip(found, taken, strict=True):
            series.append(replace(own, speed=sum(speeds[-2:]) / 2))
        if k and (clock() - began > _LONGER * seconds or not any(_stated(series).unstable for series in found)):
            break
    drift = min(max(_LEAST_DRIFT, float(np.std(speeds) / np.mean(speeds))), 1.0) if speed else 0.0
    return [_stated(series)._replace(drift=drift) for series in found]


def _rounds(
    calls: Sequence[Callable[[], object]], seconds: float, clock: Clock, interruptions: Interruptions
) -> list[Series]:
    """Repeats of each call, in rounds; more of them where interruptions leave too few."""
    alone: list[list[float]] = [[] for _ in calls]
    taken: list[list[float]] = [[] for _ in calls]
    end = clock() + seconds
    while len(taken[0]) < _LEAST_REPEATS or (
        len(taken[0]) < _TRIES * _LEAST_REPEATS and min(map(len, alone)) < _LEAST_REPEATS
        if clock() >= end
        else len(taken[0]) < _MOST_REPEATS
    ):
        for k, call in enumerate(calls):
            before = interruptions()
            taken[k].append(_once(call, clock))
            if interruptions() == before:
                alone[k].append(taken[k][-1])
    return [
        Series(own or every, interrupted=len(own) < _LEAST_REPEATS) for own, every in zip(alone, taken, strict=True)
    ]


def _once(call: Callable[[], object], clock: Clock) -> float:
    start = clock()
    call()
    return 1e3 * (clock() - start)


def _stated(series: Sequence[Series]) -> Timing:
    """The two fastest series together."""
    fastest = sorted(series, key=lambda one: one.median)[:2]
    values = [ms for one in fastest for ms in one.stated]
    p10, median, p90, p99 = (float(q) for q in np.quantile(values, [0.1, 0.5, 0.9, 0.99]))
    speed = sum(one.speed for one in fastest) / len(fastest)
    return Timing(median, p10, p90, p99, len(values), _unstable(fastest, p10, p90), speed)


def _unstable(fastest: Sequence[Series], p10: float, p90: float) -> str:
    """Why the fastest series cannot be trusted; empty where they can."""
    speeds = [one.speed for one in fastest if not 1 / LARGEST_CORRECTION <= one.speed <= LARGEST_CORRECTION]
    if speeds:
        return f"the machine ran at {speeds[0]:.0%} of its usual speed"
    if any(series.interrupted for series in fastest):
        return "other programs took the core during nearly all of its runs"
    one, other = (series.median for series in fastest)
    if other > (1 + _AGREEMENT) * one:
        return f"its two fastest series differ by {other / one - 1:.0%}"
    if p90 > _SPREAD * p10:
        return f"the middle 80 % of its times spread by a factor of {p90 / p10:.1f}"
    return ""

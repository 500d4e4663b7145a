"""A fixed piece of work that tells how fast the machine is right now.

Processors change their clock, and other programs take turns: the same network can take half as long again for some
seconds.  Timing the same convolution just before and after each measurement shows that, and takes it out.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional as F

from nnmass.latency import Timing

_RUNS = 7
_STEADY = 0.06
_TRIES = 6
_LEAST_REPEATS, _MOST_REPEATS = 5, 200
_WARM_UP = 2


@dataclass
class Yardstick:
    """What a fixed convolution takes, in milliseconds.

    Attributes:
        usual_ms: at the speed that measurements are stated for; None: what it takes first.
    """

    usual_ms: float | None = None
    _generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    @cached_property
    def _work(self) -> tuple[torch.Tensor, torch.Tensor]:
        draw = torch.randn
        return draw((1, 64, 32, 32), generator=self._generator), draw((64, 64, 3, 3), generator=self._generator)

    def now(self) -> float:
        """Milliseconds that it takes now."""
        x, weight = self._work
        taken = []
        with torch.inference_mode():
            for _ in range(_RUNS):
                start = time.perf_counter()
                F.conv2d(x, weight, padding=1)
                taken.append(1e3 * (time.perf_counter() - start))
        return float(np.median(taken))

    def settle(self) -> float:
        """The usual speed; if it is not known yet, the median over some looks."""
        if self.usual_ms is None:
            self.now()
            self.usual_ms = float(np.median([self.now() for _ in range(15)]))
        return self.usual_ms

    def time(self, call: Callable[[], object], seconds: float) -> Timing:
        """Time a call, stated for the usual speed.

        A measurement in whose midst the speed changed is taken again, a few times.

        Args:
            call: to time; warmed up first.
            seconds: to spend on repeats.
        """
        usual = self.settle()
        for _ in range(_WARM_UP):
            call()
        kept: list[tuple[float, Timing]] = []
        for _ in range(_TRIES):
            before, taken, after = self.now(), _repeats(call, seconds), self.now()
            change = abs(after / before - 1)
            kept.append((change, _stated(taken, 2 * usual / (before + after))))
            if change <= _STEADY:
                break
        return min(kept, key=lambda pair: pair[0])[1]

    def time_in_turn(self, calls: Sequence[Callable[[], object]], seconds: float) -> list[Timing]:
        """Time several calls, one after the other and over and over, stated for the usual speed.

        Every round is stated for the speed at its own time.

        Args:
            calls: to time; warmed up first.
            seconds: to spend on rounds.
        """
        usual = self.settle()
        for call in calls:
            for _ in range(_WARM_UP):
                call()
        rounds: list[list[float]] = []
        end = time.perf_counter() + seconds
        before = self.now()
        while len(rounds) < _LEAST_REPEATS or (time.perf_counter() < end and len(rounds) < _MOST_REPEATS):
            taken = [_once(call) for call in calls]
            after = self.now()
            rounds.append([ms * 2 * usual / (before + after) for ms in taken])
            before = after
        return [_stated(list(taken), 1.0) for taken in zip(*rounds, strict=True)]


def _once(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def _repeats(call: Callable[[], object], seconds: float) -> list[float]:
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < _LEAST_REPEATS or (time.perf_counter() < end and len(taken) < _MOST_REPEATS):
        taken.append(_once(call))
    return taken


def _stated(taken: list[float], factor: float) -> Timing:
    p10, median, p90, p99 = (float(q) for q in factor * np.quantile(taken, [0.1, 0.5, 0.9, 0.99]))
    return Timing(median, p10, p90, p99, len(taken))

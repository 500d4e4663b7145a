"""Several good networks that differ: the best, the best of those unlike it, and so on, each proven."""

import heapq
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nnmass.designing.problem import BoolArray, FloatArray, IntArray, Level, Path, Problem, connected
from nnmass.designing.search import WORK_LIMIT
from nnmass.designing.solver import condensed, solve_problem

_SAME = 1e-12


class Alternative(NamedTuple):
    """A network unlike all before it, and what is known of it.

    Attributes:
        path: its options.
        levels: that they index.
        gain: of the path.
        bound: what no network unlike all before it exceeds.
        examined: labels that were extended since the one before.
    """

    path: Path
    levels: tuple[Level, ...]
    gain: float
    bound: float
    examined: int


class _Part(NamedTuple):
    """Per level the shapes that are left, of all that there are, and what no network of them exceeds."""

    shapes: tuple[BoolArray, ...]
    bound: float


class _Best(NamedTuple):
    """The best network of a part, as far as it is known."""

    part: _Part
    path: Path
    levels: tuple[Level, ...]
    gain: float
    bound: float


@dataclass
class Alternatives:
    """Networks in falling order of gain, each the best of those unlike all before it.

    Two networks are alike if at every level each of their shapes differs by less than ``diversity``, relative to the
    larger one.  What is unlike a network splits into parts that exclude each other: unlike at the first level; alike
    there and unlike at the second; and so on (Lawler, 1972).  Each part is a problem of its own, of all options of its
    shapes: what is needless beside a network of another part may be the best of this one.  It is solved exactly, and
    only when its bound comes up.

    Attributes:
        problem: of the whole space, with all its options.
        shapes_of: gives for a level what makes its options different, (options, …).
        diversity: between 0 and 1.
        deadline: moment of `time.monotonic` at which the list ends.
        work_limit: label extensions after which it ends.
        exhausted: whether the list ended for want of time or work, and not since there are no more.
    """

    problem: Problem
    shapes_of: Callable[[int, Level], FloatArray]
    diversity: float
    deadline: float = math.inf
    work_limit: int = WORK_LIMIT
    exhausted: bool = False

    def __post_init__(self) -> None:
        whole = [self._numbered(k, level)[1] for k, level in enumerate(self.problem.levels)]
        self.problem = condensed(self.problem, whole)
        numbered = [self._numbered(k, level) for k, level in enumerate(self.problem.levels)]
        self._shapes = [shapes for shapes, _ in numbered]
        self._shape_of = [numbers for _, numbers in numbered]
        self._queue: list[tuple[float, bool, int, _Part | _Best]] = []
        self._pushed = self._spent = self._told = 0
        self._lost = -math.inf

    def after(self, path: Path, levels: Sequence[Level], bound: float) -> Iterator[Alternative]:
        """List what comes after the best network.

        Args:
            path: the best network.
            levels: that its options index.
            bound: what no network exceeds.
        """
        seen: list[list[FloatArray]] = []
        everything = _Part(tuple(np.ones(len(shapes), bool) for shapes in self._shapes), bound)
        self._push(_Best(everything, path, tuple(levels), float(self.problem.gain(path.quantities)), bound))
        while self._queue:
            _, _, _, item = heapq.heappop(self._queue)
            if isinstance(item, _Part):
                if self._late():
                    self.exhausted = True
                    return
                self._solve(item)
                continue
            own = self._own(item)
            centre = next((other for other in seen if self._alike(own, other)), None)
            if centre is None:
                if seen:
                    yield self._told_of(item)
                seen.append(own)
                centre = own
            for part in self._apart(item, centre):
                self._push(part)
        self.exhausted = self._lost > -math.inf

    def _push(self, item: "_Part | _Best") -> None:
        unsolved = isinstance(item, _Part)
        key = item.bound if isinstance(item, _Part) else item.gain
        heapq.heappush(self._queue, (-key, unsolved, self._pushed, item))
        self._pushed += 1

    def _late(self) -> bool:
        return self._spent > self.work_limit or time.monotonic() > self.deadline

    def _solve(self, part: _Part) -> None:
        """Find the best network of a part, if it has one."""
        pairs = zip(self.problem.levels, part.shapes, self._shape_of, strict=True)
        chain = connected([level.kept(left[shape_of]) for level, left, shape_of in pairs])
        work = self.work_limit - self._spent
        solved = solve_problem(replace(self.problem, levels=chain), deadline=self.deadline, work_limit=work)
        self._spent += solved.found.examined
        path, bound = solved.found.path, min(part.bound, solved.found.bound)
        if path is not None:
            self._push(_Best(part, path, solved.problem.levels, float(self.problem.gain(path.quantities)), bound))
        elif not solved.found.complete:
            self._lost = max(self._lost, bound)

    def _told_of(self, best: _Best) -> Alternative:
        """A network of the list; parts that were left unfinished may hold a better one."""
        others = (item.bound for _, _, _, item in self._queue if isinstance(item, _Best))
        bound = max(best.gain, best.bound, self._lost, *others)
        examined, self._told = self._spent - self._told, self._spent
        return Alternative(best.path, best.levels, best.gain, bound, examined)

    def _numbered(self, k: int, level: Level) -> tuple[FloatArray, IntArray]:
        """The shapes of a level, and of every option the number of its own."""
        shapes, numbers = np.unique(self.shapes_of(k, level), axis=0, return_inverse=True)
        return shapes, numbers.reshape(-1)

    def _own(self, best: _Best) -> list[FloatArray]:
        """The shape of a network at every level."""
        pairs = zip(best.levels, best.path.options, strict=True)
        return [self.shapes_of(k, level)[option] for k, (level, option) in enumerate(pairs)]

    def _alike(self, first: list[FloatArray], second: list[FloatArray]) -> bool:
        return all(bool(self._near(a[None], b)[0]) for a, b in zip(first, second, strict=True))

    def _near(self, shapes: FloatArray, centre: FloatArray) -> BoolArray:
        """Shapes that are everywhere within the diversity of a centre's."""
        distance = np.abs(shapes - centre) / np.maximum(np.maximum(np.abs(shapes), np.abs(centre)), 1)
        return np.asarray((distance < max(self.diversity, _SAME)).all(1))

    def _apart(self, best: _Best, centre: list[FloatArray]) -> Iterator[_Part]:
        """What of a part is unlike a network: unlike at one level and alike at all before it."""
        left = best.part.shapes
        near = [self._near(shapes, c) for shapes, c in zip(self._shapes, centre, strict=True)]
        for k in range(len(near)):
            shapes = (*(a & b for a, b in zip(left[:k], near[:k], strict=True)), left[k] & ~near[k], *left[k + 1 :])
            if all(mask.any() for mask in shapes):
                yield _Part(shapes, best.bound)

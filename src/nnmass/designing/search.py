"""Exact search: partial networks stage by stage, kept only while a bound says that they may beat the best one known.

Labels (partial paths) are extended level by level.  Three things remove them: another label of the same state is at
least as good in everything (dominance), the least that the rest uses does not fit (limits), and the Lagrangian bound
does not exceed the incumbent.  The first passes keep only the most promising labels, so that a good incumbent is known
early; when a pass drops nothing, the incumbent is proven optimal.  This is the label-setting algorithm for
resource-constrained shortest paths (Irnich and Desaulniers, 2005) with the bounds of Handler and Zang (1980).
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from nnmass.designing.bounds import Bounds, Dual, bounds_for, least_bound, price_pool, reduced
from nnmass.designing.pareto import undominated_in_groups
from nnmass.designing.problem import FloatArray, IntArray, Level, Path, Problem

_WIDTHS = (100, 1_000, 10_000, 100_000, 3_000_000)
_CHUNK = 1_000_000
WORK_LIMIT = 400_000_000
"""Extensions of labels after which a search without a time limit stops, with what it has proven until then."""


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        path: the best within the limits; None if none was found.
        bound: what no path exceeds, in units of the gain; -inf where it is proven that there is none.
        examined: labels that were extended.
        complete: whether nothing is left to look at.
    """

    path: Path | None
    bound: float
    examined: int
    complete: bool


@dataclass
class _Labels:
    """Partial paths, ordered by state.

    Attributes:
        state: (n,).
        quantities: (n, quantities) sums so far.
        parent: (n,) position among the labels of the level before.
        entry: (n,) how the last level was entered.
        option: (n,) the option at the last level.
        bound: (n,) what no completion exceeds.
    """

    state: IntArray
    quantities: FloatArray
    parent: IntArray
    entry: IntArray
    option: IntArray
    bound: FloatArray

    def taken(self, rows: IntArray) -> "_Labels":
        return _Labels(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.state)


class _ExhaustedError(Exception):
    """The time or the work that was granted is used up."""


@dataclass
class _Budget:
    """What a search may still spend."""

    deadline: float = math.inf
    work: int = WORK_LIMIT
    spent: int = 0

    def spend(self, work: int) -> None:
        self.spent += work
        if self.spent > self.work or self.late():
            raise _ExhaustedError

    def late(self) -> bool:
        return time.monotonic() > self.deadline


def maximise(
    problem: Problem, *, deadline: float = math.inf, work_limit: int = WORK_LIMIT, target: float = math.inf
) -> Found:
    """Find the path of the largest gain within the limits, and prove it.

    Args:
        problem: what to solve; a chain that is cut has no path.
        deadline: moment of `time.monotonic` at which the best so far is returned.
        work_limit: label extensions after which it stops.
        target: a gain that is enough: what reaches it is not improved.
    """
    if not all(level.blocks for level in problem.levels):
        return Found(None, -math.inf, 0, complete=True)
    return _Search(problem, _Budget(deadline, work_limit), target).run()


@dataclass
class _Search:
    """One search.

    Attributes:
        problem: what is solved.
        budget: what may still be spent.
        target: a gain that is enough.
        incumbent: the best path so far.
        bound: what no path exceeds, as far as is known.
        dual: the least Lagrangian bound.
    """

    problem: Problem
    budget: _Budget
    target: float = math.inf
    incumbent: Path | None = None
    bound: float = math.inf
    dual: Dual = field(init=False)

    def run(self) -> Found:
        try:
            complete = self._solve()
        except _ExhaustedError:
            complete = False
        gain = self.gain
        if complete and gain < self.target:
            self.bound = gain
        return Found(self.incumbent, max(self.bound, gain), self.budget.spent, complete)

    @property
    def gain(self) -> float:
        return -math.inf if self.incumbent is None else float(self.problem.gain(self.incumbent.quantities))

    def _solve(self) -> bool:
        self.dual = least_bound(self.problem, self.budget.late)
        self.bound = self.dual.bound
        for path in self.dual.paths:
            self._offer(path)
        self.budget.spend(0)
        if self.incumbent is None and not self._feasible():
            return True
        for width in _WIDTHS:
            if self.gain >= self.target or self.problem.least_gain(self.gain) > self.bound:
                return True
            dropped = self._pass(width)
            self.bound = min(self.bound, max(dropped, self.gain))
            if dropped == -math.inf:
                return True
        return False

    def _offer(self, path: Path) -> None:
        within = (self.problem.use(path.quantities) <= self.problem.room).all()
        if within and float(self.problem.gain(path.quantities)) > self.gain:
            self.incumbent = path

    def _feasible(self) -> bool:
        """Whether there is a path within all limits, and one for an incumbent: one limit after the other."""
        path = None
        for i, limit in enumerate(self.problem.limits):
            easier = Problem(self.problem.levels, limit.quantity, -limit.sign, self.problem.limits[:i])
            enough = -(limit.sign * limit.bound + limit.slack)
            if path is not None and float(easier.gain(path.quantities)) >= enough:
                continue
            search = _Search(easier, self.budget, enough, path)
            if not search._solve():
                raise _ExhaustedError
            path = search.incumbent
            if search.gain < enough:
                return False
        self.incumbent = path
        return True

    def _pass(self, width: int) -> float:
        """One pass that keeps so many labels a level; returns the largest bound of what it dropped for that."""
        bounds = bounds_for(self.problem, price_pool(self.dual))
        levels = _fixed(self.problem, bounds, self.problem.least_gain(self.gain))
        spare = _least_uses(self.problem)
        history = [_start(self.problem)]
        dropped = -math.inf
        for k in range(len(levels)):
            step = _Step(self, bounds, levels[k], k, history[-1], spare[k + 1])
            if k + 1 == len(levels):
                for labels in step.chunks():
                    self._finish(history, levels, labels)
                return dropped
            labels = step.labels()
            if len(labels) > width:
                order = np.argsort(-labels.bound, kind="stable")
                dropped = max(dropped, float(labels.bound[order[width]]))
                labels = labels.taken(np.sort(order[:width]))
            history.append(labels)
        return dropped

    def _finish(self, history: list[_Labels], levels: "list[_Kept]", labels: _Labels) -> None:
        """Take the best of some complete paths, if it is better than the incumbent."""
        gain = self.problem.gain(labels.quantities)
        best = int(gain.argmax())
        if gain[best] <= self.gain:
            return
        row, options, entries = best, [], []
        for k in range(len(levels) - 1, -1, -1):
            options.append(int(labels.option[row]))
            entries.append(int(labels.entry[row]))
            row, labels = int(labels.parent[row]), history[k]
        self.incumbent = make_path(self.problem, options[::-1], entries[::-1])


def make_path(problem: Problem, options: list[int], entries: list[int]) -> Path:
    """A path with its sums."""
    quantities = np.zeros(problem.levels[0].quantities.shape[1])
    for level, option, entry in zip(problem.levels, options, entries, strict=True):
        quantities = quantities + level.entry_quantities[entry] + level.quantities[option]
    return Path(tuple(options), tuple(entries), quantities)


def _start(problem: Problem) -> _Labels:
    one = np.zeros(1, np.int64)
    return _Labels(one, np.zeros((1, problem.levels[0].quantities.shape[1])), one, one, one, np.array([np.inf]))


@dataclass(frozen=True)
class _Kept:
    """The options of a level that a path better than the incumbent may take.

    Attributes:
        level: the level.
        options: (n,) those options, ascending.
        block: (n,) the block of each.
        reduced: (n, prices).
    """

    level: Level
    options: IntArray
    block: IntArray
    reduced: FloatArray


def _fixed(problem: Problem, bounds: Bounds, threshold: float) -> list[_Kept]:
    """Of every level the options whose bound, for every price, reaches the threshold."""
    reached = np.zeros((1, len(bounds.prices)))
    kept = []
    for k, level in enumerate(problem.levels):
        entered = np.full((level.blocks, len(bounds.prices)), -np.inf)
        values = reached[level.entry_state] + reduced(problem, level.entry_quantities, bounds.prices)
        blocks, starts = np.unique(level.entry_block, return_index=True)
        entered[blocks] = np.maximum.reduceat(values, starts)
        block = level.block_of
        own = reduced(problem, level.quantities, bounds.prices)
        around = entered + bounds.ahead[k + 1][level.block_state] + bounds.constant
        options = np.flatnonzero((own + around[block]).min(1) >= threshold)
        kept.append(_Kept(level, options, block[options], own[options]))
        behind = entered + bounds.best[k]
        reached = np.full((level.states, len(bounds.prices)), -np.inf)
        np.maximum.at(reached, level.block_state, behind)
    return kept


def _least_uses(problem: Problem) -> list[FloatArray]:
    """Per level and state the least that the rest uses of every limit, (states, limits)."""
    parts = []
    for limit in problem.limits:
        alone = Problem(problem.levels, limit.quantity, -limit.sign, ())
        parts.append([-ahead[:, 0] for ahead in bounds_for(alone, np.zeros((1, 0))).ahead])
    sizes = [1, *(level.states for level in problem.levels)]
    return [np.column_stack([part[k] for part in parts] or [np.zeros((n, 0))]) for k, n in enumerate(sizes)]


@dataclass
class _Step:
    """All extensions of labels by one level."""

    search: _Search
    bounds: Bounds
    kept: _Kept
    k: int
    before: _Labels
    spare: FloatArray

    def labels(self) -> _Labels:
        """The extended labels that are worth keeping."""
        parts: list[_Labels] = []
        waiting = 0
        for part in self.chunks():
            parts.append(part)
            waiting += len(part)
            if waiting > 2 * _CHUNK:
                parts = [self._thinned(parts)]
                waiting = 0
        return self._thinned(parts) if parts else self.before.taken(np.zeros(0, np.int64))

    def _thinned(self, parts: list[_Labels]) -> _Labels:
        labels = _Labels(*(np.concatenate([getattr(p, n) for p in parts]) for n in _Labels.__dataclass_fields__))
        return _undominated(self.search.problem, labels, labels.state)

    def chunks(self) -> Iterator[_Labels]:
        """Extended labels that may still beat the incumbent, some at a time."""
        entering = self._entering()
        order = np.argsort(-entering.bound, kind="stable")
        for start in range(0, len(order), 1 << 15):
            for pairs in self._pairs(entering.taken(order[start : start + (1 << 15)])):
                labels = self._extended(*pairs)
                if len(labels):
                    yield labels

    def _entering(self) -> _Labels:
        """Labels with the quantities of entering a block; ``option`` is the block, ``state`` that behind it."""
        problem, level = self.search.problem, self.kept.level
        first, last = (np.searchsorted(self.before.state, level.entry_state, side) for side in ("left", "right"))
        counts = last - first
        entry = np.repeat(np.arange(len(counts)), counts)
        label = np.arange(len(entry)) - np.repeat(np.cumsum(counts) - counts, counts) + first[entry]
        quantities = self.before.quantities[label] + level.entry_quantities[entry]
        block = level.entry_block[entry]
        bound = self._bound(quantities, self.bounds.best[self.k][block] + self._ahead[level.block_state[block]])
        labels = _Labels(level.block_state[block], quantities, label, entry, block, bound)
        labels = labels.taken(np.flatnonzero(bound >= self._threshold))
        return _undominated(problem, labels, labels.option)

    @property
    def _ahead(self) -> FloatArray:
        return self.bounds.ahead[self.k + 1]

    @property
    def _threshold(self) -> float:
        return self.search.problem.least_gain(self.search.gain)

    def _bound(self, quantities: FloatArray, rest: FloatArray) -> FloatArray:
        values = reduced(self.search.problem, quantities, self.bounds.prices) + rest + self.bounds.constant
        return np.asarray(values.min(1))

    def _pairs(self, entering: _Labels) -> Iterator[tuple[_Labels, IntArray, IntArray]]:
        """Labels and options whose common bound, at the label's own best price, reaches the threshold."""
        own = reduced(self.search.problem, entering.quantities, self.bounds.prices) + self.bounds.constant
        own += self._ahead[entering.state]
        price = (own + self.bounds.best[self.k][entering.option]).argmin(1)
        rows, options, waiting = [], [], 0
        for block, m, group in _grouped(entering.option, price):
            choices = self._sorted_options(block, m)
            values = self.kept.reduced[choices, m]
            needed = self._threshold - own[group, m]
            counts = len(values) - np.searchsorted(values, needed)
            for part, counted in _split(group, counts):
                rows.append(np.repeat(part, counted))
                ends = np.repeat(np.cumsum(counted), counted)
                options.append(choices[len(values) - (ends - np.arange(len(ends)))])
                waiting += len(ends)
                if waiting > _CHUNK:
                    yield entering, np.concatenate(rows), np.concatenate(options)
                    rows, options, waiting = [], [], 0
        if waiting:
            yield entering, np.concatenate(rows), np.concatenate(options)

    def _sorted_options(self, block: int, m: int) -> IntArray:
        first, last = np.searchsorted(self.kept.block, [block, block + 1])
        return np.asarray(first + np.argsort(self.kept.reduced[first:last, m], kind="stable"))

    def _extended(self, entering: _Labels, rows: IntArray, kept_options: IntArray) -> _Labels:
        self.search.budget.spend(len(rows))
        problem = self.search.problem
        option = self.kept.options[kept_options]
        quantities = entering.quantities[rows] + self.kept.level.quantities[option]
        state = entering.state[rows]
        fits = (problem.use(quantities) + self.spare[state] <= problem.room).all(1)
        rows, option, quantities, state = rows[fits], option[fits], quantities[fits], state[fits]
        bound = self._bound(quantities, self._ahead[state])
        labels = _Labels(state, quantities, entering.parent[rows], entering.entry[rows], option, bound)
        return labels.taken(np.flatnonzero(bound >= self._threshold))


def _undominated(problem: Problem, labels: _Labels, group: IntArray) -> _Labels:
    """Labels that none of their group is better than, group after group."""
    if not problem.comparable:
        return labels.taken(np.argsort(group, kind="stable"))
    gain, use = problem.gain(labels.quantities), problem.use(labels.quantities)
    return labels.taken(undominated_in_groups(group, gain, use, labels.bound))


def _grouped(block: IntArray, price: IntArray) -> Iterator[tuple[int, int, IntArray]]:
    """Rows of every block and price that occur together."""
    order = np.lexsort((price, block))
    changes = np.flatnonzero((np.diff(block[order]) != 0) | (np.diff(price[order]) != 0)) + 1
    for group in np.split(order, changes):
        if len(group):
            yield int(block[group[0]]), int(price[group[0]]), group


def _split(group: IntArray, counts: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Split a group so that no part has many more than a chunk of pairs."""
    parts = np.flatnonzero(np.diff(np.cumsum(counts) // _CHUNK)) + 1
    yield from zip(np.split(group, parts), np.split(counts, parts), strict=True)

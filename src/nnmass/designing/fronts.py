"""Whole fronts: the largest mass at every cost.

Where a cost is a whole number of not too many units, the front comes from a dynamic program over a grid of costs: in
the max-plus algebra a block's options are convolved with what enters it.  Else partial networks are kept as long as
none of the same state has as much mass for as little cost.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnmass.designing.bounds import bounds_for, options_of
from nnmass.designing.pareto import undominated, undominated_in_groups
from nnmass.designing.problem import QUANTITIES, FloatArray, IntArray, Level, Limit, Path, Problem, connected
from nnmass.designing.search import make_path
from nnmass.designing.solver import condensed
from nnmass.errors import InvalidValueError

_CELLS = 60_000
"""Most grid cells; with more, the other way is faster."""
_PAIRS = 2_000_000_000
_CHUNK = 2_000_000
_ROUNDING = 1e-9


def mass_front(levels: Sequence[Level], cost: str, limits: Sequence[Limit]) -> tuple[list[Path], tuple[Level, ...]]:
    """Every network that no other of at least its mass costs less than, cheapest first.

    Args:
        levels: of the space.
        cost: name of the quantity.
        limits: upper limits on costs; that on ``cost`` ends the front, the others cut a slice.

    Returns:
        The networks and the levels that they index.

    Raises:
        InvalidValueError: too many partial networks to hold against each other.
    """
    column = QUANTITIES.index(cost)
    own = [limit for limit in limits if limit.quantity == column]
    others = [limit for limit in limits if limit.quantity != column]
    chain = connected(levels)
    cap = min((limit.bound + limit.slack for limit in own), default=math.inf)
    if not all(level.blocks for level in chain):
        return [], chain
    ordered = (Limit(column, cap), *others)
    cheapest = Problem(chain, column, -1, ())
    if -bounds_for(cheapest, np.zeros((1, 0))).overall > cap:
        return [], chain
    problem = condensed(Problem(chain, QUANTITIES.index("mass"), 1, ordered))
    steps = None if others else _grid(problem, column, cap)
    found = _sparse(problem) if steps is None else steps.front()
    return _distinct(found), problem.levels


def _distinct(paths: list[Path]) -> list[Path]:
    """Without those whose mass exceeds that of a cheaper one by rounding alone."""
    kept: list[Path] = []
    for path in paths:
        if not kept or path.quantities[0] > kept[-1].quantities[0] + _ROUNDING * max(1.0, path.quantities[0]):
            kept.append(path)
    return kept


@dataclass(frozen=True)
class _Grid:
    """Largest masses on a grid of costs.

    Attributes:
        problem: the problem.
        column: of the cost.
        unit: cost of one grid cell.
        cap: the largest cost.
        state_base: at the start and behind every level, per state the cost of its first cell.
        block_base: per level and block the cost of the first cell of what leaves it.
    """

    problem: Problem
    column: int
    unit: int
    cap: float
    state_base: list[list[int]]
    block_base: list[list[int]]

    def front(self) -> list[Path]:
        entering, behind = self._sweep()
        levels = self.problem.levels
        costs, masses, places = [], [], []
        for block in range(levels[-1].blocks):
            values = behind[-1][block]
            cells = np.flatnonzero(np.isfinite(values))
            costs.append(self.block_base[-1][block] + self.unit * cells)
            masses.append(values[cells])
            places.append(np.column_stack([np.full(len(cells), block), cells]))
        cost, mass, place = np.concatenate(costs), np.concatenate(masses), np.concatenate(places)
        kept = np.flatnonzero(undominated(mass, cost[:, None].astype(np.float64)) & (cost <= self.cap))
        kept = kept[np.argsort(cost[kept])]
        return [self._trace(int(b), int(c), entering, behind) for b, c in place[kept]]

    def _sweep(self) -> tuple[list[list[FloatArray]], list[list[FloatArray]]]:
        """Per level and block, the masses of what enters it and of what leaves it, by grid cell."""
        entering: list[list[FloatArray]] = []
        leaving: list[list[FloatArray]] = []
        before = [np.zeros(1)]
        for k, level in enumerate(self.problem.levels):
            entering.append([self._entered(k, block, before) for block in range(level.blocks)])
            leaving.append([self._convolved(k, block, entering[k][block]) for block in range(level.blocks)])
            before = self._merged(k, leaving[k])
        return entering, leaving

    def _cells(self, base: int) -> int:
        return max(int((self.cap - base) // self.unit) + 1, 0)

    def _entry_shift(self, k: int, entry: int) -> tuple[int, int]:
        """State that an entry comes from, and cells between its base and that of the block's entrance."""
        level = self.problem.levels[k]
        state, block = int(level.entry_state[entry]), int(level.entry_block[entry])
        cost = int(level.entry_quantities[entry, self.column])
        base = self.state_base[k][state] + cost
        return state, (base - (self.block_base[k][block] - self._least(k, block))) // self.unit

    def _least(self, k: int, block: int) -> int:
        level = self.problem.levels[k]
        return int(level.quantities[options_of(level, block), self.column].min())

    def _entered(self, k: int, block: int, before: list[FloatArray]) -> FloatArray:
        level = self.problem.levels[k]
        result = np.full(self._cells(self.block_base[k][block]), -np.inf)
        for entry in np.flatnonzero(level.entry_block == block):
            state, shift = self._entry_shift(k, int(entry))
            part = before[state] + level.entry_quantities[entry, 0]
            n = min(len(part), len(result) - shift)
            if n > 0:
                np.maximum(result[shift : shift + n], part[:n], out=result[shift : shift + n])
        return result

    def _convolved(self, k: int, block: int, entered: FloatArray) -> FloatArray:
        masses, offsets = self._options(k, block)
        result = np.full(len(entered), -np.inf)
        scratch = np.empty(len(entered))
        filled = int(np.flatnonzero(np.isfinite(entered))[-1]) + 1 if np.isfinite(entered).any() else 0
        for mass, offset in zip(masses.tolist(), offsets.tolist(), strict=True):
            n = min(filled, len(entered) - offset)
            if n > 0:
                np.add(entered[:n], mass, out=scratch[:n])
                np.maximum(result[offset : offset + n], scratch[:n], out=result[offset : offset + n])
        return result

    def _options(self, k: int, block: int) -> tuple[FloatArray, IntArray]:
        level = self.problem.levels[k]
        rows = options_of(level, block)
        cost = level.quantities[rows, self.column].astype(np.int64)
        return level.quantities[rows, 0], (cost - cost.min()) // self.unit

    def _merged(self, k: int, leaving: list[FloatArray]) -> list[FloatArray]:
        level = self.problem.levels[k]
        bases = self.state_base[k + 1]
        result = [np.full(self._cells(base), -np.inf) for base in bases]
        for block, values in enumerate(leaving):
            state = int(level.block_state[block])
            shift = (self.block_base[k][block] - bases[state]) // self.unit
            n = min(len(values), len(result[state]) - shift)
            if n > 0:
                part = result[state][shift : shift + n]
                np.maximum(part, values[:n], out=part)
        return result

    def _trace(self, block: int, cell: int, entering: list[list[FloatArray]], leaving: list[list[FloatArray]]) -> Path:
        """The network behind a cell of a block of the last level."""
        levels, options, entries = self.problem.levels, [], []
        for k in range(len(levels) - 1, -1, -1):
            level, wanted = levels[k], leaving[k][block][cell]
            masses, offsets = self._options(k, block)
            reachable = np.flatnonzero(offsets <= cell)
            sums = entering[k][block][cell - offsets[reachable]] + masses[reachable]
            option = int(reachable[np.flatnonzero(sums == wanted)[0]])
            cell -= int(offsets[option])
            options.append(int(level.starts[block]) + option)
            entry, cell = self._entry_at(k, block, cell, float(entering[k][block][cell]), leaving)
            entries.append(entry)
            if k:
                block, cell = self._block_at(k - 1, int(level.entry_state[entry]), cell, leaving)
        return make_path(self.problem, options[::-1], entries[::-1])

    def _entry_at(
        self, k: int, block: int, cell: int, wanted: float, leaving: list[list[FloatArray]]
    ) -> tuple[int, int]:
        level = self.problem.levels[k]
        for entry in np.flatnonzero(level.entry_block == block):
            state, shift = self._entry_shift(k, int(entry))
            values = self._merged_cell(k, state, cell - shift, leaving)
            if values + level.entry_quantities[entry, 0] == wanted:
                return int(entry), cell - shift
        raise AssertionError("a value of the grid has no origin")

    def _merged_cell(self, k: int, state: int, cell: int, leaving: list[list[FloatArray]]) -> float:
        if k == 0:
            return 0.0 if cell == 0 else -math.inf
        block, at = self._block_at(k - 1, state, cell, leaving)
        return float(leaving[k - 1][block][at]) if block >= 0 else -math.inf

    def _block_at(self, k: int, state: int, cell: int, leaving: list[list[FloatArray]]) -> tuple[int, int]:
        """The block of the largest mass at a cell of a state, and its own cell; -1 where there is none."""
        best, place = -math.inf, (-1, 0)
        for block in np.flatnonzero(self.problem.levels[k].block_state == state):
            at = cell - (self.block_base[k][block] - self.state_base[k + 1][state]) // self.unit
            values = leaving[k][block]
            if 0 <= at < len(values) and values[at] > best:
                best, place = float(values[at]), (int(block), at)
        return place


def _grid(problem: Problem, column: int, cap: float) -> _Grid | None:
    """The grid, if the cost is a whole number and its cells are few enough."""
    if QUANTITIES[column] not in ("params", "macs") or not math.isfinite(cap):
        return None
    state_base, block_base, unit = [[0]], [], 0
    for level in problem.levels:
        costs, entry_costs = (q[:, column].astype(np.int64) for q in (level.quantities, level.entry_quantities))
        bases = []
        for block in range(level.blocks):
            own = costs[options_of(level, block)]
            entered = entry_costs[level.entry_block == block]
            entered = entered + np.array(state_base[-1])[level.entry_state[level.entry_block == block]]
            unit = math.gcd(unit, int(np.gcd.reduce(own - own.min())), int(np.gcd.reduce(entered - entered.min())))
            bases.append(int(own.min() + entered.min()))
        block_base.append(bases)
        states = []
        for state in range(level.states):
            merged = np.array(bases)[level.block_state == state]
            unit = math.gcd(unit, int(np.gcd.reduce(merged - merged.min())) if len(merged) else 0)
            states.append(int(merged.min()) if len(merged) else 0)
        state_base.append(states)
    unit = max(unit, 1)
    return _Grid(problem, column, unit, cap, state_base, block_base) if cap / unit <= _CELLS else None


def _sparse(problem: Problem) -> list[Path]:
    """Keep every partial network that none of its state is better than."""
    columns = problem.levels[0].quantities.shape[1]
    state, sums = np.zeros(1, np.int64), np.zeros((1, columns))
    history: list[tuple[IntArray, IntArray, IntArray]] = []
    for level in problem.levels:
        parts = [_crossed(problem, level, block, state, sums) for block in range(level.blocks)]
        sums, parent, entry, option = (np.concatenate([part[i] for part in parts]) for i in range(4))
        state = np.repeat(level.block_state, [len(part[0]) for part in parts])
        gain, use = problem.gain(sums), problem.use(sums)
        kept = undominated_in_groups(state, gain, use, gain)
        sums, state = sums[kept], state[kept]
        history.append((parent[kept], entry[kept], option[kept]))
    last = _exactly_undominated(problem, sums)
    last = last[np.argsort(problem.use(sums[last])[:, 0])]
    return [_followed_back(problem, history, int(row)) for row in last]


def _crossed(
    problem: Problem, level: Level, block: int, state: IntArray, sums: FloatArray
) -> tuple[FloatArray, IntArray, IntArray, IntArray]:
    """What leaves a block: sums, the partial network before, the entry and the option."""
    entries = np.flatnonzero(level.entry_block == block)
    rows = [np.flatnonzero(state == level.entry_state[entry]) for entry in entries]
    label, entry = np.concatenate(rows), np.repeat(entries, [len(r) for r in rows])
    entered = sums[label] + level.entry_quantities[entry]
    none = np.zeros(len(label), np.int64)
    kept = undominated_in_groups(none, problem.gain(entered), problem.use(entered), problem.gain(entered))
    options = options_of(level, block)
    if len(kept) * len(options) > _PAIRS:
        raise InvalidValueError(
            f"the front would hold {len(kept):,} partial networks against {len(options):,} options; give a lower budget"
        )
    step = max(_CHUNK // max(len(options), 1), 1)
    parts = []
    for start in range(0, len(kept), step):
        some = kept[start : start + step]
        joined = (entered[some][:, None] + level.quantities[options]).reshape(-1, sums.shape[1])
        fits = np.flatnonzero((problem.use(joined) <= problem.room).all(1))
        gain, use = problem.gain(joined[fits]), problem.use(joined[fits])
        best = fits[undominated_in_groups(np.zeros(len(fits), np.int64), gain, use, gain)]
        row, column = np.divmod(best, len(options))
        parts.append((joined[best], label[some[row]], entry[some[row]], options[column]))
    empty = np.zeros(0, np.int64)
    parts.append((np.zeros((0, sums.shape[1])), empty, empty, empty))
    sums, parent, entry, option = (np.concatenate([part[i] for part in parts]) for i in range(4))
    return sums, parent, entry, option


def _exactly_undominated(problem: Problem, sums: FloatArray) -> IntArray:
    """Of complete networks those of the front: by mass and the first cost; other limits only have to hold."""
    first = problem.use(sums)[:, :1]
    return np.flatnonzero(undominated(problem.gain(sums), first))


def _followed_back(problem: Problem, history: list[tuple[IntArray, IntArray, IntArray]], row: int) -> Path:
    options, entries = [], []
    for parent, entry, option in reversed(history):
        options.append(int(option[row]))
        entries.append(int(entry[row]))
        row = int(parent[row])
    return make_path(problem, options[::-1], entries[::-1])

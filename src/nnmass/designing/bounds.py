"""Lagrangian bounds: what no path can exceed, from any state to the end.

For prices λ >= 0 of the limits, Σ gain + λ · (room - Σ use) is at least the gain of every path within the limits.  The
best path by that measure needs no more than one sweep through the levels, and every λ gives a bound; a partial path is
bounded by the least over many λ.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from nnmass.designing.problem import FloatArray, IntArray, Level, Path, Problem

_ROUNDS = 60
_FEWEST_ROUNDS = 10
_EXACT = 1e-12
_STRETCHES = (0.25, 0.4, 0.55, 0.7, 0.8, 0.88, 0.95, 1.0, 1.05, 1.13, 1.25, 1.4, 1.7, 2.2, 3.5)
_LARGEST = 1e12


@dataclass(frozen=True)
class Bounds:
    """Bounds for several prices at once.

    Attributes:
        prices: (prices, limits).
        ahead: (states, prices) at the start and behind every level: the best reduced gain from there to the end.
        best: per level, (blocks, prices): the best reduced gain of an option in each block.
        constant: (prices,) λ · room.
    """

    prices: FloatArray
    ahead: tuple[FloatArray, ...]
    best: tuple[FloatArray, ...]
    constant: FloatArray

    @property
    def overall(self) -> float:
        """What no path exceeds; -inf where there is no path."""
        return float((self.ahead[0][0] + self.constant).min())


def bounds_for(problem: Problem, prices: FloatArray) -> Bounds:
    """Sweep back through the levels for all prices, (prices, limits)."""
    ahead, best = [np.zeros((problem.levels[-1].states, len(prices)))], []
    for k in range(len(problem.levels) - 1, -1, -1):
        level = problem.levels[k]
        states = problem.levels[k - 1].states if k else 1
        best.append(block_best(problem, level, prices))
        ahead.append(_behind(problem, level, best[-1] + ahead[-1][level.block_state], states, prices))
    return Bounds(prices, tuple(ahead[::-1]), tuple(best[::-1]), prices @ problem.room)


def reduced(problem: Problem, quantities: FloatArray, prices: FloatArray) -> FloatArray:
    """(rows, prices): gain less the priced use."""
    result: FloatArray = problem.gain(quantities)[:, None] - problem.use(quantities) @ prices.T
    return result


def block_best(problem: Problem, level: Level, prices: FloatArray) -> FloatArray:
    """(blocks, prices): the best reduced gain in each block."""
    if not level.blocks:
        return np.zeros((0, len(prices)))
    best: FloatArray = np.maximum.reduceat(reduced(problem, level.quantities, prices), level.starts)
    return best


def _behind(problem: Problem, level: Level, values: FloatArray, states: int, prices: FloatArray) -> FloatArray:
    """From values of blocks to values of the states that they are entered from."""
    result = np.full((states, len(prices)), -np.inf)
    entered = reduced(problem, level.entry_quantities, prices) + values[level.entry_block]
    order = np.argsort(level.entry_state, kind="stable")
    states_left, starts = np.unique(level.entry_state[order], return_index=True)
    if len(order):
        result[states_left] = np.maximum.reduceat(entered[order], starts)
    return result


def best_path(problem: Problem, prices: FloatArray) -> Path:
    """The path of the largest reduced gain at one price, (limits,)."""
    bounds = bounds_for(problem, prices[None])
    state, options, entries = 0, [], []
    quantities = np.zeros(problem.levels[0].quantities.shape[1])
    for k, level in enumerate(problem.levels):
        open_entries = np.flatnonzero(level.entry_state == state)
        blocks = level.entry_block[open_entries]
        values = reduced(problem, level.entry_quantities[open_entries], prices[None])[:, 0]
        values = values + bounds.best[k][blocks, 0] + bounds.ahead[k + 1][level.block_state[blocks], 0]
        entry = int(open_entries[values.argmax()])
        block = int(level.entry_block[entry])
        option = _best_option(problem, level, block, prices)
        quantities = quantities + level.entry_quantities[entry] + level.quantities[option]
        state = int(level.block_state[block])
        options.append(option)
        entries.append(entry)
    return Path(tuple(options), tuple(entries), quantities)


def _best_option(problem: Problem, level: Level, block: int, prices: FloatArray) -> int:
    rows = options_of(level, block)
    return int(rows[reduced(problem, level.quantities[rows], prices[None])[:, 0].argmax()])


def options_of(level: Level, block: int) -> IntArray:
    """The options of a block."""
    end = level.starts[block + 1] if block + 1 < level.blocks else len(level.quantities)
    return np.arange(level.starts[block], end)


@dataclass(frozen=True)
class Dual:
    """The least bound over all prices, as far as it was found, and what was met on the way.

    Attributes:
        prices: (limits,) of the least bound.
        bound: that bound.
        visited: (prices, limits) all prices that were tried.
        paths: the best path at each.
    """

    prices: FloatArray
    bound: float
    visited: FloatArray
    paths: tuple[Path, ...]


def least_bound(problem: Problem, stop: Callable[[], bool] = lambda: False) -> Dual:
    """Minimise the Lagrangian bound over the prices, by cutting planes (Kelley, 1960).

    Every path that is best at some price gives a plane, the bound lies above all of them, and a linear program finds
    where they are lowest.

    Args:
        problem: what is bounded.
        stop: says that what was found must do; a few rounds are made all the same, for a path worth having.
    """
    limits = len(problem.limits)
    room = problem.room
    prices = np.zeros(limits)
    paths, visited = [], []
    best, best_prices, feasible = np.inf, prices, False
    scales = _scales(problem)
    for _ in range(_ROUNDS):
        path = best_path(problem, prices)
        paths.append(path)
        visited.append(prices)
        bound = float(problem.gain(path.quantities) + prices @ (room - problem.use(path.quantities)))
        if bound < best:
            best, best_prices = bound, prices
        feasible |= bool((problem.use(path.quantities) <= room).all())
        if not limits or (len(paths) >= _FEWEST_ROUNDS * (1 if feasible else 2) and stop()):
            break
        found = _lowest(problem, paths, scales)
        if found is None:  # too badly scaled for the linear program: the bounds so far hold all the same
            break
        lowest, prices = found
        if best - lowest <= _EXACT * max(1.0, abs(best)):
            break
    return Dual(best_prices, best, np.array(visited).reshape(len(visited), limits), tuple(paths))


def _lowest(problem: Problem, paths: list[Path], scales: FloatArray) -> tuple[float, FloatArray] | None:
    """The lowest point above all planes, with prices in units that make the program well scaled; None if it fails."""
    quantities = np.array([path.quantities for path in paths])
    gains, spare = problem.gain(quantities), problem.room - problem.use(quantities)
    size = max(1.0, float(np.abs(gains).max()))
    rows = np.column_stack([spare * scales / size, -np.ones(len(paths))])
    cost = np.zeros(rows.shape[1])
    cost[-1] = 1.0
    ranges = [(0.0, 1e6)] * len(scales) + [(None, None)]
    found = linprog(cost, A_ub=rows, b_ub=-gains / size, bounds=ranges, method="highs")
    if found.x is None:
        return None
    solution = np.asarray(found.x)
    return float(solution[-1]) * size, solution[:-1] * scales


def _scales(problem: Problem) -> FloatArray:
    """Prices of about the right size: the gain that is at stake over the use that is."""
    gains = sum(np.abs(problem.gain(level.quantities)).max(initial=0) for level in problem.levels)
    uses = sum(np.abs(problem.use(level.quantities)).max(0, initial=0) for level in problem.levels)
    return np.asarray(np.where(uses > 0, max(gains, 1e-9) / np.where(uses > 0, uses, 1), 1.0))


def price_pool(dual: Dual) -> FloatArray:
    """Prices for bounding partial paths: those near the best, each limit's stretched up and down."""
    limits = len(dual.prices)
    if limits == 0:
        return np.zeros((1, 0))
    pool = [dual.prices, np.zeros(limits)]
    if limits == 1:
        pool += [dual.prices * factor for factor in _STRETCHES]
    else:
        coarse = _STRETCHES[2:-2:2]
        grids = np.meshgrid(*[coarse if price > 0 else (0.0,) for price in dual.prices], indexing="ij")
        pool += list(np.stack([grid.ravel() for grid in grids], -1) * dual.prices)
    return np.unique(np.array(pool + list(dual.visited[-8:])), axis=0)

"""What the solver works on: a chain of levels, each with options, coupled only through boundary states.

A network is built cell by cell or stage by stage.  What a later stage needs to know of the earlier ones is its *state*:
the channels that enter it and whatever is tied over all stages.  Mass and every cost are sums over the stages, so that
a network is a path through the levels and its quantities are sums along it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

QUANTITIES = ("mass", "params", "macs", "latency_ms")
"""The columns of every table of quantities."""


@dataclass(frozen=True)
class Level:
    """The options of one stage.

    Options come in blocks.  A block leads to one state, and is entered from one or more states of the level before;
    what it costs to enter it from a state stands apart from its options, since it is the same for all of them.

    Attributes:
        states: number of states behind this level.
        quantities: (options, quantities) of every option, block after block.
        choices: (options, ...) what an option stands for, whole numbers that its space understands.
        starts: (blocks,) first option of every block; no block is empty.
        block_state: (blocks,) the state a block leads to.
        entry_state: (entries,) the state of the level before that an entry comes from.
        entry_block: (entries,) the block that it enters, ascending.
        entry_quantities: (entries, quantities).
    """

    states: int
    quantities: FloatArray
    choices: IntArray
    starts: IntArray
    block_state: IntArray
    entry_state: IntArray
    entry_block: IntArray
    entry_quantities: FloatArray

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.starts)

    @property
    def block_of(self) -> IntArray:
        """The block of every option."""
        return np.repeat(np.arange(self.blocks), np.diff(self.starts, append=len(self.quantities)))

    def with_constant(self, quantities: FloatArray) -> "Level":
        """This level with the same quantities added however it is entered."""
        return replace(self, entry_quantities=self.entry_quantities + quantities)

    def kept(self, options: BoolArray) -> "Level":
        """This level with only those options; blocks that lose all of them go, with their entries."""
        if options.all():
            return self
        block_of = self.block_of[options]
        left, starts = np.unique(block_of, return_index=True)
        renamed = np.full(self.blocks, -1)
        renamed[left] = np.arange(len(left))
        entries = renamed[self.entry_block] >= 0
        return Level(
            self.states,
            self.quantities[options],
            self.choices[options],
            starts,
            self.block_state[left],
            self.entry_state[entries],
            renamed[self.entry_block[entries]],
            self.entry_quantities[entries],
        )


class Limit(NamedTuple):
    """A quantity may not exceed, or not fall below, a value.

    Attributes:
        quantity: column of the quantities.
        bound: the value.
        sign: 1 where it may not exceed it, -1 where it may not fall below.
    """

    quantity: int
    bound: float
    sign: int = 1

    @property
    def slack(self) -> float:
        """What a sum of floating-point numbers may be off; none for whole numbers."""
        return 0.0 if QUANTITIES[self.quantity] in ("params", "macs") else 1e-9 * max(1.0, abs(self.bound))


@dataclass(frozen=True)
class Problem:
    """Maximise or minimise one quantity over all paths within limits.

    Attributes:
        levels: first to last.
        objective: column of the quantity.
        sign: 1 to maximise it, -1 to minimise it.
        limits: what has to hold.
    """

    levels: tuple[Level, ...]
    objective: int
    sign: int
    limits: tuple[Limit, ...]

    @property
    def comparable(self) -> bool:
        """Whether one path can be better than another in everything that counts.

        Not where mass is good, since it is the objective or has a lower limit, and bad, since it has an upper one.
        """
        signs = {limit.sign for limit in self.limits if limit.quantity == 0}
        wanted = -1 in signs or (self.objective == 0 and self.sign > 0)
        return not (wanted and 1 in signs)

    def gain(self, quantities: FloatArray) -> FloatArray:
        """What is maximised, of every row of quantities."""
        gain: FloatArray = self.sign * quantities[..., self.objective]
        return gain

    def use(self, quantities: FloatArray) -> FloatArray:
        """(..., limits) what every row uses up of every limit."""
        columns = [limit.sign * quantities[..., limit.quantity] for limit in self.limits]
        return np.stack(columns, -1) if columns else np.zeros((*quantities.shape[:-1], 0))

    @property
    def room(self) -> FloatArray:
        """(limits,) what may be used up of every limit."""
        return np.array([limit.sign * limit.bound + limit.slack for limit in self.limits])

    def least_gain(self, incumbent: float) -> float:
        """What a better solution than one of this gain has to exceed: costs are whole numbers, the rest rounds."""
        if not math.isfinite(incumbent):
            return incumbent
        whole = QUANTITIES[self.objective] in ("params", "macs")
        return incumbent + (1 - 1e-6 if whole else 1e-9 * max(1.0, abs(incumbent)))


class Path(NamedTuple):
    """One network: of every level the option and how it was entered.

    Attributes:
        options: index of the option at each level.
        entries: index of the entry at each level.
        quantities: the sums along the path.
    """

    options: tuple[int, ...]
    entries: tuple[int, ...]
    quantities: FloatArray

    def choices(self, levels: Sequence[Level]) -> list[IntArray]:
        """What the options stand for."""
        return [level.choices[option] for level, option in zip(levels, self.options, strict=True)]


def make_level(
    states: int, blocks: Sequence[tuple[int, FloatArray, IntArray]], entries: Sequence[tuple[int, int, Any]]
) -> Level:
    """Put a level together.

    Args:
        states: number of states behind it.
        blocks: (state, quantities, choices) of each block; none empty.
        entries: (state of the level before, block, quantities) of each entry.
    """
    counts = [len(quantities) for _, quantities, _ in blocks]
    ordered = sorted(entries, key=lambda entry: entry[1])
    columns = len(QUANTITIES)
    return Level(
        states,
        np.concatenate([quantities for _, quantities, _ in blocks] or [np.zeros((0, columns))]).astype(np.float64),
        np.concatenate([choices for _, _, choices in blocks] or [np.zeros((0, 1), np.int64)]),
        np.cumsum([0, *counts[:-1]]) if counts else np.zeros(0, np.int64),
        np.array([state for state, _, _ in blocks], np.int64),
        np.array([state for state, _, _ in ordered], np.int64),
        np.array([block for _, block, _ in ordered], np.int64),
        np.array([quantities for _, _, quantities in ordered], np.float64).reshape(len(ordered), columns),
    )


def count_paths(levels: Sequence[Level]) -> int:
    """How many paths lead through some levels, exactly."""
    ways = [1]
    for level in levels:
        counts = np.bincount(level.block_of, minlength=level.blocks).tolist()
        after = [0] * level.states
        for state, block in zip(level.entry_state.tolist(), level.entry_block.tolist(), strict=True):
            after[int(level.block_state[block])] += ways[state] * counts[block]
        ways = after
    return sum(ways)


def connected(levels: Sequence[Level]) -> tuple[Level, ...]:
    """Drop what no path from the first level to the last passes through; of a chain that is cut, everything."""
    levels = list(levels)
    while True:
        before = [level.blocks for level in levels]
        reached = np.ones(1, bool)
        for k, level in enumerate(levels):
            reached, levels[k] = _entered(level, reached)
        wanted = np.ones(levels[-1].states, bool)
        for k in range(len(levels) - 1, -1, -1):
            level = levels[k]
            levels[k] = level = level.kept(wanted[level.block_state][level.block_of])
            wanted = np.zeros(levels[k - 1].states if k else 1, bool)
            wanted[level.entry_state] = True
        if [level.blocks for level in levels] == before:
            return tuple(levels)


def _entered(level: Level, reached: BoolArray) -> tuple[BoolArray, Level]:
    """The states behind a level that can be reached, and the level without what cannot be entered."""
    open_entries = reached[level.entry_state]
    entered = np.zeros(level.blocks, bool)
    entered[level.entry_block[open_entries]] = True
    level = replace(
        level,
        entry_state=level.entry_state[open_entries],
        entry_block=level.entry_block[open_entries],
        entry_quantities=level.entry_quantities[open_entries],
    ).kept(entered[level.block_of])
    left = np.zeros(level.states, bool)
    left[level.block_state] = True
    return left, level

"""What spaces of residual networks share: chains of stages, the first of stride 1 and the others of stride 2."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from itertools import pairwise, product
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import Field

from nnmass.architectures import BlockShape
from nnmass.architectures.costs import halved
from nnmass.architectures.residual import Projection
from nnmass.architectures.specification import PerCell, Positive
from nnmass.designing.problem import FloatArray, IntArray, Level
from nnmass.designing.spaces.limits import limit_counts, limit_options, limit_pairs, limit_transitions
from nnmass.designing.spaces.residual import Piece, Stage, stage_level, stage_rows
from nnmass.designing.spaces.space import Choices, Space, span
from nnmass.latency import Block, LatencyTable, block

BlockName: TypeAlias = Literal["basic", "bottleneck"]


class StageState(NamedTuple):
    """What a stage must know of the ones before: kind of block and inner width, tied over all, and channels."""

    kind: BlockName
    width_per_group: int
    channels: int
    planes: int

    def follows(self, other: "StageState") -> bool:
        """Whether what is tied over all stages is the same."""
        return self[:2] == other[:2]


class StagedSpace(Space):
    """Chains of stages of residual blocks, the first of stride 1 and the others of stride 2."""

    layers: Annotated[tuple[Choices, ...], PerCell] = Field(min_length=1, max_length=8)
    image_size: Positive
    in_channels: Positive = 3
    num_classes: Positive
    projection: Projection = "count"

    def levels(self, latency: LatencyTable | None = None, *, max_activation_bytes: int | None = None) -> list[Level]:
        """The options of every stage; see `Space.levels`."""
        most = math.inf if max_activation_bytes is None else max_activation_bytes / 4
        stem = self._stem()
        before: list[Any] = [None]
        levels = []
        for k in range(len(self.layers)):
            after = self._states(k)
            levels.append(stage_level(before, after, partial(self._options, k, latency, most)))
            before = after
        constant = stem.quantities(latency)
        if stem.values > most:
            levels[0] = levels[0].kept(np.zeros(len(levels[0].quantities), bool))
        levels[0] = levels[0].with_constant(constant)
        return levels

    def _limit(self, tied: int, widths: Sequence[int], inner: Sequence[float], outputs: Sequence[float]) -> None:
        """Refuse what would take too long, or costs too much to be counted exactly.

        Args:
            tied: choices that all stages share.
            widths: of each stage the number of its widths.
            inner: of each stage the largest inner width.
            outputs: of each stage the most channels that leave it.
        """
        limit_pairs(sum((tied * a) * (tied * b) for a, b in pairwise([1, *widths])))
        limit_transitions(tied * sum(a * b for a, b in pairwise([1, *widths])))
        limit_options(tied * sum(a * b * len(n) for (a, b), n in zip(pairwise([1, *widths]), self.layers, strict=True)))
        entering, largest = float(outputs[0]), 49.0 * self.in_channels * 64 * self.image_size**2
        for layers, within, leaving, side in zip(self.layers, inner, outputs, self._sides(), strict=False):
            largest += layers[-1] * (within * (9 * within + entering + leaving) + entering * leaving) * side**2
            entering = float(leaving)
        limit_counts(largest + entering * self.num_classes)

    def shapes(self, k: int, level: Level) -> FloatArray:
        """(options, 2): planes and blocks."""
        return level.choices[:, -2:].astype(np.float64)

    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all members."""
        found = [self._stem().block]
        before: list[StageState | None] = [None]
        for k, layers in enumerate(self.layers):
            after = self._states(k)
            for entering, leaving in product(before, after):
                if self._follows(entering, leaving):
                    first, other = self._stage(k, entering, leaving)
                    found += [first.block, *([other.block] if layers[-1] > 1 else [])]
            before = [b for b in after if any(self._follows(a, b) for a in before)]
        found += [self._head(state).block for state in before if state is not None]
        return tuple(dict.fromkeys(found))

    def _follows(self, entering: StageState | None, leaving: StageState) -> bool:
        """Whether a stage may lead from one state to the other."""
        return entering is None or leaving.follows(entering)

    @abstractmethod
    def _states(self, k: int) -> list[StageState]:
        """What may leave stage k."""

    @abstractmethod
    def _stem(self) -> Piece:
        """What comes before the first stage."""

    @abstractmethod
    def _entering(self, state: StageState | None) -> int:
        """Channels that enter a stage after a state."""

    @abstractmethod
    def _piece(self, state: StageState, shape: BlockShape) -> Piece:
        """One block."""

    @property
    @abstractmethod
    def _first_side(self) -> int:
        """Side of the map that enters the first stage."""

    @property
    def _projects(self) -> bool:
        return True

    def _sides(self) -> list[int]:
        """Side of the map that enters each stage, and of the one that leaves the last."""
        sides = [self._first_side, self._first_side]
        while len(sides) <= len(self.layers):
            sides.append(halved(sides[-1]))
        return sides

    def _options(
        self, k: int, latency: LatencyTable | None, max_values: float, entering: StageState | None, leaving: StageState
    ) -> tuple[FloatArray, IntArray]:
        if not self._follows(entering, leaving):
            return np.zeros((0, 4)), np.zeros((0, 4), np.int64)
        quantities, kept = stage_rows(self._stage(k, entering, leaving), self.layers[k], latency, max_values)
        if k + 1 == len(self.layers):
            quantities = quantities + self._head(leaving).quantities(latency)
        bottleneck = int(leaving.kind == "bottleneck")
        choices = [(bottleneck, leaving.width_per_group, leaving.planes, n) for n in kept]
        return quantities, np.array(choices, np.int64).reshape(-1, 4)

    def _stage(self, k: int, entering: StageState | None, leaving: StageState) -> Stage:
        inputs, outputs, sides = self._entering(entering), leaving.channels, self._sides()
        stride = 2 if k else 1
        inner = self._inner(leaving)
        first = BlockShape(inputs, inner, outputs, stride, sides[k], sides[k + 1], projected=False)
        first = first._replace(projected=self._projects and first.reshapes)
        other = BlockShape(outputs, inner, outputs, 1, sides[k + 1], sides[k + 1], projected=False)
        return self._piece(leaving, first), self._piece(leaving, other)

    def _inner(self, state: StageState) -> int:
        return state.planes

    def _head(self, state: StageState) -> Piece:
        timed = block("average_head", state.channels, self._sides()[-1], self.num_classes, False)
        return Piece(None, [], 0, timed, (state.channels, self.num_classes))


def varying(name: str, choices: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """Say that widths vary, if they do."""
    free = sorted({value for values in choices if len(values) > 1 for value in values})
    return (f"{name} vary ({span(free)}): NN-Mass compares networks of equal widths",) if free else ()

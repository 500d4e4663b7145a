"""Stages of residual blocks: the first block of a stage adapts to what enters, the others repeat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnmass.architectures.residual import LayerShape, residual_costs
from nnmass.designing.problem import FloatArray, IntArray, Level, make_level
from nnmass.designing.spaces.space import rows_of
from nnmass.latency import Block, LatencyTable
from nnmass.topology import ResidualCell


@dataclass(frozen=True)
class Piece:
    """A part of a network whose quantities add to those of the rest.

    Attributes:
        cell: its cell, if it is one.
        layers: its convolutions with their norms.
        values: numbers that are alive at most within it.
        block: what is timed.
        linear: inputs and outputs of a linear layer at its end, if it has one.
    """

    cell: ResidualCell | None
    layers: Sequence[LayerShape]
    values: int
    block: Block
    linear: tuple[int, int] | None = None

    def quantities(self, latency: LatencyTable | None) -> FloatArray:
        """Mass, parameters, MACs and milliseconds."""
        features, classes = self.linear or (0, 0)
        costs = residual_costs([self.cell] if self.cell else [], self.layers, features, classes)
        milliseconds = 0.0 if latency is None else latency.latencies(self.block.kind, np.array([self.block.sizes]))[0]
        return rows_of(*costs, milliseconds)


Stage = tuple[Piece, Piece]
"""The first block of a stage, and each other."""


def stage_rows(
    stage: Stage, repeats: Sequence[int], latency: LatencyTable | None, max_values: float
) -> tuple[FloatArray, list[int]]:
    """Quantities of a stage for each number of blocks that fits the memory, and those numbers."""
    first, other = stage
    fits = first.values <= max_values
    kept = [n for n in repeats if fits and (n == 1 or other.values <= max_values)]
    quantities = np.tile(first.quantities(latency), (len(kept), 1))
    if any(n > 1 for n in kept):  # a table of measured blocks need not hold what nothing repeats
        quantities += (np.array(kept)[:, None] - 1) * other.quantities(latency)
    return quantities, kept


def stage_level(
    before: Sequence[Any], after: Sequence[Any], options: Callable[[Any, Any], tuple[FloatArray, IntArray]]
) -> Level:
    """The level of a stage in which what an option costs depends on the states at both its ends.

    Args:
        before: the states that may enter the stage.
        after: the states that may leave it.
        options: quantities and choices between two states; no rows where the second cannot follow the first.
    """
    blocks: list[tuple[int, FloatArray, IntArray]] = []
    entries: list[tuple[int, int, FloatArray]] = []
    for i, entering in enumerate(before):
        for j, leaving in enumerate(after):
            quantities, choices = options(entering, leaving)
            if len(quantities):
                entries.append((i, len(blocks), np.zeros(quantities.shape[1])))
                blocks.append((j, quantities, choices))
    return make_level(len(after), blocks, entries)

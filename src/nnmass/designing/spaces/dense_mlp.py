"""The space of `DenseMLP` specifications."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from nnmass.architectures import Activation, DenseMLP, Specification, cell_values, dense_mlp_costs
from nnmass.architectures.costs import Numbers
from nnmass.architectures.specification import Positive
from nnmass.designing.problem import BoolArray, FloatArray, IntArray, Level, Limit, make_level
from nnmass.designing.spaces.dense import (
    DENSITY_CAP,
    CellOptions,
    SkipRange,
    cell_options,
    dense_departures,
    last_that,
    skip_ranges,
    skips_latency,
    widest_skips,
)
from nnmass.designing.spaces.limits import limit_counts, limit_options, limit_pairs, most_links
from nnmass.designing.spaces.space import Choices, Counts, Space, rows_of
from nnmass.latency import Block, LatencyTable, block

LEAST = 2
"""Fewest layers of a DenseMLP."""


def _one_block(quantities: FloatArray, choices: IntArray) -> Level:
    blocks = [(0, quantities, choices)] if len(quantities) else []
    return make_level(1, blocks, [(0, 0, np.zeros(quantities.shape[1]))] if blocks else [])


class DenseMLPSpace(Space):
    """DenseMLPs of given widths, depths and skips.

    Attributes:
        width: neurons per layer to choose from.
        depth: layers to choose from, the classifier included; at least 2.
        max_skips: maximum numbers of skip candidates per layer to choose from; None: all up to saturation.
        max_density: of the cell.
        in_features: inputs.
        num_classes: outputs.
        activation: φ.

    Raises:
        SpaceError: a range is empty, a value is fractional, out of range or unknown.

    Examples:
        >>> DenseMLPSpace(width=2, depth=(3, 4), max_density=1).size()  # 3 numbers of skips at depth 3, 5 at depth 4
        8
    """

    family: Literal["DenseMLP"] = "DenseMLP"
    width: Choices = (8,)
    depth: Choices = tuple(range(8, 65))
    max_skips: Counts | None = None
    max_density: Annotated[float, Field(gt=0, le=1)] = DENSITY_CAP
    in_features: Positive = 784
    num_classes: Positive = 10
    activation: Activation = "elu"

    @model_validator(mode="after")
    def _validate(self) -> Self:
        if self.depth[0] < LEAST:
            raise ValueError(f"depth must be at least {LEAST}, got {self.depth[0]}")
        limit_pairs(len(self.width) * len(self.depth))
        inner = most_links(self.width[-1], self.depth[-1])
        limit_counts(inner + self.width[-1] * (self.in_features + (self.depth[-1] + 1) * (self.num_classes + 1)))
        return self

    def size(self) -> int:
        """How many specifications it holds, exactly."""
        return int(self._ranges.counts.sum())

    def levels(self, latency: LatencyTable | None = None, *, max_activation_bytes: int | None = None) -> list[Level]:
        """The options of the one cell; see `Space.levels`."""
        limit_options(self.size())
        rows, choices = [], []
        for width in self.width:
            depth, max_skips = self._options(width)
            quantities = self._quantities(width, depth, max_skips)
            if latency is not None:
                quantities[:, -1] = self._latency(latency, width)
            most = np.inf if max_activation_bytes is None else max_activation_bytes
            fits = self._bytes(width, depth, max_skips) <= most
            rows.append(quantities[fits])
            choices.append(np.column_stack([np.full(len(depth), width), depth, max_skips])[fits])
        return [_one_block(np.concatenate(rows), np.concatenate(choices))]

    def levels_within(
        self, limits: Sequence[Limit], latency: LatencyTable | None = None, *, max_activation_bytes: int | None = None
    ) -> list[Level]:
        """Of every width and depth the fewest and the most skips within the limits; see `Space.levels_within`.

        Mass and costs all grow with the skips, so that no other number of them is ever the best.  Measured
        milliseconds need not grow: with a latency table all options count.
        """
        if latency is not None:
            return self.levels(latency, max_activation_bytes=max_activation_bytes)
        ranges = self._ranges
        width, depth = ranges.width, ranges.depth

        def kept(position: IntArray, sign: int) -> BoolArray:
            max_skips = ranges.max_skips(position)
            quantities = self._quantities(width, depth, max_skips)
            found = np.ones(len(width), bool)
            for limit in limits:
                if limit.sign == sign:
                    found &= sign * quantities[:, limit.quantity] <= sign * limit.bound + limit.slack
            if sign > 0 and max_activation_bytes is not None:
                found &= self._bytes(width, depth, max_skips) <= max_activation_bytes
            return found

        least = 1 + last_that(lambda position: ~kept(position, -1), np.zeros_like(ranges.last), ranges.last)
        most = last_that(partial(kept, sign=1), np.zeros_like(ranges.last), ranges.last)
        found = np.flatnonzero(least <= most)
        within = np.maximum(ranges.last, 0)
        ends = np.concatenate([ranges.max_skips(np.clip(end, 0, within))[found] for end in (least, most)])
        choices = np.column_stack([np.tile(width[found], 2), np.tile(depth[found], 2), ends])
        choices = np.unique(choices, axis=0)
        return [_one_block(self._quantities(*choices.T), choices)]

    @property
    def traits(self) -> dict[str, Any]:
        """Choices for all but depth and skips."""
        return self.model_dump(exclude={"family", "depth", "max_skips", "max_density"})

    def specify(self, choices: Sequence[IntArray]) -> DenseMLP:
        """Return the specification that the options of a path stand for."""
        width, depth, max_skips = (int(value) for value in choices[0])
        return DenseMLP(
            width=width,
            depth=depth,
            max_skips=max_skips,
            in_features=self.in_features,
            num_classes=self.num_classes,
            activation=self.activation,
        )

    def shapes(self, k: int, level: Level) -> FloatArray:
        """(options, 2): width and depth."""
        return level.choices[:, :2].astype(np.float64)

    def departures(self, member: Specification | None = None) -> tuple[str, ...]:
        """How it, or a member of it, reaches beyond the domain of the theory."""
        return dense_departures([self.width], self.depth[0], self.max_density, member)

    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all members; of layers with skips the narrowest and widest."""
        found = []
        for width in self.width:
            found.append(block("linear", self.in_features, width, 0, 1))
            for skips in (0, widest_skips(width, self._options(width))):
                found += [block("linear", width + skips, out, skips, 0) for out in (width, self.num_classes)]
        return tuple(dict.fromkeys(found))

    @property
    def _ranges(self) -> SkipRange:
        return skip_ranges(self.width, self.depth, self.max_skips, self.max_density)

    def _quantities(self, width: Numbers, depth: IntArray, max_skips: IntArray) -> FloatArray:
        """Mass, parameters and MACs; no milliseconds."""
        return rows_of(
            *dense_mlp_costs(width, depth, max_skips, in_features=self.in_features, num_classes=self.num_classes)
        )

    def _bytes(self, width: Numbers, depth: IntArray, max_skips: IntArray) -> IntArray:
        """Activation memory."""
        return np.asarray(4 * np.maximum(cell_values(width, depth, max_skips), self.in_features + width))

    def _options(self, width: int) -> CellOptions:
        return cell_options(width, self.depth, self.max_skips, self.max_density)

    def _latency(self, latency: LatencyTable, width: int) -> FloatArray:
        """The first layer, those between without the last, which has another size, and the last."""
        depth, max_skips = self._options(width)

        def layers(outputs: int, skips: IntArray) -> FloatArray:
            sizes = [width + skips, np.full(len(skips), outputs), skips, np.zeros(len(skips), np.int64)]
            return latency.latencies("linear", np.column_stack(sizes))

        shorter = CellOptions(depth - 1, max_skips)
        second = layers(width, np.zeros(1, np.int64)) * (depth > 2)
        hidden = second + skips_latency(partial(layers, width), width, shorter)
        last = layers(self.num_classes, np.minimum(max_skips, width * (depth - 2)))
        first = latency.latencies("linear", np.array([[self.in_features, width, 0, 1]]))
        total: FloatArray = first + hidden + last
        return total

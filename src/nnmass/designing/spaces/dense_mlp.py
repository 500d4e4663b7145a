"""The space of `DenseMLP` specifications."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from nnmass.architectures import Activation, DenseMLP, Specification, cell_values, dense_mlp_costs
from nnmass.architectures.specification import Positive
from nnmass.designing.problem import FloatArray, IntArray, Level, make_level
from nnmass.designing.spaces.dense import (
    DENSITY_CAP,
    CellOptions,
    cell_options,
    dense_departures,
    skips_latency,
    widest_skips,
)
from nnmass.designing.spaces.space import Choices, Counts, Space, rows_of
from nnmass.latency import Block, LatencyTable, block


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

    def size(self) -> int:
        """How many specifications it holds, exactly."""
        return sum(len(self._options(width).depth) for width in self.width)

    def levels(self, latency: LatencyTable | None = None, *, max_activation_bytes: int | None = None) -> list[Level]:
        """The options of the one cell; see `Space.levels`."""
        rows, choices = [], []
        for width in self.width:
            depth, max_skips = self._options(width)
            costs = dense_mlp_costs(width, depth, max_skips, in_features=self.in_features, num_classes=self.num_classes)
            quantities = rows_of(*costs, 0 if latency is None else self._latency(latency, width))
            values = np.maximum(cell_values(width, depth, max_skips), self.in_features + width)
            fits = 4 * values <= (np.inf if max_activation_bytes is None else max_activation_bytes)
            rows.append(quantities[fits])
            choices.append(np.column_stack([np.full(len(depth), width), depth, max_skips])[fits])
        quantities = np.concatenate(rows)
        blocks = [(0, quantities, np.concatenate(choices))] if len(quantities) else []
        entries = [(0, 0, np.zeros(quantities.shape[1]))] if blocks else []
        return [make_level(1, blocks, entries)]

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

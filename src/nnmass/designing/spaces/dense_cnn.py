"""The space of `DenseCNN` specifications."""

import itertools
import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from nnmass.architectures import (
    CellCosts,
    Convolution,
    DenseCNN,
    Specification,
    cell_costs,
    cell_resolutions,
    cell_values,
    head_costs,
)
from nnmass.architectures.specification import PerCell, Positive
from nnmass.designing.problem import FloatArray, IntArray, Level, make_level
from nnmass.designing.spaces.dense import (
    DENSITY_CAP,
    CellOptions,
    CellTable,
    cell_options,
    cell_table,
    dense_departures,
    skip_ranges,
    skips_latency,
    widest_skips,
)
from nnmass.designing.spaces.limits import (
    MOST_CELLS,
    limit_counts,
    limit_options,
    limit_pairs,
    limit_transitions,
    most_links,
)
from nnmass.designing.spaces.space import Choices, Counts, Space, rows_of
from nnmass.latency import Block, LatencyTable, block


class _State(NamedTuple):
    """What a cell must know of the ones before: the width, and the depth and position of the width if they are tied."""

    width: int
    depth: int | None
    position: int | None

    def follows(self, other: "_State") -> bool:
        return (self.depth, self.position) == (other.depth, other.position)


class DenseCNNSpace(Space):
    """DenseCNNs of given widths, depths and skips.

    Attributes:
        widths: of each cell the channels to choose from.
        depth: layers per cell to choose from.
        equal_depths: whether all cells have the same depth.
        tied_widths: whether all cells take the choice at the same position of their widths: a width multiplier.
        max_skips: maximum numbers of skip candidates per layer to choose from; None: all up to saturation.
        max_density: of a cell.
        conv: ``"regular"`` or ``"separable"``.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs.

    Raises:
        SpaceError: a range is empty, a value is fractional, out of range or unknown.

    Examples:
        >>> everything = DenseCNNSpace(
        ...     widths=({"min": 8, "max": 128, "step": 8},) * 3,
        ...     depth={"min": 4, "max": 40},
        ...     equal_depths=False,
        ...     max_density=1,
        ... )
        >>> f"{everything.size():.2e}"
        '5.23e+17'
    """

    family: Literal["DenseCNN"] = "DenseCNN"
    widths: Annotated[tuple[Choices, ...], PerCell] = Field(
        default=((32,), (64,), (128,)), min_length=1, max_length=MOST_CELLS
    )
    depth: Choices = tuple(range(8, 41))
    equal_depths: bool = True
    tied_widths: bool = False
    max_skips: Counts | None = None
    max_density: Annotated[float, Field(gt=0, le=1)] = DENSITY_CAP
    conv: Convolution = "regular"
    image_size: Positive = 32
    in_channels: Positive = 3
    num_classes: Positive = 10

    @model_validator(mode="after")
    def _validate(self) -> Self:
        counts = {len(choices) for choices in self.widths}
        if self.tied_widths and len(counts) > 1:
            raise ValueError(f"tied widths need as many choices for every cell, got {sorted(counts)}")
        limit_pairs(sum(map(len, self.widths)) * len(self.depth))
        depth, before, largest = self.depth[-1], self.in_channels, 0
        for choices, side in zip(self.widths, self._sides, strict=True):
            width = choices[-1]
            largest += 9 * (most_links(width, depth) + before * width) * side**2 + 16 * width * self.num_classes
            before = width
        limit_counts(largest)
        states = [len(choices) * (len(self.depth) if self.equal_depths else 1) for choices in self.widths]
        limit_pairs(sum(a * b for a, b in itertools.pairwise(states)))
        entries = (len(a) * (1 if self.tied_widths else len(b)) for a, b in itertools.pairwise(self.widths))
        limit_transitions(sum(entries) * (len(self.depth) if self.equal_depths else 1))
        return self

    def size(self) -> int:
        """How many specifications it holds, exactly."""
        counts = [self._counts(choices) for choices in self.widths]
        depths = [[k] for k in range(len(self.depth))] if self.equal_depths else [list(range(len(self.depth)))]
        positions = [[k] for k in range(len(self.widths[0]))] if self.tied_widths else [slice(None)]
        return sum(
            math.prod(int(cell[position][:, tied].sum()) for cell in counts)
            for tied in depths
            for position in positions
        )

    def _counts(self, widths: tuple[int, ...]) -> IntArray:
        """(widths, depths): how many choices of skips each pair has."""
        ranges = skip_ranges(widths, self.depth, self.max_skips, self.max_density)
        return ranges.counts.reshape(len(widths), len(self.depth))

    def levels(self, latency: LatencyTable | None = None, *, max_activation_bytes: int | None = None) -> list[Level]:
        """The options of every cell; see `Space.levels`."""
        limit_options(sum(int(self._counts(choices).sum()) for choices in self.widths))
        most = math.inf if max_activation_bytes is None else max_activation_bytes / 4
        found, before = [], [_State(self.in_channels, None, None)]
        tables: dict[tuple[int, tuple[int, ...]], CellTable] = {}
        for k, side in enumerate(self._sides):
            states = list(self._states(k))
            blocks: list[tuple[int, FloatArray, IntArray]] = []
            entries: list[tuple[int, int, FloatArray]] = []
            for j, state in enumerate(states):
                key = (state.width, self.depth if state.depth is None else (state.depth,))
                if key not in tables:
                    tables[key] = cell_table(state.width, self._options(*key))
                quantities, choices = self._block(k, state.width, tables[key], latency)
                fits = cell_values(state.width, choices[:, 1], choices[:, 2], side) <= most
                if not fits.any():
                    continue
                for i, earlier in enumerate(before):
                    alive = earlier.width * self._entering(k) ** 2 + state.width * side**2
                    if (k == 0 or state.follows(earlier)) and alive <= most:
                        entries.append((i, len(blocks), self._entry(k, earlier.width, state.width, latency)))
                blocks.append((j, quantities[fits], choices[fits]))
            found.append(make_level(len(states), blocks, entries))
            before = states
        return found

    @property
    def traits(self) -> dict[str, Any]:
        """Choices for all but depths and skips."""
        return self.model_dump(exclude={"family", "depth", "equal_depths", "tied_widths", "max_skips", "max_density"})

    def specify(self, choices: Sequence[IntArray]) -> DenseCNN:
        """Return the specification that the options of a path stand for."""
        widths, depths, skips = (tuple(int(choice[i]) for choice in choices) for i in range(3))
        return DenseCNN(
            widths=widths,
            depth=depths,
            max_skips=skips,
            conv=self.conv,
            image_size=self.image_size,
            in_channels=self.in_channels,
            num_classes=self.num_classes,
        )

    def shapes(self, k: int, level: Level) -> FloatArray:
        """(options, 2): width and depth."""
        return level.choices[:, :2].astype(np.float64)

    def departures(self, member: Specification | None = None) -> tuple[str, ...]:
        """How it, or a member of it, reaches beyond the domain of the theory."""
        return dense_departures(self.widths, self.depth[0], self.max_density, member)

    def blocks(self) -> tuple[Block, ...]:
        """The blocks of all members; of layers with skips the narrowest and widest."""
        found: list[Block] = []
        for k, (choices, side) in enumerate(zip(self.widths, self._sides, strict=True)):
            before = self.widths[k - 1] if k else (self.in_channels,) * len(choices)
            pairs = zip(before, choices, strict=True) if self.tied_widths or not k else product(before, choices)
            found += [Block("dense_first", self._first_sizes(k, earlier, width)) for earlier, width in pairs]
            for width in choices:
                found.append(block("dense_second", self._separable, width, side))
                for skips in (0, widest_skips(width, self._options(width, self.depth))):
                    found.append(block("dense_layer", self._separable, width, side, width + skips))
                if k + 1 == len(self.widths):
                    found.append(block("pooled_head", width, side, self.num_classes))
        return tuple(dict.fromkeys(found))

    @property
    def _sides(self) -> list[int]:
        return cell_resolutions(self.image_size, len(self.widths))

    @property
    def _separable(self) -> bool:
        return self.conv == "separable"

    def _entering(self, k: int) -> int:
        return self._sides[k - 1] if k else self.image_size

    def _first_sizes(self, k: int, earlier: int, width: int) -> tuple[int, ...]:
        return int(self._separable and k > 0), earlier, width, 2 if k else 1, self._entering(k)

    def _states(self, k: int) -> Iterator[_State]:
        depths = self.depth if self.equal_depths and len(self.widths) > 1 else (None,)
        for (position, width), depth in product(enumerate(self.widths[k]), depths):
            yield _State(width, depth, position if self.tied_widths else None)

    def _options(self, width: int, depths: tuple[int, ...]) -> CellOptions:
        return cell_options(width, depths, self.max_skips, self.max_density)

    def _block(self, k: int, width: int, table: CellTable, latency: LatencyTable | None) -> tuple[FloatArray, IntArray]:
        """Mass and costs of everything in a cell but its first layer; the classifier belongs to the last cell."""
        options, skips, mass = table
        params, macs = (
            cost._replace(constant=0)(options.depth, skips) for cost in self._cell_costs(k, self.in_channels, width)
        )
        last = k + 1 == len(self.widths)
        if last:
            head_params, head_macs = head_costs(width, self.num_classes)
            params, macs = params + head_params, macs + head_macs
        milliseconds = 0.0 if latency is None else self._latency(latency, k, width, options, last=last)
        choices = np.column_stack([np.full(len(skips), width), *options])
        return rows_of(mass, params, macs, milliseconds), choices

    def _entry(self, k: int, earlier: int, width: int, latency: LatencyTable | None) -> FloatArray:
        """Costs of a cell's first layer."""
        params, macs = self._cell_costs(k, earlier, width)
        if latency is None:
            return rows_of(0, params.constant, macs.constant)
        first = latency.latencies("dense_first", np.array([self._first_sizes(k, earlier, width)]))[0]
        return rows_of(0, params.constant, macs.constant, first)

    def _cell_costs(self, k: int, earlier: int, width: int) -> tuple[CellCosts, CellCosts]:
        widths = [*([1] * (k - 1)), *([earlier] if k else []), width]
        return cell_costs(widths, conv=self.conv, image_size=self.image_size, in_channels=self.in_channels)[k]

    def _latency(self, latency: LatencyTable, k: int, width: int, options: CellOptions, *, last: bool) -> FloatArray:
        """Milliseconds of a cell without its first layer."""
        side = self._sides[k]

        def layers(skips: IntArray) -> FloatArray:
            sizes = np.tile([self._separable, width, side, width], (len(skips), 1))
            sizes[:, -1] += skips
            return latency.latencies("dense_layer", sizes)

        total = skips_latency(layers, width, options)
        second = latency.latencies("dense_second", np.array([[self._separable, width, side]]))
        total = total + second * (options.depth > 1)
        if last:
            total = total + latency.latencies("pooled_head", np.array([[width, side, self.num_classes]]))
        return total

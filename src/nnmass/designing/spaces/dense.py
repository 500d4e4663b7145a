"""Options of cells with concatenation skips."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nnmass.architectures import Specification
from nnmass.designing.problem import BoolArray, FloatArray, IntArray
from nnmass.topology import MIN_DENSITY_DEPTH, Cell, cell_density, nn_mass, num_skips

DENSITY_CAP = 0.8
"""Largest density of a cell within the domain of the theory."""
LEAST_DEPTH = 8
"""Fewest layers of a cell within the domain of the theory: none shallower was measured."""
_ROUNDING = 1e-9


class CellOptions(NamedTuple):
    """Choices for one cell of a given width: arrays of one length.

    Attributes:
        depth: layers.
        max_skips: maximum number of skip candidates per layer.
    """

    depth: IntArray
    max_skips: IntArray


class CellTable(NamedTuple):
    """Options of a cell and what they amount to, in the order of their links within the cell: costs rise with these.

    Attributes:
        options: depths and skips.
        skips: skip channels of all layers.
        mass: NN-Mass.
    """

    options: CellOptions
    skips: IntArray
    mass: FloatArray


def cell_table(width: int, options: CellOptions) -> CellTable:
    """Put options into order: of equally many links (d - 1) w + S those of the largest mass first."""
    depth, max_skips = options
    skips, mass = num_skips(width, depth, max_skips), nn_mass(width, depth, max_skips)
    order = np.lexsort((-mass, width * (depth - 1) + skips))
    return CellTable(CellOptions(depth[order], max_skips[order]), skips[order], mass[order])


def cell_options(
    width: int, depths: tuple[int, ...], max_skips: tuple[int, ...] | None, max_density: float
) -> CellOptions:
    """Every depth with every number of skips up to saturation, or with those given, within the density.

    Examples:
        >>> cell_options(2, (3, 4), None, 1.0)
        CellOptions(depth=array([3, 3, 3, 4, 4, 4, 4, 4]), max_skips=array([0, 1, 2, 0, 1, 2, 3, 4]))
    """
    parts = [_skips_of(width, depth, max_skips, max_density) for depth in depths]
    depth = np.repeat(np.array(depths, np.int64), [len(part) for part in parts])
    return CellOptions(depth, np.concatenate(parts))


def _skips_of(width: int, depth: int, max_skips: tuple[int, ...] | None, max_density: float) -> IntArray:
    saturated = width * max(depth - 2, 0)
    if max_skips is None:
        choices = np.arange(saturated + 1)
    else:
        choices = np.unique(np.minimum(np.array(max_skips, np.int64), saturated))
    if depth < MIN_DENSITY_DEPTH or max_density >= 1:
        return choices
    return choices[cell_density(width, depth, choices) <= max_density + _ROUNDING]


class SkipRange(NamedTuple):
    """Choices of max_skips for pairs of width and depth: arrays of one length, a pair each.

    Attributes:
        width: of the cell.
        depth: of the cell.
        last: position of the largest choice within the density, -1 where there is none.
        given: the choices, ascending; None: all whole numbers.
    """

    width: IntArray
    depth: IntArray
    last: IntArray
    given: IntArray | None

    def max_skips(self, position: IntArray) -> IntArray:
        """The choices at some positions, none beyond saturation."""
        wanted = position if self.given is None else self.given[position]
        return np.minimum(wanted, self.saturated)

    @property
    def saturated(self) -> IntArray:
        """The most skips that a layer can have."""
        return self.width * np.maximum(self.depth - 2, 0)

    @property
    def counts(self) -> IntArray:
        """How many different choices each pair has."""
        if self.given is None:
            return self.last + 1
        below = np.searchsorted(self.given, self.saturated)
        return np.minimum(self.last, below) + 1


def skip_ranges(
    widths: tuple[int, ...], depths: tuple[int, ...], max_skips: tuple[int, ...] | None, max_density: float
) -> SkipRange:
    """For every width and depth the choices within the density, without listing them."""
    width, depth = (grid.ravel() for grid in np.meshgrid(np.array(widths), np.array(depths), indexing="ij"))
    given = None if max_skips is None else np.array(max_skips, np.int64)
    everything = SkipRange(width, depth, np.zeros(len(width), np.int64), given)
    most = everything.saturated if given is None else np.full(len(width), len(given) - 1)
    capped = (depth >= MIN_DENSITY_DEPTH) & (max_density < 1)
    safe = np.maximum(depth, MIN_DENSITY_DEPTH)

    def thin(position: IntArray) -> BoolArray:
        density = cell_density(width, safe, everything.max_skips(position))
        return np.asarray(~capped | (density <= max_density + _ROUNDING))

    return everything._replace(last=last_that(thin, np.zeros_like(most), most))


def last_that(holds: Callable[[IntArray], BoolArray], first: IntArray, last: IntArray) -> IntArray:
    """Per element the last position at which something holds; ``first`` - 1 where it never does.

    Args:
        holds: of an array of positions, element by element; once it does not, it never does again.
        first: least positions.
        last: largest positions, none below ``first`` - 1.

    Examples:
        >>> last_that(lambda n: n * n <= 10, np.array([0, 4]), np.array([9, 9]))
        array([3, 3])
    """
    low, high = first - 1, last
    while (low < high).any():
        middle = low + (high - low + 1) // 2
        right = holds(np.maximum(middle, first)) | (middle <= low)
        low, high = np.where(right, middle, low), np.where(right, high, middle - 1)
    return low


def dense_departures(
    widths: Sequence[Sequence[int]], depth: int, max_density: float, member: Specification | None
) -> tuple[str, ...]:
    """How a space of such cells, or a member of it, reaches beyond the domain of the theory.

    Args:
        widths: choices of every cell of the space.
        depth: least depth of a cell of the space.
        max_density: largest density of a cell of the space.
        member: whose depths and densities count in their place.
    """
    if member is not None:
        cells = [cell for cell in member.cells if isinstance(cell, Cell)]
        depth = min(cell.depth for cell in cells)
        max_density = max((cell.density for cell in cells if cell.depth >= MIN_DENSITY_DEPTH), default=0.0)
    found = []
    free = [choices for choices in widths if len(choices) > 1]
    if free:
        least, most = min(choices[0] for choices in free), max(choices[-1] for choices in free)
        found.append(f"widths vary ({least} … {most}): NN-Mass compares networks of equal widths")
    if depth < LEAST_DEPTH:
        found.append(f"depth {depth}: cells of fewer than {LEAST_DEPTH} layers were not measured")
    if max_density > DENSITY_CAP + _ROUNDING:
        found.append(f"density {max_density:.3g}: the domain ends at {DENSITY_CAP:g}")
    return tuple(found)


def skips_latency(latencies: Callable[[IntArray], FloatArray], width: int, options: CellOptions) -> FloatArray:
    """Sum over layers 2 ... d-1 of what a layer with so many skips takes, for every option.

    Args:
        latencies: milliseconds of layers, from their skips.
        width: of the cell.
        options: depths and skips.
    """
    depth, max_skips = options
    full = np.minimum(max_skips // width, np.maximum(depth - 2, 0))
    growing = np.concatenate([[0.0], np.cumsum(latencies(width * np.arange(1, full.max(initial=0) + 1)))])
    rest = np.maximum(depth - 2, 0) - full
    capped, position = np.unique(np.where(rest > 0, max_skips, 0), return_inverse=True)
    total: FloatArray = growing[full] + rest * latencies(capped)[position]
    return total


def widest_skips(width: int, options: CellOptions) -> int:
    """Most skips that a layer of any option has."""
    return int(np.minimum(options.max_skips, width * np.maximum(options.depth - 2, 0)).max(initial=0))

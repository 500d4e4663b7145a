"""Which maps have the same resolution at every image size, and not by chance at one of them."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, eq=False)
class Root:
    """Where positions come from: a dimension of an input, or of an enlarged map.

    Attributes:
        enlarged: module in which a map was enlarged to these positions, if one was, and from which positions.
    """

    enlarged: "tuple[str, Grid] | None" = None


class Grid(NamedTuple):
    """The positions along one dimension, as a function of its size at the root.

    Attributes:
        root: where they come from.
        strides: what is added before every division, and what is divided by, rounded down.
        shift: what is added at last.

    Examples:
        >>> whole = Grid.fresh()
        >>> whole.windowed(kernel=3, stride=1, padding=2) == whole  # keeps every size
        True
        >>> whole.windowed(kernel=3, stride=2, padding=2) == whole  # also where one position stays one
        False
    """

    root: Root
    strides: tuple[tuple[int, int], ...] = ()
    shift: int = 0

    @classmethod
    def fresh(cls) -> "Grid":
        """Positions that have nothing to do with any other."""
        return cls(Root())

    @classmethod
    def enlarged(cls, where: str, source: "Grid") -> "Grid":
        """Positions of a map that a module has enlarged."""
        return cls(Root((where, source)))

    def shifted(self, change: int) -> "Grid":
        """After padding, or after cutting where the change is negative."""
        return self._replace(shift=self.shift + change)

    def windowed(self, *, kernel: int, stride: int, padding: int, dilation: int = 1, ceil: bool = False) -> "Grid":
        """After a window has passed; ``padding`` is that of both sides together."""
        shift = self.shift + padding - dilation * (kernel - 1) - 1 + (stride - 1 if ceil else 0)
        if stride == 1:
            return self._replace(shift=shift + 1)
        return Grid(self.root, (*self.strides, (shift, stride)), 1)

    def reduced(self) -> "Grid":
        """After a window as large as the map."""
        return Grid(self.root, (*self.strides, (self.shift, 0)))

    def split(self, inner: int) -> "tuple[Grid, Grid]":
        """Positions in groups of a size: the groups, and the positions within each."""
        within = Grid(self.root, (*self.strides, (self.shift, -inner)))
        return self.windowed(kernel=inner, stride=inner, padding=0), within

    def joined(self, within: "Grid") -> "Grid | None":
        """The positions that were split into these groups and those within, if they were."""
        if not within.strides or within.strides[-1][1] >= 0:
            return None
        shift, inner = within.strides[-1]
        whole = Grid(within.root, within.strides[:-1], shift)
        return whole if whole.split(-inner) == (self, within) else None

    def comes_from(self, other: "Grid") -> bool:
        """Whether these are the positions of another grid, after strides."""
        return self.root is other.root and self.strides[: len(other.strides)] == other.strides and self != other


class Grids:
    """Grids that are the same because maps on them were added, concatenated or multiplied."""

    def __init__(self) -> None:
        self._same: dict[Grid, Grid] = {}

    def find(self, grid: Grid) -> Grid:
        """The one that stands for all that are the same."""
        while grid in self._same:
            grid = self._same[grid]
        return grid

    def resolution(self, grids: Iterable[Grid]) -> tuple[Grid, ...]:
        """The grids of a map, those that stand for others alone, and parts of positions together as the whole."""
        found = list(dict.fromkeys(map(self.find, grids)))
        for groups, within in itertools.permutations(found, 2):
            whole = groups.joined(within)
            if whole is not None:
                return self.resolution([whole, *(grid for grid in found if grid not in (groups, within))])
        return tuple(found)

    def unite(self, a: Grid, b: Grid) -> None:
        """Note that two are the same."""
        a, b = self.find(a), self.find(b)
        if a != b:
            self._same[b] = a

"""Geometry of one row of a layer graph's picture, in inches; and texts that never overlap."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

from matplotlib.textpath import TextPath

from nnmass.reporting.layer_graph_layout import Layout, Row
from nnmass.reporting.layer_graph_links import Link

LABEL = 0.18
"""Height of a line of text."""

_MARGIN = 0.22
_BETWEEN_LANES = 0.1
_CLEAR = 0.08  # between arcs and the text above them
_APART = 0.03  # beside a text
_POINTS = 72


class Spot(NamedTuple):
    """A place in the picture."""

    x: float
    y: float


@dataclass(frozen=True, eq=False)
class Strip:
    """One row.

    Attributes:
        plan: places of all nodes.
        row: its columns.
        pitch: width of a column.
        bars: lengths of the layers' bars.
        labels: lines of text above the arcs.
        top: upper edge.
    """

    plan: Layout
    row: Row
    pitch: float
    bars: Mapping[int, float]
    labels: int
    top: float = 0.0

    @cached_property
    def nodes(self) -> tuple[int, ...]:
        """Nodes of the row."""
        return tuple(i for i, column in self.plan.columns.items() if self.row.first <= column <= self.row.last)

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Links that are read in the row."""
        nodes = set(self.nodes)
        return tuple(link for link in self.plan.links if link.reader in nodes)

    @cached_property
    def base(self) -> float:
        """Height of lane 0."""
        arcs = max((self.rise(link) for link in self.links if self.arched(link)), default=0.0)
        return self.top - self.labels * LABEL - arcs - _CLEAR

    @cached_property
    def depths(self) -> list[float]:
        """How far below lane 0 each lane is, and how far its bars would reach if there were one more."""
        found = [0.0]
        for lane in range(1 + max(self.plan.lanes[i] for i in self.nodes)):
            longest = max((self.bars[i] for i in self.nodes if self.plan.lanes[i] == lane), default=0.0)
            found.append(found[-1] + longest + _BETWEEN_LANES)
        return found

    @property
    def floor(self) -> float:
        """Lower edge of the bars."""
        return self.base - self.depths[-1]

    @property
    def bottom(self) -> float:
        """Lower edge: below the names of cells and the resolutions."""
        return self.floor - 2 * LABEL

    @cached_property
    def crowd(self) -> int:
        """Arcs above the same place, at most."""
        changes = Counter[int]()
        for link in self.links:
            if self.arched(link):
                changes[self.column(link.source)] += 1
                changes[self.column(link.reader)] -= 1
        return max(accumulate(changes[column] for column in sorted(changes)), default=0)

    def x(self, column: float) -> float:
        """Where a column is."""
        return _MARGIN + (column - self.row.first + (self.row.before is not None) + 0.5) * self.pitch

    def column(self, node: int) -> int:
        """Column of a node of the row, or of the one before it."""
        return self.row.first - 1 if node == self.row.before else self.plan.columns[node]

    def spot(self, node: int) -> Spot:
        """Where a node is: the upper end of its bar."""
        lane = 0 if node == self.row.before else self.plan.lanes[node]
        return Spot(self.x(self.column(node)), self.base - self.depths[lane])

    def arched(self, link: Link) -> bool:
        """Whether a link is drawn as an arc: skips, and what passes over other nodes of lane 0."""
        lanes = (0 if node == self.row.before else self.plan.lanes[node] for node in (link.source, link.reader))
        return link.kind != "path" or (self._span(link) > 1 and not any(lanes))

    def rise(self, link: Link) -> float:
        """Height of a link's arc above lane 0."""
        return 0.12 + 0.16 * math.log2(max(self._span(link), 2))

    def _span(self, link: Link) -> int:
        return self.column(link.reader) - self.column(link.source)


def width_of(columns: int, pitch: float) -> float:
    """Width of a picture."""
    return columns * pitch + 2 * _MARGIN


class Texts:
    """Texts on axes in inches; one that would overlap another is left out."""

    def __init__(self, axes: Any, right: float) -> None:
        self._axes, self._right = axes, right
        self._taken: list[tuple[float, float, float, float]] = []

    def put(self, x: float, y: float, text: str, *, size: float = 7.5, align: str = "center", **style: Any) -> bool:
        """Write a text around or from ``x``, its lower edge at ``y``; whether there was room."""
        width = text_width(text, size)
        left = x - width / 2 if align == "center" else x
        box = (left - _APART, left + width + _APART, y, y + size / _POINTS)
        if box[1] > self._right or any(_overlap(box, other) for other in self._taken):
            return False
        self._taken.append(box)
        self._axes.text(left, y, text, fontsize=size, ha="left", va="baseline", **style)
        return True


@lru_cache(maxsize=1024)
def text_width(text: str, size: float) -> float:
    """Width of a text of this size in points."""
    return float(TextPath((0, 0), text, size=size).get_extents().xmax) / _POINTS if text else 0.0


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]

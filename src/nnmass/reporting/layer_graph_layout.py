"""Where the layers of a model stand in its picture: columns along the longest paths, lanes beside them, rows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nnmass.reporting.layer_graph_links import Link, Links, Reads, longest_paths
from nnmass.topology import LayerGraph, Node

_COLUMNS = 56  # of a row, where the network can be cut
_OFF_STAGE = 0.15  # how much worse it is to cut it within a stage of one resolution


@dataclass(frozen=True)
class Row:
    """Neighbouring columns.

    Attributes:
        first: column.
        last: column.
        before: node of an earlier row that this one goes on from.
    """

    first: int
    last: int
    before: int | None = None

    @property
    def length(self) -> int:
        """Columns, with one for the node that it goes on from."""
        return self.last - self.first + 1 + (self.before is not None)


@dataclass(frozen=True)
class Layout:
    """Places of nodes.

    Attributes:
        nodes: the nodes; None is a concatenation that several read.
        columns: of each node, by its longest path from the input.
        lanes: of each node; 0 for the longest paths, 1 and so on for what runs beside them.
        links: what nodes read of each other.
        rows: columns, cut where all that follows reads a single node.
    """

    nodes: dict[int, Node | None]
    columns: dict[int, int]
    lanes: dict[int, int]
    links: tuple[Link, ...]
    rows: tuple[Row, ...]


def layout(graph: LayerGraph) -> Layout:
    """Place the nodes of a network; see `Links` for which."""
    found = Links(graph)
    reads: dict[int, list[int]] = {i: [] for i in found.nodes}
    for link in found.links:
        reads[link.reader].append(link.source)
    columns = longest_paths(reads, lambda i: int(bool(reads[i])))
    lanes = _lanes(columns, reads)
    main = {columns[i]: node.resolution for i, node in found.nodes.items() if node is not None and lanes[i] == 0}
    return Layout(found.nodes, columns, lanes, found.links, _rows(columns, found.links, set(stages(main))))


def stages(resolutions: Mapping[int, tuple[int, ...]]) -> list[int]:
    """Columns at which the map has fewer positions than at any before, the first included, ascending."""
    starts, least = [], math.inf
    for column in sorted(resolutions):
        positions = math.prod(resolutions[column])
        if positions < least:
            starts.append(column)
            least = positions
    return starts


def _lanes(columns: Mapping[int, int], reads: Reads) -> dict[int, int]:
    """The node that most columns follow takes lane 0; the others stay in the lane of what they read, if it is free."""
    readers: dict[int, list[int]] = {i: [] for i in columns}
    for reader, sources in reads.items():
        for source in sources:
            readers[source].append(reader)
    follow: dict[int, int] = {}
    for i in reversed(readers):
        follow[i] = max((follow[r] + columns[r] - columns[i] for r in readers[i]), default=0)
    lanes: dict[int, int] = {}
    taken: dict[int, int] = {}  # last column of each lane that is not free
    for i in sorted(columns, key=lambda i: (columns[i], -follow[i], i)):
        wanted = max((lanes[s] for s in reads[i]), default=0)
        lane = next(lane for lane in (0, wanted, *range(1, len(columns))) if taken.get(lane, -1) < columns[i])
        lanes[i] = lane
        until = min((columns[r] for r in readers[i]), default=0) - 1  # a line along the lane leads to the reader
        taken[lane] = columns[i] if lane == 0 else max(columns[i], until)
    return lanes


def _rows(columns: Mapping[int, int], links: tuple[Link, ...], starts: set[int]) -> tuple[Row, ...]:
    """Cut into rows of about equal length, by the least sum of squares."""
    size = max(columns.values()) + 1
    cuts = _cuts(columns, links, size)
    aim = size / math.ceil(size / _COLUMNS)
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for cut in [*cuts, size]:
        off = _OFF_STAGE * (cut not in starts and cut < size)
        costs = [(cost + ((cut - start) / aim - 1) ** 2 + off, (*way, start)) for start, (cost, way) in best.items()]
        best[cut] = min(costs)
    firsts = best[size][1]
    ends = [*firsts[1:], size]
    return tuple(Row(first, end - 1, cuts.get(first)) for first, end in zip(firsts, ends, strict=True))


def _cuts(columns: Mapping[int, int], links: tuple[Link, ...], size: int) -> dict[int, int]:
    """Columns at which a row may start, since of all before them a single node is read from there on; and that node."""
    crossing: list[set[int]] = [set() for _ in range(size)]
    for link in links:
        for column in range(columns[link.source] + 1, columns[link.reader] + 1):
            crossing[column].add(link.source)
    return {column: next(iter(sources)) for column, sources in enumerate(crossing) if len(sources) == 1}

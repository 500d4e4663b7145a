"""Finding the cells of a layer graph."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from nnmass.topology.contraction import Contraction
from nnmass.topology.flow import CONCATENATION, Region, flow
from nnmass.topology.graph import LayerGraph
from nnmass.topology.graph_cell import GraphCell
from nnmass.topology.levels import Levels, Projection
from nnmass.topology.outputs import Merge, by_output, is_map, merges_of


def find_cells(graph: LayerGraph, *, projection: Projection = "count") -> tuple[GraphCell, ...]:
    """Find the cells of a network, in the order of their entries.

    Regions run from an entry to the sum or concatenation that is its immediate post-dominator and that it dominates
    immediately.  They are taken smallest first; one that holds a skip is a cell, and counts in the regions around it as
    one layer, its last, in every respect.  Skips come by concatenation, at the input of a layer, and by addition, at
    its output: distinct channels that reach it from two or more levels before without passing a layer.  A layer's level
    is the longest path of channels from the entry to it; through a sum or a concatenation only those channels count
    that are read.  Channels that are read together are one concatenation, in whatever steps it was made, regardless
    of order, repetition and constants.

    A concatenation is read by the next layer: if that is a single one of the same resolution, it is the last of the
    cell (a DenseNet's transition); if it is the network's last layer, it counts with the width of the level before
    it, since its outputs are classes.  In a region with concatenations (outside the cells within) chains of layers that
    nothing else reads (1x1 then 3x3) are one node, unless they lead to a term of a sum of the region, where every layer
    is a node as in a residual block; `GraphCell.every_layer` is the other reading, in which every layer is a node and
    the reader of the last concatenation ends the cell as a sum does.  A term of a sum that is one linear layer, which
    nothing else reads, which is no second layer of a shortcut of its own, and which bypasses a level, is no node but a
    projection of the skip.

    A network that returns several tensors is read once for each of them, as if it returned that one alone: a branch
    that ends in a tensor of its own and never comes back (an auxiliary head, a tap) does not change the regions beside
    it.  The main output is the one behind most layers in a row, and of the others those cells count whose exit is their
    own, and that share no node with its cells.  An output that merges across resolutions (the finer maps of a feature
    pyramid, a decoder) is left out beside a deeper one that does not, or beside another map that does not.

    Args:
        graph: the network.
        projection: whether the skips of projections count.

    Returns:
        Cells with at least one skip, those within others included; those of the main output first.
    """
    return search_cells(graph, projection=projection).cells


class FoundCells(NamedTuple):
    """The cells of a network.

    Attributes:
        cells: those that count; if one merges across resolutions, so does the network as a whole.
        left_out: where maps are enlarged for outputs that are left out.
    """

    cells: tuple[GraphCell, ...]
    left_out: tuple[str, ...]


def search_cells(graph: LayerGraph, *, projection: Projection = "count") -> FoundCells:
    """Find the cells of a network, as `find_cells`, and what is left out."""
    kept = _Kept()
    crossing: list[tuple[frozenset[Merge], str, tuple[GraphCell, ...]]] = []
    deepest_crosses = a_map_is_kept = False
    for one in by_output(graph):
        merges = merges_of(one)
        if any(merges == known for known, _, _ in crossing):
            continue
        found = _Search(one, projection).cells() if kept.lacks(merges) else []
        where = next((cell.enlarged for cell, _, _ in found if cell.enlarged), None)
        if where is None:
            kept.add(found, merges)
            a_map_is_kept |= is_map(one)
        else:
            deepest_crosses |= kept.merges is None
            crossing.append((merges, where, tuple(cell for cell, _, _ in found)))
    if deepest_crosses and not a_map_is_kept:
        return FoundCells(crossing[0][2], ())
    return FoundCells(tuple(kept.cells), tuple(dict.fromkeys(where for _, where, _ in crossing)))


class _Kept:
    """The cells that count, of one output after the other.

    Attributes:
        cells: the cells.
        merges: sums and concatenations of the outputs so far; None before the first.
    """

    def __init__(self) -> None:
        self.cells: list[GraphCell] = []
        self.merges: frozenset[Merge] | None = None
        self._nodes: set[int] = set()

    def lacks(self, merges: frozenset[Merge]) -> bool:
        """Whether there may be cells of an output that do not count yet."""
        return self.merges is None or not merges <= self.merges

    def add(self, found: "Sequence[_Found]", merges: frozenset[Merge]) -> None:
        """Take an output's cells that share no node with those before, and whose exit is this output's own."""
        before = self.merges or frozenset()
        own = [k for k, cell in enumerate(found) if self._nodes.isdisjoint(cell.nodes) and cell.exit not in before]
        position = {k: len(self.cells) + i for i, k in enumerate(own)}
        self._nodes = self._nodes.union(*(found[k].nodes for k in own))
        for cell in (found[k].cell for k in own):
            self.cells.append(cell if cell.inside is None else replace(cell, inside=position.get(cell.inside)))
        self.merges = before | merges


class _Found(NamedTuple):
    """A cell, the nodes of its region but its entry, and the sum or concatenation that is its exit."""

    cell: GraphCell
    nodes: frozenset[int]
    exit: Merge


class _Search:
    def __init__(self, graph: LayerGraph, projection: Projection) -> None:
        self.graph, self.projection, self.flow = graph, projection, flow(graph)
        self.contraction = Contraction(graph, self.flow)
        self.readers = Counter(v for read in self.flow.predecessors for v in read.tolist())
        self.reader = {v: i for i, read in enumerate(self.flow.predecessors) for v in read.tolist()}

    def cells(self) -> list[_Found]:
        """Cells in the order of their entries."""
        found: dict[int, GraphCell] = {}
        regions: dict[int, Region] = {}
        around: dict[int, int] = {}  # entry of the cell that holds a cell, by its entry
        for region in self.flow.regions():
            within = self.contraction.cells_among(region.interior)
            cell = self._cell(region)
            if cell is not None:
                found[region.entry] = cell
                regions[region.entry] = region
                around.update(dict.fromkeys(within, region.entry))
        position = {entry: i for i, entry in enumerate(sorted(found))}
        inside = {entry: position[outer] for entry, outer in around.items()}
        cells = {entry: replace(found[entry], inside=inside.get(entry)) for entry in position}
        return [_Found(cell, *self._span(regions[entry])) for entry, cell in cells.items()]

    def _span(self, region: Region) -> tuple[frozenset[int], Merge]:
        node = self.flow.nodes[region.exit]
        nodes = (self.flow.nodes[v] for v in (*region.interior, region.exit))
        exit_ = node if node != CONCATENATION else self.flow.contents[region.exit].contents
        return frozenset(n for n in nodes if n >= 0), exit_

    def _cell(self, region: Region) -> GraphCell | None:
        reader = self._only_reader(region.exit)
        last = reader if reader is not None and self._same_resolution(region.exit, reader) else None
        interior = [v for v in region.interior if v not in self.contraction.absorbed]
        vertices = (*interior, region.exit, *([last] if last is not None else []))
        concatenates = any(self.contraction.is_concatenation(v) for v in vertices)
        levels = self._levels(region, vertices, composite=concatenates)
        if levels.depth < 2 or not sum(levels.skips):
            return None
        cell = self._describe(region, levels, concatenates, last)
        if concatenates:
            cell = replace(cell, every_layer=self._every_layer(region, (*interior, region.exit), reader))
        self.contraction.absorb(region.entry, vertices, levels.last)
        return cell

    def _levels(self, region: Region, vertices: tuple[int, ...], *, composite: bool) -> Levels:
        return Levels(self.contraction, region.entry, vertices, composite=composite, projection=self.projection)

    def _every_layer(self, region: Region, vertices: tuple[int, ...], reader: int | None) -> float:
        """NN-Mass with every layer a node; the reader of the last concatenation is the last, of whatever resolution."""
        levels = self._levels(region, (*vertices, *([reader] if reader is not None else [])), composite=False)
        into_sum = self.flow.nodes[region.exit] != CONCATENATION
        counted = len(levels.widths) - (into_sum or reader is not None)
        return GraphCell("", "", "concatenation", levels.widths, levels.skips, levels.direct, counted).nn_mass

    def _describe(self, region: Region, levels: Levels, concatenates: bool, last: int | None) -> GraphCell:
        nodes, widths, layers = self.graph.nodes, list(levels.widths), levels.layers
        if last is not None and self.reader[last] == len(self.flow.nodes) - 1:
            level = levels.of(last)  # a head: its outputs are classes
            widths[level] += widths[level - 1] - nodes[self.flow.nodes[last]].width
        into_sum = self.flow.nodes[region.exit] != CONCATENATION
        entry = self.flow.nodes[region.entry]
        if entry < 0:
            entry = int(self.flow.contents[region.entry].sources[0])
        first = nodes[entry]
        if concatenates and first.is_layer and first.grid == nodes[levels.last].grid:
            layers = (entry, *layers)
        return GraphCell(
            entry=first.name,
            exit=nodes[levels.last].name,
            kind="concatenation" if concatenates else "addition",
            widths=tuple(widths),
            skips=levels.skips,
            direct=levels.direct,
            counted=len(widths) - into_sum,
            layers=layers,
            enlarged=self._enlarged(levels, region),
        )

    def _enlarged(self, levels: Levels, region: Region) -> str | None:
        """Where a map is enlarged on its way to a layer or sum of the region."""
        read = [*levels.layers, *(n for v in (*region.interior, region.exit) if (n := self.flow.nodes[v]) >= 0)]
        operands = (operand for node in read for operand in self.graph.nodes[node].operands)
        return next((operand.upsampled for operand in operands if operand.upsampled), None)

    def _only_reader(self, vertex: int) -> int | None:
        """Vertex of the single layer that reads a concatenation."""
        if self.flow.nodes[vertex] != CONCATENATION or self.readers[vertex] != 1:
            return None
        reader = self.reader[vertex]
        return reader if self.flow.nodes[reader] >= 0 and self.graph.nodes[self.flow.nodes[reader]].is_layer else None

    def _same_resolution(self, vertex: int, reader: int) -> bool:
        """Whether a layer has the resolution of the last node whose channels it reads, or of an enlarged map."""
        layer, last = self.graph.nodes[self.flow.nodes[reader]], self.flow.contents[vertex].sources[-1]
        return layer.grid == self.graph.nodes[last].grid or layer.operands[0].upsampled is not None

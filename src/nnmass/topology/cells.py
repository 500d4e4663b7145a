"""Finding the cells of a layer graph."""

from collections import Counter
from dataclasses import replace

from nnmass.topology.contraction import Contraction
from nnmass.topology.flow import CONCATENATION, Region, flow
from nnmass.topology.graph import LayerGraph
from nnmass.topology.graph_cell import GraphCell
from nnmass.topology.levels import Levels, Projection


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

    Args:
        graph: the network.
        projection: whether the skips of projections count.

    Returns:
        Cells with at least one skip, those within others included.
    """
    return _Search(graph, projection).cells()


class _Search:
    def __init__(self, graph: LayerGraph, projection: Projection) -> None:
        self.graph, self.projection, self.flow = graph, projection, flow(graph)
        self.contraction = Contraction(graph, self.flow)
        self.readers = Counter(v for read in self.flow.predecessors for v in read.tolist())
        self.reader = {v: i for i, read in enumerate(self.flow.predecessors) for v in read.tolist()}

    def cells(self) -> tuple[GraphCell, ...]:
        found: dict[int, GraphCell] = {}
        around: dict[int, int] = {}  # entry of the cell that holds a cell, by its entry
        for region in self.flow.regions():
            within = self.contraction.cells_among(region.interior)
            cell = self._cell(region)
            if cell is not None:
                found[region.entry] = cell
                around.update(dict.fromkeys(within, region.entry))
        position = {entry: i for i, entry in enumerate(sorted(found))}
        inside = {entry: position[outer] for entry, outer in around.items()}
        return tuple(replace(found[entry], inside=inside.get(entry)) for entry in position)

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

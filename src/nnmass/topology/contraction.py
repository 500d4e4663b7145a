"""A layer graph in which the cells that were found count as one layer each."""

from collections.abc import Sequence

import numpy as np

from nnmass.topology.flow import CONCATENATION, Flow
from nnmass.topology.graph import CONSTANT, Codes, LayerGraph, encode


class Contraction:
    """The vertices of a graph's flow, as what they count.

    Attributes:
        layers: the graph.
        flow: its vertices.
        vertex: of each node.
        absorbed: vertices within the cells found so far, and the vertex that stands for each cell.

    Args:
        layers: the graph.
        flow: its vertices.
    """

    def __init__(self, layers: LayerGraph, flow: Flow) -> None:
        self.layers, self.flow = layers, flow
        self.vertex = {node: v for v, node in enumerate(flow.nodes) if node >= 0}
        self.absorbed: dict[int, int] = {}
        self._entries: dict[int, int] = {}
        self._last_layers: dict[int, int] = {}
        self._codes: dict[int, Codes] = {}
        self._readers: dict[int, list[int]] = {}
        for (node, _), read in flow.reading.items():
            reader = self.vertex.get(node, len(flow.nodes) - 1)
            for source in [read, *(flow.predecessors[read].tolist() if flow.nodes[read] == CONCATENATION else [])]:
                self._readers.setdefault(source, []).append(reader)

    def absorb(self, entry: int, vertices: Sequence[int], last_layer: int) -> None:
        """Take a cell as one layer from now on: its last vertex stands for it, and reads its entry."""
        *within, last = vertices
        self.absorbed.update(dict.fromkeys(within, last))
        self._entries[last], self._last_layers[last] = entry, last_layer

    def cells_among(self, vertices: Sequence[int]) -> list[int]:
        """Entries of the cells that stand among these vertices, and within no other."""
        return [self._entries[v] for v in vertices if v in self._entries and v not in self.absorbed]

    def last_layer(self, vertex: int) -> int:
        """Node of a layer, or of the last one of a cell."""
        return self._last_layers.get(vertex, self.flow.nodes[vertex])

    def is_layer(self, vertex: int) -> bool:
        """Whether it is a weighted layer, or a cell taken as one."""
        node = self.flow.nodes[vertex]
        return vertex in self._entries or (node >= 0 and self.layers.nodes[node].is_layer)

    def is_sum(self, vertex: int) -> bool:
        """Whether it is a sum, and no cell taken as one layer."""
        node = self.flow.nodes[vertex]
        return vertex not in self._entries and node >= 0 and self.layers.nodes[node].kind == "add"

    def is_concatenation(self, vertex: int) -> bool:
        """Whether it is a concatenation, and no cell taken as one layer."""
        return vertex not in self._entries and self.flow.nodes[vertex] == CONCATENATION

    def codes(self, vertex: int) -> Codes:
        """Distinct channels that a vertex holds, ascending."""
        if vertex not in self._codes:
            node = self.flow.nodes[vertex]
            if node == CONCATENATION:
                codes = np.unique(self.flow.contents[vertex].codes)
                self._codes[vertex] = codes[codes != CONSTANT]
            else:
                self._codes[vertex] = encode(node, self.layers.nodes[node].width)
        return self._codes[vertex]

    def reads(self, vertex: int) -> list[tuple[Codes, int]]:
        """Channels that a layer or sum reads, and from which vertex."""
        if vertex in self._entries:
            return [(self.codes(self._entries[vertex]), self._entries[vertex])]
        node = self.flow.nodes[vertex]
        return [
            (operand.channels.codes, self.flow.reading[node, k])
            for k, operand in enumerate(self.layers.nodes[node].operands)
            if (node, k) in self.flow.reading
        ]

    def sources(self, vertex: int) -> list[int]:
        """Vertices that a layer or sum reads."""
        if vertex in self._entries:
            return [self._entries[vertex]]
        node = self.flow.nodes[vertex]
        places = ((node, k) for k in range(len(self.layers.nodes[node].operands)))
        return [self.flow.reading[place] for place in places if place in self.flow.reading]

    def readers(self, vertex: int) -> list[int]:
        """Vertices of the layers and sums that read a node, cells taken as one; a node read twice counts twice."""
        standing = [self._standing(reader) for reader in self._readers.get(vertex, [])]
        cells = {reader for reader in standing if reader in self._entries}
        return [*cells, *(reader for reader in standing if reader not in cells)]

    def is_linear_branch(self, vertex: int, term: int) -> bool:
        """Whether a term of a sum is of one layer, without activation, that nothing else reads."""
        node = self.flow.nodes[vertex]
        operands = [o for k, o in enumerate(self.layers.nodes[node].operands) if (node, k) in self.flow.reading]
        operand = operands[term]
        sources = operand.channels.sources
        if len(sources) != 1 or not operand.linear:
            return False
        layer = self.layers.nodes[int(sources[0])]
        branch = self.vertex[int(sources[0])]
        return layer.is_layer and branch not in self._entries and self._readers[branch] == [vertex]

    def _standing(self, vertex: int) -> int:
        while vertex in self.absorbed:
            vertex = self.absorbed[vertex]
        return vertex

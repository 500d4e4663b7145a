"""What the layers of a model read of each other, as its picture shows it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nnmass.topology import LayerGraph, Node

LinkKind: TypeAlias = Literal["path", "addition", "concatenation"]
Reads: TypeAlias = Mapping[int, Collection[int]]


@dataclass(frozen=True)
class Link:
    """Channels of one node that another reads.

    Attributes:
        source: node.
        reader: node.
        channels: how many.
        kind: ``"path"`` where they pass over no layer, else how they skip.
        projection: the layer on the way of a skip that is a projection.
    """

    source: int
    reader: int
    channels: int
    kind: LinkKind
    projection: int | None = None


class Links:
    """Nodes and links of a picture.

    The output is left out, a projection is part of its skip, and a concatenation that several nodes read is a node.

    Attributes:
        nodes: the nodes, in an order in which each reads earlier ones; None is a concatenation.
        links: what they read.

    Args:
        graph: the network.
    """

    def __init__(self, graph: LayerGraph) -> None:
        self.nodes: dict[int, Node | None] = {}
        self._reads: dict[int, Counter[int]] = {}
        self._gather(graph)
        self._readers: dict[int, list[int]] = {i: [] for i in self.nodes}
        for reader, sources in self._reads.items():
            for source in sources:
                self._readers[source].append(reader)
        self._levels = self._find_levels()
        projections = self._find_projections(graph)
        self.links = tuple(self._find_links(projections))
        self.nodes = {i: node for i, node in self.nodes.items() if i not in projections}

    def _gather(self, graph: LayerGraph) -> None:
        *inner, _ = graph.nodes
        many = Counter(o.channels.contents for node in inner for o in node.operands if len(o.channels.sources) > 1)
        shared: dict[bytes, int] = {}
        for i, node in enumerate(inner):
            reads: Counter[int] = Counter()
            for channels in (operand.channels for operand in node.operands):
                lengths = Counter[int]()
                for source, _, length in channels.runs:
                    lengths[source] += length * (source >= 0)
                if len(channels.sources) > 1 and many[channels.contents] > 1:
                    joined = shared.setdefault(channels.contents, len(graph.nodes) + len(shared))
                    self.nodes.setdefault(joined, None)
                    self._reads.setdefault(joined, +lengths)
                    lengths = Counter({joined: channels.width})
                reads += lengths
            self.nodes[i], self._reads[i] = node, reads

    def _is(self, i: int, kind: str) -> bool:
        node = self.nodes[i]
        return node is not None and (node.is_layer if kind == "layer" else node.kind == kind)

    def _find_levels(self) -> dict[int, int]:
        """Layers on the longest path to each node, a chain that leads to no sum taken as one, as cells take it."""
        summed: set[int] = set()
        for i in reversed(self.nodes):
            readers = self._readers[i]
            chained = len(readers) == 1 and readers[0] in summed and len(self._reads[readers[0]]) == 1
            if chained or any(self._is(reader, "add") for reader in readers):
                summed.add(i)

        def step(i: int) -> int:
            sources = list(self._reads[i])
            chained = len(sources) == 1 and self._is(sources[0], "layer") and len(self._readers[sources[0]]) == 1
            return int(self._is(i, "layer") and (i in summed or not chained))

        return longest_paths(self._reads, step)

    def _find_projections(self, graph: LayerGraph) -> set[int]:
        """Layers that a sum alone reads, without activation, beside a longer way to it."""
        found = set()
        for i, node in enumerate(graph.nodes):
            for operand in node.operands if node.kind == "add" else ():
                terms = operand.channels.sources.tolist()
                if len(terms) == 1 and operand.linear and self._is(terms[0], "layer"):
                    alone = len(self._readers[terms[0]]) == len(self._reads[terms[0]]) == 1
                    if alone and self._levels[terms[0]] < max(self._levels[s] for s in self._reads[i]):
                        found.add(terms[0])
        return found

    def _find_links(self, projections: set[int]) -> Iterator[Link]:
        for reader, sources in self._reads.items():
            if reader in projections:
                continue
            way: LinkKind = "addition" if self._is(reader, "add") else "concatenation"
            last = self._levels[reader] - (self.nodes[reader] is not None)  # level that no skip comes from
            for source, channels in sources.items():
                projection = source if source in projections else None
                entry = source if projection is None else next(iter(self._reads[source]))
                yield Link(entry, reader, channels, way if self._levels[entry] < last else "path", projection)


def longest_paths(reads: Reads, step: Callable[[int], int]) -> dict[int, int]:
    """Sum of the steps on the longest path to each node; nodes come after what they read."""
    found: dict[int, int] = {}
    for i, sources in reads.items():
        found[i] = max((found[s] for s in sources), default=0) + step(i)
    return found

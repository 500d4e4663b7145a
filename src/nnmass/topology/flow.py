"""The paths of a layer graph: one vertex per node and per concatenation that is read as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nnmass.topology.dominance import dominator_tree, post_dominator_tree
from nnmass.topology.graph import Channels, LayerGraph
from nnmass.topology.outputs import leaves, living

ROOT = -1
SINK = -2
CONCATENATION = -3


class Region(NamedTuple):
    """A part of the graph with one entry and one exit.

    Attributes:
        entry: vertex that dominates the exit immediately.
        exit: vertex that post-dominates the entry immediately.
        interior: vertices between them, in order.
    """

    entry: int
    exit: int
    interior: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Flow:
    """Vertices of a layer graph in topological order, from the root to the sink.

    Channels from several nodes that are read together are a vertex of their own, whatever the concatenations that
    brought them together: ``cat(cat(a, b), c)`` is ``cat(a, b, c)``.

    Attributes:
        nodes: node of each vertex; or ROOT, SINK or CONCATENATION.
        predecessors: vertices that each reads.
        contents: channels of each concatenation.
        reading: vertex that an operand is read from, by node and position.
    """

    nodes: tuple[int, ...]
    predecessors: tuple[npt.NDArray[np.int64], ...]
    contents: dict[int, Channels]
    reading: dict[tuple[int, int], int]

    def regions(self) -> list[Region]:
        """Regions (entry, exit) with exit a sum or concatenation, those with the shortest span first."""
        size = len(self.nodes)
        forward, backward = dominator_tree(self.predecessors), post_dominator_tree(self.predecessors)
        after = size - 1 - backward.parent[::-1]  # immediate post-dominator of each vertex
        found = []
        (first, last), (mirror_first, mirror_last) = forward.subtree(), backward.subtree()
        mirror_first, mirror_last = mirror_first[::-1], mirror_last[::-1]
        for entry in range(1, size - 1):
            exit_ = int(after[entry])
            if len(self.predecessors[exit_]) < 2 or forward.parent[exit_] != entry or exit_ == size - 1:
                continue
            span = np.arange(entry + 1, exit_)
            below = (first[entry] <= first[span]) & (first[span] < last[entry])
            above = (mirror_first[exit_] <= mirror_first[span]) & (mirror_first[span] < mirror_last[exit_])
            found.append(Region(entry, exit_, tuple(span[below & above].tolist())))
        return sorted(found, key=lambda region: region.exit - region.entry)


def flow(graph: LayerGraph) -> Flow:
    """Return the vertices of a graph; tensors of the output that lead on to another one are no exit."""
    nodes, predecessors = [ROOT], [np.empty(0, dtype=np.int64)]
    contents: dict[int, Channels] = {}
    known: dict[bytes, int] = {}
    place: dict[int, int] = {}
    reading: dict[tuple[int, int], int] = {}

    def add(node: int, read: Sequence[int]) -> int:
        nodes.append(node)
        predecessors.append(np.unique(np.asarray(read, dtype=np.int64)))
        return len(nodes) - 1

    def vertex(channels: Channels) -> int:
        sources = channels.sources
        if len(sources) == 1:
            return place[int(sources[0])]
        if channels.contents not in known:
            known[channels.contents] = at = add(CONCATENATION, [place[s] for s in sources.tolist()])
            contents[at] = channels
        return known[channels.contents]

    alive = living(graph)
    ends = set(leaves(graph, alive))
    for i, node in enumerate(graph.nodes):
        if i not in alive:
            continue
        operands = [(k, o) for k, o in enumerate(node.operands) if len(o.channels.sources)]
        if node.kind == "output":
            operands = [(k, o) for k, o in operands if k in ends]
        for k, operand in operands:
            reading[i, k] = vertex(operand.channels)
        read = [reading[i, k] for k, _ in operands]
        place[i] = add(SINK if node.kind == "output" else i, read or [0])
    return Flow(tuple(nodes), tuple(predecessors), contents, reading)

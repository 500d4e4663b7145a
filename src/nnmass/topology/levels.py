"""The levels of one region: nodes, widths, and the channels that skip into each."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.topology.contraction import Contraction
from nnmass.topology.graph import CONSTANT, Codes, decode

Projection: TypeAlias = Literal["count", "zero"]
Mask: TypeAlias = npt.NDArray[np.bool_]


class Levels:
    """Layers of a region by longest path from its entry, and what skips into them.

    Attributes:
        widths: channels of the layers of each level; of level 0 those of the entry.
        skips: distinct channels from two or more levels before that reach each level without passing a layer, at the
            input of its layers or at their output, into a sum.
        direct: distinct channels of the level before that reach it.
        layers: nodes of the weighted layers of the region, projections included.
        last: node of the last layer of the last level; -1 without levels.

    Args:
        graph: the graph, with the cells found so far taken as one layer each.
        entry: vertex at level 0.
        vertices: those of the region, in order, the exit and the last layer included.
        composite: take chains of layers that nothing else reads as one.
        projection: whether the skips of one-layer linear branches count.
    """

    def __init__(
        self, graph: Contraction, entry: int, vertices: Sequence[int], *, composite: bool, projection: Projection
    ) -> None:
        self._graph, self._entry, self._vertices = graph, entry, vertices
        self._composite, self._projection = composite, projection
        self._projections: set[int] = set()
        self._summed = self._find_summed() if composite else set()
        while self._measure():  # again, without the projections that were found
            pass
        nodes = [graph.flow.nodes[v] for v in vertices]
        self.layers = tuple(n for n in nodes if n >= 0 and graph.layers.nodes[n].is_layer)
        deepest = (v for v in self._start if v != entry and self.of(v) == self.depth)
        self.last = max(map(graph.last_layer, deepest), default=-1)

    @property
    def depth(self) -> int:
        """Levels after the entry."""
        return len(self.widths) - 1

    def of(self, vertex: int) -> int:
        """Level of a layer of the region."""
        return int(self._level[self._start[vertex]])

    def _measure(self) -> bool:
        """Measure the levels; whether that brought new projections to light."""
        known = len(self._projections)
        self._number()
        self._terms: dict[int, list[tuple[Codes, int] | Mask]] = {}
        self._reaching: dict[int, Mask] = {}
        for vertex in self._vertices:
            if vertex in self._start:
                self._layer(vertex)
            elif self._graph.flow.nodes[vertex] >= 0 and vertex not in self._projections:
                self._sum(vertex)
        counted = self._level[self._counts]
        self.widths = tuple(np.bincount(counted).tolist())
        self.skips = tuple(self._count(level, slice(0, max(level - 1, 0))) for level in range(len(self.widths)))
        self.direct = tuple(self._count(level, slice(max(level - 1, 0), level)) for level in range(len(self.widths)))
        return len(self._projections) > known

    def _count(self, level: int, sources: slice) -> int:
        mask = self._reaching.get(level)
        if mask is None or sources.start == sources.stop:
            return 0
        within = (self._level >= sources.start) & (self._level < sources.stop)
        return int(np.count_nonzero(mask & within & self._counts))

    def _number(self) -> None:
        """Give every channel of the entry, of layers and of cells taken as one its number within the region."""
        self._start = {self._entry: 0}
        total = len(self._graph.codes(self._entry))
        for vertex in self._vertices:
            if self._graph.is_layer(vertex) and vertex not in self._projections:
                self._start[vertex] = total
                total += len(self._graph.codes(vertex))
        self._start_of_node = np.full(len(self._graph.layers.nodes), -1, dtype=np.int64)
        for vertex, start in self._start.items():
            if self._graph.flow.nodes[vertex] >= 0:
                self._start_of_node[self._graph.flow.nodes[vertex]] = start
        self._level = np.zeros(total, dtype=np.int64)
        self._counts = np.ones(total, dtype=np.bool_)

    def _range(self, vertex: int) -> slice:
        start = self._start[vertex]
        return slice(start, start + len(self._graph.codes(vertex)))

    def _layer(self, vertex: int) -> None:
        """Place a layer one level after what it reads, or with the layer before in its chain."""
        before = self._before(vertex) if self._composite and vertex not in self._summed else None
        if before is not None:
            self._counts[self._range(before)] = False
            self._level[self._range(vertex)] = self._level[self._start[before]]
            return
        mask = self._reached(self._graph.reads(vertex))
        level = self._latest(mask) + 1
        self._level[self._range(vertex)] = level
        self._reach(level, mask)

    def _before(self, vertex: int) -> int | None:
        """The layer within the region that this one alone reads, if it reads nothing else."""
        sources = self._graph.sources(vertex)
        if len(sources) != 1 or sources[0] == self._entry or sources[0] not in self._start:
            return None
        return sources[0] if self._graph.readers(sources[0]) == [vertex] else None

    def _find_summed(self) -> set[int]:
        """Layers whose chain leads to a term of a sum of the region: as in a residual block, every one is a node."""
        sums = {vertex for vertex in self._vertices if self._graph.is_sum(vertex)}
        summed: set[int] = set()
        for vertex in reversed(self._vertices):
            readers = self._graph.readers(vertex)
            into_chain = len(readers) == 1 and readers[0] in summed and self._graph.sources(readers[0]) == [vertex]
            if into_chain or not sums.isdisjoint(readers):
                summed.add(vertex)
        return summed

    def _sum(self, vertex: int) -> None:
        """Place a sum at the level of its latest term; earlier terms skip into that level's layers."""
        reads = self._graph.reads(vertex)
        bypassed = [branch in self._projections for _, branch in reads]
        masks = [self._behind(r[1]) if past else self._reached([r]) for r, past in zip(reads, bypassed, strict=True)]
        levels = [self._latest(mask) for mask in masks]
        for k, (_, branch) in enumerate(reads):
            others = max((level for j, level in enumerate(levels) if j != k), default=0)
            if self._is_branch(vertex, k, branch) and others > levels[k]:
                self._projections.add(branch)
        terms = [mask if past else read for read, mask, past in zip(reads, masks, bypassed, strict=True)]
        self._terms[self._graph.flow.nodes[vertex]] = terms
        mask = np.logical_or.reduce(masks)
        self._reach(self._latest(mask), mask)

    def _is_branch(self, vertex: int, term: int, branch: int) -> bool:
        one_layer = branch in self._start and self._before(branch) is None
        return one_layer and self._graph.is_linear_branch(vertex, term)

    def _behind(self, branch: int) -> Mask:
        """What a projection reads, if that counts."""
        mask = self._reached(self._graph.reads(branch))
        return mask if self._projection == "count" else np.zeros_like(mask)

    def _latest(self, mask: Mask) -> int:
        return int(self._level[mask].max(initial=0))

    def _reach(self, level: int, mask: Mask) -> None:
        known = self._reaching.get(level)
        self._reaching[level] = mask if known is None else known | mask

    def _reached(self, reads: Sequence[tuple[Codes, int]]) -> Mask:
        """Channels that are read, through the sums of the region: of each all channels behind the ones read."""
        mask = np.zeros(len(self._level), dtype=np.bool_)
        pending: dict[int, Mask] = {}
        for codes, vertex in reads:
            self._mark(codes, vertex, mask, pending)
        while pending:
            node = max(pending)
            chosen = pending.pop(node)
            for term in self._terms[node]:
                if isinstance(term, tuple):
                    self._mark(term[0][chosen], term[1], mask, pending)
                else:
                    mask |= term
        return mask

    def _mark(self, codes: Codes, vertex: int, mask: Mask, pending: dict[int, Mask]) -> None:
        codes = codes[codes != CONSTANT]
        if vertex in self._start:  # read as a whole: the entry, a layer, a cell
            mask[self._start[vertex] + np.searchsorted(self._graph.codes(vertex), codes)] = True
            return
        nodes, channels = decode(codes)
        starts = self._start_of_node[nodes]
        numbered = starts >= 0
        mask[starts[numbered] + channels[numbered]] = True
        for node in np.unique(nodes[~numbered]).tolist():  # a sum
            known = pending.setdefault(node, np.zeros(self._graph.layers.nodes[node].width, dtype=np.bool_))
            known[channels[nodes == node]] = True

"""The definition of a layer graph's cells, applied literally to sets of channels.

A channel is a pair (node, number), a vertex dominates another if without it no path leads there, and the channels
behind a channel are found by walking through the sums one channel at a time.
"""

from dataclasses import replace

import pytest

from nnmass.topology import LayerGraph
from nnmass.topology.graph import CONSTANT

ROOT, SINK = "root", "sink"


@pytest.fixture(scope="session")
def cells_by_definition():
    """Function of a layer graph and ``projection``: what is to be found, as dictionaries."""
    return cells_by_output


def cells_by_output(graph, projection):
    """For one tensor of the output at a time, the deepest first, the cells whose exit no tensor before it needs.

    Those that share a node with a cell before do not count.
    """
    ends, seen, taken, found = outputs(graph), set(), set(), []
    for operand in sorted(ends, key=lambda operand: -max(depth(graph, n) for n, _ in real(channels_of(operand)))):
        alone = LayerGraph((*graph.nodes[:-1], replace(graph.nodes[-1], operands=(operand,))))
        unrolled = Unrolled(alone, projection)
        spans = [(cell, {v for v in span if isinstance(v, int)}, exit_) for cell, span, exit_ in unrolled.find()]
        own = [(cell, nodes) for cell, nodes, exit_ in spans if not taken & nodes and exit_ not in seen]
        for cell, nodes in own:
            cell["inside"] = cell["inside"] if any(cell["inside"] is other for other, _ in own) else None
            taken = taken | nodes
        found += [cell for cell, _ in own]
        seen |= set(unrolled.reads)
    return found


def outputs(graph):
    """Tensors of the output that do not only lead on to another one, each set of channels once."""
    terms = {i: [real(channels_of(o)) for o in n.operands] for i, n in enumerate(graph.nodes)}
    last = len(graph.nodes) - 1
    alive = reached({i: {n for t in read for n, _ in t} for i, read in terms.items()}, last)
    inner = {n for i in alive - {last} for t in terms[i] for n, _ in t}
    ends = {}
    for operand, channels in zip(graph.nodes[-1].operands, terms[last], strict=True):
        if {n for n, _ in channels} - inner:
            ends.setdefault(frozenset(channels), operand)
    return list(ends.values())


def depth(graph, i):
    """Layers in a row up to a node."""
    node = graph.nodes[i]
    before = {n for operand in node.operands for n, _ in real(channels_of(operand))}
    return max((depth(graph, n) for n in before), default=0) + node.is_layer


class Unrolled:
    """The vertices of a graph: nodes that lead to the output (numbers) and concatenations (sets of channels)."""

    def __init__(self, graph, projection):
        self.nodes, self.projection = graph.nodes, projection
        self.output = len(graph.nodes) - 1
        self.terms = {i: [t for o in n.operands if real(t := channels_of(o))] for i, n in enumerate(graph.nodes)}
        alive = reached({i: {n for t in terms for n, _ in real(t)} for i, terms in self.terms.items()}, self.output)
        self.terms = {i: terms for i, terms in self.terms.items() if i in alive}
        inner = {n for i, terms in self.terms.items() if i != self.output for t in terms for n, _ in real(t)}
        self.terms[self.output] = [t for t in self.terms[self.output] if {n for n, _ in real(t)} - inner]
        self.reads = {ROOT: set()}
        for i, terms in self.terms.items():
            read = {vertex_of(t) for t in terms} or {ROOT}
            self.reads[SINK if i == self.output else i] = read
            self.reads |= {v: {n for n, _ in v} for v in read if isinstance(v, frozenset)}
        self.readers_of = {v: {r for r, read in self.reads.items() if v in read} for v in self.reads}
        self.cells = {}  # of the vertex that stands for each: its entry and the vertices within
        self.last_layers = {}

    def regions(self):
        """Entry, exit, and what lies between."""
        vertices = set(self.reads) - {ROOT, SINK}
        before, after = without_which(self.readers_of, ROOT), without_which(self.reads, SINK)
        for entry in vertices:
            for exit_ in vertices:
                merges = len(self.reads[exit_]) > 1
                immediate = entry in before[exit_] and len(before[exit_]) == len(before[entry]) + 1
                if merges and immediate and exit_ in after[entry] and len(after[entry]) == len(after[exit_]) + 1:
                    yield entry, exit_, {v for v in vertices if entry in before[v] and exit_ in after[v]}

    def find(self):
        """Cells as dictionaries, their vertices and exits; ``inside`` is the smallest around."""
        found = []
        for entry, exit_, interior in sorted(self.regions(), key=lambda region: len(region[2])):
            cell = self.cell(entry, exit_, interior)
            if cell is not None:
                found.append((cell, interior | {exit_}, exit_))
        for cell, span, _ in found:
            around = [(len(other), outer) for outer, other, _ in found if span < other]
            cell["inside"] = min(around, default=(0, None), key=lambda size_and_cell: size_and_cell[0])[1]
        return found

    def cell(self, entry, exit_, interior):
        absorbed = {v for standing, (_, within) in self.cells.items() if standing in interior for v in within}
        vertices = (interior - absorbed) | {exit_}
        reader = self.only_layer_that_reads(exit_)
        same = reader is not None and self.nodes[reader].resolution == self.resolution(exit_)
        last = {reader} if same else set()
        concatenates = any(isinstance(v, frozenset) and v not in self.cells for v in vertices)
        levels = Levels(self, entry, vertices | last, composite=concatenates)
        if len(levels.widths) < 3 or not sum(levels.skips):
            return None
        widths = list(levels.widths)
        if same and self.readers_of[reader] == {SINK}:
            widths[levels.level[reader]] += widths[levels.level[reader] - 1] - self.nodes[reader].width
        result = {
            "entry": self.nodes[min(n for n, _ in self.holds(entry))].name,
            "exit": self.nodes[levels.last].name,
            "kind": "concatenation" if concatenates else "addition",
            "widths": tuple(widths),
            "skips": levels.skips,
            "direct": levels.direct,
            "counted": len(widths) - (not isinstance(exit_, frozenset)),
            "layers": levels.layers | self.first_layer(entry, levels.last if concatenates else None),
            "every_layer": None,
        }
        result["nn_mass"] = mass(widths, levels.skips, result["counted"])
        if concatenates:
            every = Levels(self, entry, vertices | ({reader} - {None}), composite=False)
            counted = len(every.widths) - (not isinstance(exit_, frozenset) or reader is not None)
            result["every_layer"] = mass(every.widths, every.skips, counted)
        standing = reader if same else exit_
        self.cells[standing] = (entry, interior | {exit_} - {standing})
        self.last_layers[standing] = levels.last
        return result

    def first_layer(self, entry, last):
        """Node 0 of a concatenation, if it is a layer of the same resolution as the last."""
        node = min(n for n, _ in self.holds(entry))
        same = last is not None and self.nodes[node].resolution == self.nodes[last].resolution
        return {node} if same and self.nodes[node].is_layer else set()

    def only_layer_that_reads(self, vertex):
        readers = list(self.readers_of[vertex])
        single = isinstance(vertex, frozenset) and len(readers) == 1 and readers[0] in range(self.output)
        return readers[0] if single and self.nodes[readers[0]].is_layer else None

    def resolution(self, concatenation):
        made = [n for n, _ in concatenation if self.nodes[n].kind != "input"]
        return self.nodes[max(made)].resolution if made else None

    def holds(self, vertex):
        """Channels of a vertex."""
        return vertex if isinstance(vertex, frozenset) else {(vertex, c) for c in range(self.nodes[vertex].width)}


class Levels:
    """Levels of a region: layers (or cells that stand as one) by longest path of channels."""

    def __init__(self, unrolled, entry, vertices, composite):
        self.unrolled, self.entry, self.vertices = unrolled, entry, vertices
        nodes, cells = unrolled.nodes, unrolled.cells
        self.sums = [v for v in vertices if v not in cells and isinstance(v, int) and not nodes[v].is_layer]
        self.order = sorted((v for v in vertices if self.is_layer(v)), key=self.position)
        self.composite, self.projections = composite, set()
        self.place()
        self.projections = {self.branch(s, term) for s in self.sums for term in unrolled.terms[s]} - {None}
        self.place()
        depth = max(self.level.values())
        counting = [v for v in [entry, *self.order] if v not in self.within_chains]
        reached = {i: set() for i in range(depth + 1)}
        for layer in self.order:
            if self.chained(layer) is None:
                reached[self.level[layer]] |= self.behind_all(layer)
        for s in self.sums:
            behind = self.behind_all(s)
            reached[self.latest(behind)] |= behind
        at = {i: {c for v in counting if self.level[v] == i for c in self.owned(v)} for i in reached}
        self.widths = tuple(len(at[i]) for i in reached)
        self.direct = tuple(len(reached[i] & at[i - 1]) if i else 0 for i in reached)
        self.skips = tuple(len(reached[i] & set().union(*(at[j] for j in range(i - 1)))) for i in reached)
        self.layers = {v for v in vertices if isinstance(v, int) and nodes[v].is_layer}
        deepest = (v for v in self.order if self.level[v] == depth)
        self.last = max((unrolled.last_layers.get(v, v) for v in deepest), default=None)

    def is_layer(self, vertex):
        known = vertex in self.unrolled.cells
        return known or (isinstance(vertex, int) and self.unrolled.nodes[vertex].is_layer)

    def position(self, vertex):
        return max(n for n, _ in self.unrolled.holds(vertex))

    def place(self):
        self.order = [v for v in self.order if v not in self.projections]
        self.level, self.within_chains = {self.entry: 0}, set()
        for layer in self.order:
            before = self.chained(layer)
            if before is None:
                self.level[layer] = 1 + self.latest(self.behind_all(layer))
            else:
                self.level[layer] = self.level[before]
                self.within_chains.add(before)

    def owned(self, vertex):
        return {(vertex, c) for c in self.unrolled.holds(vertex)}

    def latest(self, behind):
        return max((self.level[v] for v, _ in behind), default=0)

    def behind(self, vertex, channels):
        """Channels of layers that reach these channels of a vertex without passing a layer."""
        if vertex in self.level:
            return {(vertex, c) for c in channels}
        if isinstance(vertex, frozenset):
            return set().union(*(self.behind(node, {(node, number)}) for node, number in channels))
        if vertex in self.projections:
            return self.behind_all(vertex) if self.unrolled.projection == "count" else set()
        chosen = [(vertex_of(term), real([term[c] for _, c in channels])) for term in self.unrolled.terms[vertex]]
        return set().union(*(self.behind(*term) for term in chosen))

    def behind_all(self, vertex):
        """Channels that reach a layer or sum; a cell reads its entry."""
        if vertex in self.unrolled.cells:
            entry = self.unrolled.cells[vertex][0]
            return self.behind(entry, self.unrolled.holds(entry))
        return set().union(*(self.behind(vertex_of(term), real(term)) for term in self.unrolled.terms[vertex]))

    def sources(self, layer):
        """Vertices that a layer reads."""
        cell = self.unrolled.cells.get(layer)
        return {cell[0]} if cell else {vertex_of(term) for term in self.unrolled.terms[layer]}

    def readers(self, vertex):
        """Layers, cells and sums that read channels of a vertex, once per term."""
        readers = []
        for node, terms in self.unrolled.terms.items():
            standing = node
            while inside := [s for s, (_, within) in self.unrolled.cells.items() if standing in within]:
                standing = inside[0]
            readers += [standing for term in terms if real(term) & self.unrolled.holds(vertex)]
        cells = {r for r in readers if r in self.unrolled.cells and r != vertex}
        return [*cells, *(r for r in readers if r not in self.unrolled.cells)]

    def before(self, layer):
        """The layer of the region that this one alone reads."""
        (source,) = self.sources(layer)
        return source if source in self.order and self.readers(source) == [layer] else None

    def chained(self, layer):
        """The layer before in a chain."""
        return self.before(layer) if self.composite and not self.leads_to_sum(layer) else None

    def leads_to_sum(self, layer):
        readers = self.readers(layer)
        if any(r in self.sums for r in readers):
            return True
        follows = len(readers) == 1 and readers[0] in self.order and self.sources(readers[0]) == {layer}
        return follows and self.leads_to_sum(readers[0])

    def branch(self, s, term):
        """The layer that is a projection into a sum, if a term is one."""
        terms = self.unrolled.terms[s]
        operand = next(o for o in self.unrolled.nodes[s].operands if channels_of(o) == term)
        (layer, *more) = {n for n, _ in real(term)}
        alone = not more and operand.linear and layer in self.order and layer not in self.unrolled.cells
        if not alone or self.readers(layer) != [s] or self.before(layer) is not None:
            return None
        others = [self.latest(self.behind(vertex_of(other), real(other))) for other in terms if other != term]
        return layer if max(others, default=0) > self.level[layer] else None


def reached(steps, start, without=None):
    """What lies on the paths from a start."""
    found, pending = set(), [start]
    while pending:
        vertex = pending.pop()
        if vertex != without and vertex not in found:
            found.add(vertex)
            pending += steps[vertex]
    return found


def without_which(steps, start):
    """Of each vertex, the others without which no path leads from the start to it."""
    left = {v: reached(steps, start, without=v) for v in steps}
    return {v: {w for w in left if w != v and v not in left[w]} for v in left}


def mass(widths, skips, counted):
    possible = sum(sum(widths[: i - 1]) for i in range(2, len(widths)))
    return sum(skips) / possible * sum(widths[:counted]) if possible else 0.0


def channels_of(operand):
    codes = operand.channels.codes.tolist()
    return tuple(None if code == CONSTANT else (code >> 32, code & (2**32 - 1)) for code in codes)


def real(channels):
    return {channel for channel in channels if channel is not None}


def vertex_of(term):
    nodes = {n for n, _ in real(term)}
    return nodes.pop() if len(nodes) == 1 else frozenset(real(term))

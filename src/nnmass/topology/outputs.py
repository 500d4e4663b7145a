"""A network that returns several tensors, as one network for each of them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

from nnmass.topology.graph import LayerGraph, Operand

Merge: TypeAlias = int | bytes
"""A sum, as its node; or a concatenation, as the channels that are read together."""


def by_output(graph: LayerGraph) -> Iterator[LayerGraph]:
    """Return the graph with one tensor of its output at a time, the one behind most layers in a row first.

    Tensors that lead on to another one are none of their own, and neither are those that hold the same channels.
    """
    *inner, output = graph.nodes
    ends = [output.operands[k] for k in leaves(graph, living(graph))]
    by_contents: dict[bytes, Operand] = {}
    for operand in ends:
        by_contents.setdefault(operand.channels.contents, operand)
    distinct, behind = list(by_contents.values()), _layers_in_a_row(graph)
    distinct.sort(
        key=lambda operand: max((behind[s] for s in operand.channels.sources.tolist()), default=0), reverse=True
    )
    for operand in distinct:
        yield graph if len(distinct) == 1 else LayerGraph((*inner, replace(output, operands=(operand,))))


def merges_of(graph: LayerGraph) -> frozenset[Merge]:
    """Sums, and concatenations that are read, on the way to the output."""
    nodes = [(i, graph.nodes[i]) for i in living(graph)]
    read = (operand.channels for _, node in nodes for operand in node.operands)
    joined = {channels.contents for channels in read if len(channels.sources) > 1}
    return frozenset({i for i, node in nodes if node.kind == "add"} | joined)


def is_map(graph: LayerGraph) -> bool:
    """Whether the nodes that the output holds have positions."""
    sources = (s for operand in graph.nodes[-1].operands for s in operand.channels.sources.tolist())
    return any(graph.nodes[s].grid for s in sources)


def leaves(graph: LayerGraph, alive: set[int]) -> list[int]:
    """Positions of the output's tensors that hold a channel of a node that nothing else alive reads."""
    *inner, output = graph.nodes
    kept = (node for i, node in enumerate(inner) if i in alive)
    read = {s for node in kept for o in node.operands for s in o.channels.sources.tolist()}
    return [k for k, o in enumerate(output.operands) if any(s not in read for s in o.channels.sources.tolist())]


def living(graph: LayerGraph) -> set[int]:
    """Nodes from which a path leads to the output."""
    alive = {len(graph.nodes) - 1}
    for i in range(len(graph.nodes) - 1, -1, -1):
        if i in alive:
            alive.update(s for operand in graph.nodes[i].operands for s in operand.channels.sources.tolist())
    return alive


def _layers_in_a_row(graph: LayerGraph) -> list[int]:
    """Layers on the longest path to each node, itself included."""
    behind: list[int] = []
    for node in graph.nodes:
        before = (behind[s] for operand in node.operands for s in operand.channels.sources.tolist())
        behind.append(max(before, default=0) + node.is_layer)
    return behind

"""A network as an immutable graph of its layers, with the channels that each reads."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.errors import InvalidValueError, ResourceError
from nnmass.representation import brief

if TYPE_CHECKING:
    import networkx as nx

Codes: TypeAlias = npt.NDArray[np.int64]
"""Channels as numbers: node · 2³² + channel of that node, or -1 for a constant."""
Kind: TypeAlias = Literal["input", "conv", "linear", "add", "output"]

CONSTANT = -1
MOST_CHANNELS = 2**24
"""Channels of a node, each of which is followed."""
_NODE = 32


def encode(node: int, width: int) -> Codes:
    """All channels of a node.

    Raises:
        ResourceError: more than `MOST_CHANNELS`.

    Examples:
        >>> decode(encode(3, 2))
        (array([3, 3]), array([0, 1]))
    """
    check_channels(width)
    return (np.int64(node) << _NODE) + np.arange(width, dtype=np.int64)


def check_channels(number: int) -> None:
    """Refuse more channels than can be followed one by one.

    Raises:
        ResourceError: more than `MOST_CHANNELS`.
    """
    if number > MOST_CHANNELS:
        raise ResourceError(f"{number:,} channels; at most {MOST_CHANNELS:,} are followed")


def decode(codes: Codes) -> tuple[Codes, Codes]:
    """Nodes and their channels; -1 and a meaningless channel for constants."""
    return codes >> _NODE, codes & ((1 << _NODE) - 1)


@dataclass(frozen=True, eq=False)
class Channels:
    """An ordered list of channels of earlier nodes, as runs of neighbouring channels.

    Attributes:
        firsts: first channel of each run, as a code; -1 for constants.
        lengths: channels of each run.

    Examples:
        >>> channels = Channels.of(np.concatenate([encode(1, 4), encode(2, 2)]))
        >>> channels.runs
        ((1, 0, 4), (2, 0, 2))
    """

    __repr__ = brief

    firsts: Codes
    lengths: Codes

    @classmethod
    def of(cls, codes: Codes) -> "Channels":
        """Make it of codes, one per channel."""
        flat = codes.ravel()
        if not len(flat):
            return cls(flat, flat)
        step = np.where(flat[:-1] == CONSTANT, 0, 1)  # constants follow constants
        starts = np.concatenate([[0], np.flatnonzero(np.diff(flat) != step) + 1])
        return cls(flat[starts], np.diff(np.append(starts, len(flat))))

    @property
    def codes(self) -> Codes:
        """One code per channel."""
        within = np.arange(self.width) - np.repeat(np.cumsum(self.lengths) - self.lengths, self.lengths)
        first = np.repeat(self.firsts, self.lengths)
        return np.where(first == CONSTANT, CONSTANT, first + within)

    @property
    def width(self) -> int:
        """Number of channels."""
        return int(self.lengths.sum())

    @cached_property
    def sources(self) -> Codes:
        """The nodes that the channels are of, ascending, without constants."""
        return np.unique(self.firsts[self.firsts != CONSTANT] >> _NODE)

    @property
    def runs(self) -> tuple[tuple[int, int, int], ...]:
        """Node (-1: constant), its first channel, and number of channels of each run."""
        nodes, channels = decode(self.firsts)
        rows = zip(nodes.tolist(), channels.tolist(), self.lengths.tolist(), strict=True)
        return tuple((node, channel if node >= 0 else 0, length) for node, channel, length in rows)

    def renumbered(self, number: Codes) -> "Channels":
        """Return the same channels where node i has become node ``number[i]``."""
        nodes, channels = decode(self.firsts)
        moved = (number[nodes] << _NODE) + channels
        return Channels(np.where(self.firsts == CONSTANT, CONSTANT, moved), self.lengths)

    @cached_property
    def contents(self) -> bytes:
        """What is read, regardless of order, repetition and constants."""
        codes = self.codes
        return np.unique(codes[codes != CONSTANT]).tobytes()


@dataclass(frozen=True, eq=False)
class Operand:
    """What a node reads.

    Attributes:
        channels: the channels, in order.
        linear: no activation lies between the nodes and this reading.
        upsampled: where the map was enlarged on its way, else None.
    """

    __repr__ = brief

    channels: Channels
    linear: bool = True
    upsampled: str | None = None


@dataclass(frozen=True, eq=False)
class Node:
    """An input, a weighted layer, a sum, or the network's output.

    Attributes:
        name: module path; of a module that is called again, with ``#2`` and so on.
        kind: ``"conv"`` and ``"linear"`` are the weighted layers.
        width: channels or neurons out.
        resolution: positions of its output per dimension; () for a vector.
        operands: what it reads: of a layer one, of a sum its terms, of the output one per tensor.
        kernel: size of a convolution's kernel.
        groups: of a convolution.
        params: weights and biases that no earlier node has.
        macs: multiply-accumulates.
        grid: what nodes of one resolution have in common, and no others; the resolution itself if not given.
    """

    __repr__ = brief

    name: str
    kind: Kind
    width: int
    resolution: tuple[int, ...] = ()
    operands: tuple[Operand, ...] = ()
    kernel: tuple[int, ...] = ()
    groups: int = 1
    params: int = 0
    macs: int = 0
    grid: tuple[Hashable, ...] | None = None

    def __post_init__(self) -> None:
        if self.grid is None:
            object.__setattr__(self, "grid", self.resolution)

    @property
    def is_layer(self) -> bool:
        """Whether it has weights."""
        return self.kind in ("conv", "linear")

    @property
    def positions(self) -> int:
        """Number of positions of its output, however they are laid out."""
        return prod(self.resolution)


@dataclass(frozen=True)
class SmallWorld:
    """Measures of the undirected graph of layers and inputs (Watts and Strogatz, 1998).

    Two are joined where channels of one reach the other without passing a layer, by concatenation or by addition.

    Attributes:
        nodes: layers and inputs.
        average_degree: neighbours per node.
        clustering: mean share of a node's pairs of neighbours that are joined.
        path_length: mean steps between two nodes, over the pairs that are joined by a path.
    """

    nodes: int
    average_degree: float
    clustering: float
    path_length: float


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """Layers, sums, inputs and output of a network, in an order in which each reads only earlier ones.

    Attributes:
        nodes: the nodes; the last is the output.

    Raises:
        InvalidValueError: a node reads what is not before it or channels that are not there; a layer does not have one
            operand, or a sum terms of its width; the output is not last.
    """

    __repr__ = brief

    nodes: tuple[Node, ...] = field(repr=False)

    def __post_init__(self) -> None:
        kinds = [node.kind for node in self.nodes]
        if kinds.count("output") != 1 or kinds[-1] != "output":
            raise InvalidValueError("a layer graph must have one output, as its last node")
        widths = np.array([node.width for node in self.nodes])
        for i, node in enumerate(self.nodes):
            _check_shape(i, node)
            for operand in node.operands:
                _check_operand(operand.channels, widths, i, node.name)

    @property
    def layers(self) -> tuple[Node, ...]:
        """The weighted layers."""
        return tuple(node for node in self.nodes if node.is_layer)

    def edges(self) -> Iterator[tuple[int, int, tuple[tuple[int, int, int], ...]]]:
        """Source, reader, and segments: channel at the source, position among the channels read, and length."""
        for i, node in enumerate(self.nodes):
            for operand in node.operands:
                segments: dict[int, list[tuple[int, int, int]]] = {}
                position = 0
                for source, channel, length in operand.channels.runs:
                    if source >= 0:
                        segments.setdefault(source, []).append((channel, position, length))
                    position += length
                for source, found in segments.items():
                    yield source, i, tuple(found)

    def to_networkx(self) -> "nx.MultiDiGraph[int]":
        """Export: attributes of nodes and edges are plain numbers and text; parallel edges are terms of a sum."""
        import networkx as nx

        graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        for i, node in enumerate(self.nodes):
            values = {"name": node.name, "kind": node.kind, "width": node.width, "resolution": node.resolution}
            costs = {"kernel": node.kernel, "groups": node.groups, "params": node.params, "macs": node.macs}
            graph.add_node(i, **values, **costs)
        for source, reader, segments in self.edges():
            graph.add_edge(source, reader, channels=sum(s[2] for s in segments), segments=segments)
        return graph

    def small_world(self) -> SmallWorld:
        """Average degree, clustering and path length of the layers' links.

        Raises:
            InvalidValueError: fewer than two layers and inputs, or no link between any of them.
        """
        import networkx as nx

        graph: nx.Graph[int] = nx.Graph()
        reached: list[frozenset[int]] = []  # layers and inputs whose channels a node puts out
        for i, node in enumerate(self.nodes):
            read = frozenset().union(*(reached[s] for o in node.operands for s in o.channels.sources))
            reached.append(read if node.kind == "add" else frozenset([i]))
            if node.kind in ("input", "conv", "linear"):
                graph.add_node(i)
                graph.add_edges_from((i, j) for j in read)
        if len(graph) < 2:
            raise InvalidValueError(f"small-world measures need at least two layers, got {len(graph)}")
        if not graph.number_of_edges():
            raise InvalidValueError("small-world measures need a link, but no two layers are joined")
        steps = [n for _, lengths in nx.all_pairs_shortest_path_length(graph) for n in lengths.values() if n]
        degree = 2 * graph.number_of_edges() / len(graph)
        return SmallWorld(len(graph), degree, float(nx.average_clustering(graph)), float(np.mean(steps)))


def _check_shape(index: int, node: Node) -> None:
    if node.is_layer and len(node.operands) != 1:
        raise InvalidValueError(
            f"node {index} ({node.name}) is a layer of {len(node.operands)} operands instead of one"
        )
    found = [operand.channels.width for operand in node.operands]
    if node.kind == "add" and any(width != node.width for width in found):
        raise InvalidValueError(f"node {index} ({node.name}) is a sum of width {node.width} of terms of widths {found}")


def _check_operand(channels: Channels, widths: npt.NDArray[np.int64], reader: int, name: str) -> None:
    nodes, first = decode(channels.firsts)
    real = channels.firsts != CONSTANT
    nodes, last = nodes[real], (first + channels.lengths)[real]
    if (nodes < 0).any() or (nodes >= reader).any() or (last > widths[nodes]).any():
        raise InvalidValueError(f"node {reader} ({name}) reads channels that no earlier node has")

"""One cell of a layer graph, and its measures."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from nnmass.errors import InvalidValueError
from nnmass.representation import brief


@dataclass(frozen=True)
class GraphCell:
    """A region with one entry and one exit that holds skips.

    Its nodes are the entry (node 0) and its weighted layers, those at the same longest distance from the entry taken
    as one.  Possible skips into node i >= 2 come from nodes 0 to i-2; the mass is the density times the widths that
    make up the cell: all nodes of a concatenation, all but the last where the exit is a sum, since that sum is the next
    cell's first node (arXiv:1910.00780, Defs. 1-2, for unequal widths).

    Attributes:
        entry: name of node 0, or of the first of the nodes whose concatenation it is.
        exit: name of the last layer.
        kind: ``"addition"``, or ``"concatenation"`` if any channels are concatenated within.
        widths: channels of nodes 0 to D.
        skips: channels that skip into each node.
        direct: channels of the node before that each node reads.
        counted: how many of the widths make up the mass: D + 1, or D where the exit is a sum.
        layers: indices of the weighted layers in the graph, projections included, those of cells within left to them;
            of a concatenation node 0 as well, where it is a layer of the last one's resolution.
        every_layer: of a concatenation, NN-Mass where every layer is a node, and not a chain (1x1 then 3x3) one.
        enlarged: module within in which a map was enlarged, if one was.
        inside: position among the cells of the smallest that holds this one.

    Examples:
        >>> block = GraphCell("bn1", "conv2", "addition", (64, 64, 64), (0, 0, 64), (0, 64, 64), 2)
        >>> block.density, block.nn_mass
        (1.0, 128.0)
    """

    __repr__ = brief

    entry: str
    exit: str
    kind: Literal["addition", "concatenation"]
    widths: tuple[int, ...]
    skips: tuple[int, ...]
    direct: tuple[int, ...]
    counted: int
    layers: tuple[int, ...] = ()
    every_layer: float | None = None
    enlarged: str | None = None
    inside: int | None = None

    @property
    def depth(self) -> int:
        """Weighted layers after node 0, D; of a concatenation the paper's depth d is D + 1."""
        return len(self.widths) - 1

    @property
    def num_skips(self) -> int:
        """Channels that skip, over all nodes."""
        return sum(self.skips)

    @cached_property
    def possible_skips(self) -> int:
        """Σ_{i>=2} Σ_{j<=i-2} w_j."""
        total = before = 0
        for width in self.widths[:-2]:
            before += width
            total += before
        return total

    @property
    def density(self) -> float:
        """Share of the possible skips; an `InvalidValueError` below two layers, where none is possible."""
        if self.depth < 2:
            raise InvalidValueError(f"a density needs at least two layers, got {self.depth}: no skip is possible")
        return self.num_skips / self.possible_skips

    @property
    def nn_mass(self) -> float:
        """Density times the widths that make up the cell; 0 below two layers."""
        return self.density * sum(self.widths[: self.counted]) if self.depth > 1 else 0.0

    @property
    def average_degree(self) -> float:
        """Channels read per channel of the cell, skips included (arXiv:1910.00780, Prop. 1, for unequal widths)."""
        links = sum(w * (d + s) for w, d, s in zip(self.widths, self.direct, self.skips, strict=True))
        return links / sum(self.widths)

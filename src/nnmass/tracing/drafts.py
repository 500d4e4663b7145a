"""The layer graph while it is being read."""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

import numpy as np

from nnmass.topology.graph import CONSTANT, Codes, LayerGraph, Node
from nnmass.tracing import reasons
from nnmass.tracing.grids import Grid, Grids


@dataclass
class Drafts:
    """Nodes found so far, among them operations that cannot be described.

    Attributes:
        nodes: the nodes, in the order of execution.
        refusals: where and why, of nodes that stand for such an operation.
    """

    nodes: list[Node] = field(default_factory=list)
    refusals: dict[int, tuple[str, str]] = field(default_factory=dict)

    def add(self, node: Node) -> int:
        """Add a node; returns its index."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def living(self) -> list[int]:
        """Nodes that lead to the output, the last one."""
        alive = {len(self.nodes) - 1}
        for i in range(len(self.nodes) - 1, -1, -1):
            if i in alive:
                alive.update(s for operand in self.nodes[i].operands for s in operand.channels.sources.tolist())
        return sorted(alive)

    def refused(self) -> tuple[str, str] | None:
        """Where and why an operation on the way to the output cannot be described: the most telling, else the first."""
        found = [self.refusals[i] for i in self.living() if i in self.refusals]
        telling = (refusal for refusal in found if refusal[1] in reasons.TELLING)
        return next(telling, found[0] if found else None)

    def dropped(self) -> list[Node]:
        """Layers that do not lead to the output: those of gates."""
        alive = set(self.living())
        return [node for i, node in enumerate(self.nodes) if i not in alive and node.is_layer]

    def graph(self, grids: Grids) -> LayerGraph:
        """Return the nodes that lead to the output, numbered anew, as are their resolutions."""
        living = self.living()
        number = np.full(len(self.nodes), CONSTANT, dtype=np.int64)
        number[living] = np.arange(len(living))
        seen: dict[Hashable, int] = {}
        nodes = []
        for i in living:
            found = grids.resolution(grid for grid in self.nodes[i].grid or () if isinstance(grid, Grid))
            numbered = tuple(sorted(seen.setdefault(grid, len(seen)) for grid in found))
            nodes.append(replace(_renumbered(self.nodes[i], number), grid=numbered))
        return LayerGraph(tuple(nodes))


def _renumbered(node: Node, number: Codes) -> Node:
    operands = (replace(operand, channels=operand.channels.renumbered(number)) for operand in node.operands)
    return replace(node, operands=tuple(operands))

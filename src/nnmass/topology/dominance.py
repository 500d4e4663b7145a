"""Immediate dominators of a graph in topological order."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_FEW = 8


class DominatorTree:
    """Immediate dominators, found vertex by vertex (Cooper, Harvey and Kennedy, 2001, for graphs without cycles).

    Vertex 0 is the root.  A vertex's immediate dominator is where the paths of its predecessors' dominators meet.

    Attributes:
        parent: immediate dominator of each vertex; the root's is itself.
    """

    def __init__(self, size: int) -> None:
        self.parent = np.zeros(size, dtype=np.int64)
        self._depth = np.zeros(size, dtype=np.int64)

    def place(self, vertex: int, parent: int) -> None:
        """Set a vertex's immediate dominator."""
        self.parent[vertex] = parent
        self._depth[vertex] = self._depth[parent] + 1

    def meet(self, vertices: npt.ArrayLike) -> int:
        """Return the deepest vertex that dominates all of ``vertices``, each counted among its own dominators."""
        current = np.unique(np.asarray(vertices, dtype=np.int64))
        while len(current) > _FEW:
            depth = self._depth[current]
            deepest = depth.max()
            current = np.unique(np.where(depth == deepest, self.parent[current], current))
        left = current.tolist()
        common: int = left[0]
        for vertex in left[1:]:
            common = self._meet(common, vertex)
        return common

    def _meet(self, a: int, b: int) -> int:
        parent, depth = self.parent, self._depth
        while a != b:
            if depth[a] >= depth[b]:
                a = int(parent[a])
            else:
                b = int(parent[b])
        return a

    def subtree(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Entry and exit numbers of a walk: a dominates b where first[a] <= first[b] < last[a]."""
        size = len(self.parent)
        children: list[list[int]] = [[] for _ in range(size)]
        for vertex in range(1, size):
            children[self.parent[vertex]].append(vertex)
        first, last = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        clock, stack = 0, [(0, False)]
        while stack:
            vertex, done = stack.pop()
            if done:
                last[vertex] = clock
                continue
            first[vertex] = clock
            clock += 1
            stack.append((vertex, True))
            stack.extend((child, False) for child in children[vertex])
        return first, last


def dominator_tree(predecessors: Sequence[npt.NDArray[np.int64]]) -> DominatorTree:
    """Immediate dominators from vertex 0.

    Args:
        predecessors: of each vertex, all with smaller numbers; none for the root alone.
    """
    tree = DominatorTree(len(predecessors))
    for vertex in range(1, len(predecessors)):
        tree.place(vertex, tree.meet(predecessors[vertex]))
    return tree


def post_dominator_tree(predecessors: Sequence[npt.NDArray[np.int64]]) -> DominatorTree:
    """Immediate post-dominators towards the last vertex; vertex v is numbered size - 1 - v in the tree.

    Args:
        predecessors: of each vertex; every vertex but the last must be read by a later one.
    """
    size = len(predecessors)
    tree = DominatorTree(size)
    meets = np.full(size, -1, dtype=np.int64)  # where the readers seen so far meet
    for vertex in range(size - 1, -1, -1):
        mirrored = size - 1 - vertex
        if mirrored:
            tree.place(mirrored, int(meets[vertex]))
        sources = predecessors[vertex]
        before = meets[sources]
        for known in np.unique(before):
            met = mirrored if known < 0 else tree.meet([known, mirrored])
            meets[sources[before == known]] = met
    return tree

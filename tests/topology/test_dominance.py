"""Dominators of random graphs beside networkx."""

import random

import networkx as nx
import numpy as np
import pytest

from nnmass.topology.dominance import dominator_tree, post_dominator_tree


def drawn(seed):
    """Predecessors of a random graph in topological order, in which all lies between the first vertex and the last."""
    rng = random.Random(seed)
    size, most = rng.randint(2, 40), rng.choice([1, 2, 3, 20])
    near = rng.choice([2, 5, 40])
    reads = [set()]
    for v in range(1, size):
        earlier = range(max(0, v - near), v)
        reads.append(set(rng.sample(earlier, min(len(earlier), rng.randint(1, most)))))
    unread = set(range(size - 1)) - set().union(*reads)
    reads[-1] |= unread
    return [np.array(sorted(read), dtype=np.int64) for read in reads]


def as_networkx(predecessors):
    return nx.DiGraph((int(u), v) for v, read in enumerate(predecessors) for u in read)


@pytest.mark.parametrize("start", range(0, 300, 100))
def test_immediate_dominators_are_those_of_networkx(start):
    for seed in range(start, start + 100):
        predecessors = drawn(seed)
        expected = nx.immediate_dominators(as_networkx(predecessors), 0)
        parent = dominator_tree(predecessors).parent
        assert {v: parent[v] for v in range(1, len(parent))} == {v: d for v, d in expected.items() if v}


@pytest.mark.parametrize("start", range(0, 300, 100))
def test_immediate_post_dominators_are_those_of_networkx(start):
    for seed in range(start, start + 100):
        predecessors = drawn(seed)
        last = len(predecessors) - 1
        expected = nx.immediate_dominators(as_networkx(predecessors).reverse(), last)
        parent = last - post_dominator_tree(predecessors).parent[::-1]
        assert {v: parent[v] for v in range(last)} == {v: d for v, d in expected.items() if v != last}


def test_subtrees_are_what_a_vertex_dominates():
    predecessors = drawn(7)
    tree = dominator_tree(predecessors)
    first, last = tree.subtree()
    graph = as_networkx(predecessors)
    for a in range(1, len(predecessors)):
        left = nx.descendants(nx.restricted_view(graph, [a], []), 0) | {0}
        dominated = {b for b in range(len(predecessors)) if first[a] <= first[b] < last[a]}
        assert dominated == set(graph) - left


def test_many_vertices_meet_where_two_of_them_do():
    fan = [np.array([], dtype=np.int64), *(np.array([0]) for _ in range(30)), np.arange(1, 31)]
    assert dominator_tree(fan).parent.tolist() == [0] * 32
    assert post_dominator_tree(fan).parent.tolist() == [0] * 32

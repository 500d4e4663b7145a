"""Layer graphs: what is refused, what is exported, and measures worked by hand."""

import networkx as nx
import numpy as np
import pytest

from nnmass.errors import InvalidValueError
from nnmass.topology import Channels, LayerGraph, Node, Operand
from nnmass.topology.graph import CONSTANT, encode


def reading(*codes):
    return Operand(Channels.of(np.concatenate(codes)))


OUTPUT = Node("output", "output", 0, operands=(reading(encode(0, 2)),))
INPUT = Node("image", "input", 2, (4, 4))


@pytest.fixture
def graph():
    """An input, two layers of which the second reads both before it, their sum with it, and a layer after that."""
    first = Node("first", "conv", 3, (4, 4), (reading(encode(0, 2)),), (3, 3), 1, 54, 864)
    second = Node("second", "conv", 3, (4, 4), (reading(encode(1, 3)[1:], encode(0, 2)),), (1, 1), params=12)
    total = Node("sum", "add", 3, (4, 4), (reading(encode(2, 3)), reading(encode(1, 2), [CONSTANT])))
    head = Node("head", "linear", 2, (), (reading(encode(3, 3)),))
    output = Node("output", "output", 0, operands=(reading(encode(4, 2)),))
    return LayerGraph((INPUT, first, second, total, head, output))


@pytest.mark.parametrize("nodes", [(), (INPUT,), (OUTPUT, INPUT), (INPUT, OUTPUT, OUTPUT)])
def test_the_output_is_one_and_last(nodes):
    with pytest.raises(InvalidValueError, match="one output, as its last node"):
        LayerGraph(nodes)


@pytest.mark.parametrize("codes", [encode(0, 3), encode(1, 1), encode(2, 1), encode(0, 3)[2:]])
def test_only_channels_of_earlier_nodes_are_read(codes):
    layer = Node("layer", "conv", 1, operands=(reading(codes),))
    with pytest.raises(InvalidValueError, match=r"node 1 \(layer\) reads channels that no earlier node has"):
        LayerGraph((INPUT, layer, OUTPUT))


@pytest.mark.parametrize("codes", [[-2], [-(2**32)], [-(2**40) + 1]])
def test_the_only_negative_channel_is_the_constant(codes):
    layer = Node("layer", "conv", 1, operands=(reading(np.array(codes)),))
    with pytest.raises(InvalidValueError, match="no earlier node has"):
        LayerGraph((INPUT, layer, OUTPUT))


def test_layers_have_weights(graph):
    assert [node.name for node in graph.layers] == ["first", "second", "head"]
    assert [node.is_layer for node in graph.nodes] == [False, True, True, False, True, False]


def test_edges_hold_channel_position_and_length(graph):
    assert list(graph.edges()) == [
        (0, 1, ((0, 0, 2),)),
        (1, 2, ((1, 0, 2),)),
        (0, 2, ((0, 2, 2),)),
        (2, 3, ((0, 0, 3),)),
        (1, 3, ((0, 0, 2),)),
        (3, 4, ((0, 0, 3),)),
        (4, 5, ((0, 0, 2),)),
    ]


def test_edges_of_scattered_channels_hold_every_run():
    codes = np.concatenate([encode(0, 2)[::-1], [CONSTANT, CONSTANT], encode(0, 2)])
    graph = LayerGraph((INPUT, Node("output", "output", 0, operands=(reading(codes),))))
    assert list(graph.edges()) == [(0, 1, ((1, 0, 1), (0, 1, 1), (0, 4, 2)))]


def test_networkx_gets_plain_values(graph):
    exported = graph.to_networkx()
    assert nx.is_directed_acyclic_graph(exported)
    assert exported.nodes[1] == {
        "name": "first",
        "kind": "conv",
        "width": 3,
        "resolution": (4, 4),
        "kernel": (3, 3),
        "groups": 1,
        "params": 54,
        "macs": 864,
    }
    assert exported.edges[0, 2, 0] == {"channels": 2, "segments": ((0, 2, 2),)}
    assert exported.number_of_edges() == 7


def test_terms_of_a_sum_with_itself_are_parallel_edges():
    total = Node("sum", "add", 2, (4, 4), (reading(encode(0, 2)), reading(encode(0, 2)[::-1])))
    graph = LayerGraph((INPUT, total, Node("output", "output", 0, operands=(reading(encode(1, 2)),))))
    assert graph.to_networkx().number_of_edges(0, 1) == 2


def test_small_world_measures_worked_by_hand(graph):
    # joined: image-first, first-second, image-second, and through the sum first-head and second-head
    measures = graph.small_world()
    assert (measures.nodes, measures.average_degree) == (4, 2 * 5 / 4)
    assert measures.clustering == pytest.approx((1 + 2 / 3 + 2 / 3 + 1) / 4)
    assert measures.path_length == pytest.approx((5 * 1 + 1 * 2) / 6)


def test_small_world_measures_are_those_of_networkx_in_a_chain():
    nodes = [INPUT, *(Node(f"n{i}", "conv", 2, operands=(reading(encode(i - 1, 2)),)) for i in range(1, 7))]
    graph = LayerGraph((*nodes, Node("output", "output", 0, operands=(reading(encode(6, 2)),))))
    measures, path = graph.small_world(), nx.path_graph(7)
    assert (measures.average_degree, measures.clustering) == (12 / 7, 0.0)
    assert measures.path_length == pytest.approx(nx.average_shortest_path_length(path))


def test_small_world_measures_need_two_layers():
    with pytest.raises(InvalidValueError, match="at least two layers, got 1"):
        LayerGraph((INPUT, OUTPUT)).small_world()


def test_small_world_measures_need_a_link():
    graph = LayerGraph((INPUT, INPUT, Node("output", "output", 0, operands=(reading(encode(0, 2), encode(1, 2)),))))
    with pytest.raises(InvalidValueError, match="no two layers are joined"):
        graph.small_world()


def test_channels_are_runs_in_order():
    channels = Channels.of(np.concatenate([encode(3, 4), encode(3, 4)[1:3], [CONSTANT] * 2, encode(0, 1)]))
    assert channels.runs == ((3, 0, 4), (3, 1, 2), (-1, 0, 2), (0, 0, 1))
    assert (channels.width, channels.sources.tolist()) == (9, [0, 3])


def test_a_constant_before_channel_0_of_node_0_is_a_run_of_its_own():
    channels = Channels.of(np.array([CONSTANT, 0, 1, CONSTANT]))
    assert channels.runs == ((-1, 0, 1), (0, 0, 2), (-1, 0, 1))


def test_no_channels_are_no_runs():
    channels = Channels.of(np.empty(0, dtype=np.int64))
    assert (channels.runs, channels.width, channels.codes.tolist()) == ((), 0, [])


@pytest.mark.parametrize("seed", range(20))
def test_channels_keep_their_codes(seed):
    rng = np.random.default_rng(seed)
    pool = np.concatenate([[CONSTANT] * 2, encode(0, 3), encode(1, 3)])
    codes = np.sort(rng.choice(pool, rng.integers(1, 12))) if seed % 2 else rng.choice(pool, rng.integers(1, 12))
    channels = Channels.of(codes)
    np.testing.assert_array_equal(channels.codes, codes)
    assert set(channels.sources.tolist()) == {code >> 32 for code in codes.tolist() if code >= 0}


def test_contents_forget_order_repetition_and_constants():
    a, b = encode(1, 2), encode(2, 2)
    same = [Channels.of(np.concatenate(codes)) for codes in ([a, b], [b, a], [a, b, a], [a, [CONSTANT], b])]
    assert len({channels.contents for channels in same}) == 1
    assert Channels.of(a).contents != same[0].contents


def test_channels_follow_their_nodes_into_another_numbering():
    channels = Channels.of(np.concatenate([encode(1, 2), [CONSTANT], encode(4, 3)]))
    assert channels.renumbered(np.array([9, 5, 9, 9, 2])).runs == ((5, 0, 2), (-1, 0, 1), (2, 0, 3))


@pytest.mark.parametrize("operands", [(), (reading(encode(0, 2)), reading(encode(0, 1)))])
def test_a_layer_reads_one_operand(operands):
    layer = Node("layer", "linear", 2, operands=operands)
    with pytest.raises(InvalidValueError, match=rf"node 1 \(layer\) is a layer of {len(operands)} operands"):
        LayerGraph((INPUT, layer, OUTPUT))


def test_terms_of_a_sum_are_as_wide_as_the_sum():
    total = Node("sum", "add", 2, operands=(reading(encode(0, 2)), reading(encode(0, 1))))
    with pytest.raises(InvalidValueError, match=r"node 1 \(sum\) is a sum of width 2 of terms of widths \[2, 1\]"):
        LayerGraph((INPUT, total, OUTPUT))

from collections import Counter
from itertools import combinations

import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import PathPatch, Rectangle
from torch import nn

from nnmass import CifarResNet, DenseCNN, DenseMLP, ResNet, analyze
from nnmass.reporting import COLOURS, layer_graph_figure, save
from nnmass.reporting.layer_graph_cells import boxes
from nnmass.reporting.layer_graph_layout import layout
from nnmass.topology import Channels, LayerGraph, Node, Operand, find_cells
from nnmass.topology.graph import encode
from nnmass.tracing import Report, analyze_source


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(3, 4), nn.Linear(5, 4)

    def forward(self, left, right):
        return self.left(left) + self.right(right)


SOURCES = (
    "timm:resnet18",
    "timm:resnet50",
    "timm:densenet121",
    "timm:mobilenetv2_100",
    "torchvision:shufflenet_v2_x1_0",
    "timm:convnext_tiny",
    "timm:dla34",
    "timm:inception_v3",
    "torchvision:vgg11",
    "timm:res2net50_26w_4s",
)
OWN = {
    "DenseCNN": lambda: analyze(DenseCNN(widths=(32, 64, 128), depth=13, max_skips=(40, 80, 125))),
    "DenseMLP": lambda: analyze(DenseMLP(width=8, depth=16, max_skips=20)),
    "deep": lambda: analyze(CifarResNet.of_depth(110)),
    "two": lambda: analyze(Two(), [(1, 3), (1, 5)]),
    "one": lambda: analyze(nn.Linear(3, 4), (1, 3)),
}


@pytest.fixture(scope="module", params=[*SOURCES, *OWN])
def report(request):
    return OWN[request.param]() if request.param in OWN else analyze_source(request.param)


def skips(report, kind):
    return [link for link in layout(report.graph).links if link.kind == kind]


def test_every_node_has_a_place_of_its_own_after_what_it_reads(report):
    plan = layout(report.graph)
    places = [(plan.columns[i], plan.lanes[i]) for i in plan.nodes]
    assert len(set(places)) == len(places)
    assert all(plan.columns[link.source] < plan.columns[link.reader] for link in plan.links)
    projections = [link.projection for link in plan.links if link.projection is not None]
    layers = [node for node in plan.nodes.values() if node is not None and node.is_layer]
    assert len(layers) + len(projections) == len(report.graph.layers)


def test_rows_follow_each_other_and_read_one_node_before(report):
    plan = layout(report.graph)
    columns = [column for row in plan.rows for column in range(row.first, row.last + 1)]
    assert columns == list(range(max(plan.columns.values()) + 1))
    for row in plan.rows:
        inside = {i for i, column in plan.columns.items() if row.first <= column <= row.last}
        read = {link.source for link in plan.links if link.reader in inside} - inside
        assert read == ({row.before} if row.before is not None else set())


def test_texts_are_within_the_picture_and_do_not_overlap(report):
    drawn = layer_graph_figure(report)
    renderer = drawn.canvas.get_renderer()
    axes = drawn.axes[0]
    texts = [(text.get_text(), text.get_window_extent(renderer)) for text in axes.texts]
    texts.append(("legend", axes.get_legend().get_window_extent(renderer)))
    for text, box in texts:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= drawn.bbox.x1, text
        assert box.y1 <= drawn.bbox.y1, text
    for (one, box), (other, second) in combinations(texts, 2):
        assert not box.overlaps(second), (one, other)


def test_pictures_are_about_as_wide_as_a_page_and_show_every_mass(report):
    drawn = layer_graph_figure(report)
    assert 8 <= drawn.get_figwidth() <= 10.5
    assert drawn.get_figheight() <= 9
    written = Counter(text.get_text() for text in drawn.axes[0].texts)
    for cell in report.cells:
        forms = (f"NN-Mass {cell.nn_mass:,.1f}, density {cell.density:.2f}", f"NN-Mass {cell.nn_mass:,.1f}")
        assert any(written[form] for form in (*forms, f"{cell.nn_mass:,.1f}"))


def test_cells_are_boxes_beside_or_within_each_other(report):
    plan = layout(report.graph)
    found = boxes(report, plan)
    assert len(found) == len(report.cells)
    for one, other in combinations(found, 2):
        apart = one.last < other.first or other.last < one.first
        within = one.first <= other.first and other.last <= one.last and one.height > other.height
        assert apart or within, (one, other)


def test_an_arc_per_pair_that_a_skip_joins():
    spec = DenseCNN(widths=(4, 8), depth=(5, 7), max_skips=(6, 9)).with_links(3)
    joined = sum(
        len({(channel // cell.width, reader) for reader, channels in enumerate(links) for channel in channels})
        for cell, links in zip(spec.cells, spec.links, strict=True)
    )
    report = analyze(spec)
    assert len(skips(report, "concatenation")) == joined
    channels = sum(link.channels for link in skips(report, "concatenation"))
    assert channels == sum(cell.num_skips for cell in spec.cells)
    arcs = [
        patch
        for patch in layer_graph_figure(report).axes[0].patches
        if isinstance(patch, PathPatch) and to_rgb(patch.get_edgecolor()) == to_rgb(COLOURS[1])
    ]
    assert len(arcs) == joined
    assert len({patch.get_alpha() for patch in arcs}) > 1


def test_projections_are_part_of_their_skips():
    report = analyze(ResNet.of_depth(18))
    added = skips(report, "addition")
    assert len(added) == len(report.cells) == 8
    named = [report.graph.nodes[link.projection].name for link in added if link.projection is not None]
    assert named == ["layer2.0.downsample.0", "layer3.0.downsample.0", "layer4.0.downsample.0"]
    assert set(layout(report.graph).lanes.values()) == {0}


def test_bars_are_the_longer_the_wider_the_layer():
    report = analyze(nn.Sequential(nn.Linear(3, 100), nn.Linear(100, 25), nn.Linear(25, 4)), (1, 3))
    bars = [patch.get_height() for patch in layer_graph_figure(report).axes[0].patches if isinstance(patch, Rectangle)]
    assert bars[0] > bars[1] > bars[2] > 0


def test_cells_within_cells_are_higher_and_named_after_their_modules():
    report = analyze_source("timm:dla34")
    found = boxes(report, layout(report.graph))
    assert [(box.name, box.nesting, box.height) for box in found[:4]] == [
        ("level2", 0, 1),
        ("level2", 0, 1),
        ("level3", 0, 2),
        ("level4", 0, 2),
    ]
    assert [box.nesting for box in found[5:]] == [1, 1]


def test_a_concatenation_that_several_layers_read_is_drawn_once():
    plan = layout(analyze_source("torchvision:shufflenet_v2_x1_0").graph)
    joined = [i for i, node in plan.nodes.items() if node is None]
    assert len(joined) == 2
    assert all(sum(link.source == i for link in plan.links) == 2 for i in joined)
    assert max(plan.lanes.values()) == 1


def test_a_model_without_cells_says_so():
    drawn = layer_graph_figure(OWN["one"]())
    assert "no cell with skips: NN-Mass 0 is uninformative" in drawn.axes[0].texts[1].get_text()
    legend = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert legend == ["layer (longer: wider, up to 4 channels; not to scale)"]


def test_the_picture_is_the_same_every_time(tmp_path):
    report = analyze(ResNet.of_depth(18))
    first, second = (save(layer_graph_figure(report), tmp_path / f"{k}.svg").read_bytes() for k in (1, 2))
    assert first == second


def test_cells_of_exported_graphs_are_named_by_their_paths():
    conv = [Node("x", "input", 4)]
    for k in (1, 2):
        read = (Operand(Channels.of(encode(k - 1, 4))),)
        conv.append(Node(f"/stage1/block.0/conv{k}/Conv", "conv", 4, operands=read))
    terms = tuple(Operand(Channels.of(encode(i, 4))) for i in (2, 0))
    add, last = Node("/stage1/block.0/Add", "add", 4, operands=terms), Operand(Channels.of(encode(3, 4)))
    graph = LayerGraph((*conv, add, Node("output", "output", 0, operands=(last,))))
    report = Report("graph.onnx", ((1, 4),), graph, find_cells(graph), 0, 0, (), "count")
    assert [box.name for box in boxes(report, layout(graph))] == ["stage1.block.0"]

"""Cells of small layer graphs, worked by hand."""

import numpy as np
import pytest

from nnmass.errors import InvalidValueError
from nnmass.topology import Channels, GraphCell, LayerGraph, Node, Operand, find_cells, search_cells
from nnmass.topology.graph import CONSTANT, encode


class Build:
    """Nodes one after the other; each is an array of its channels, and arrays are concatenated with ``np.r_``."""

    def __init__(self):
        self.nodes = []

    def node(self, kind, width, *terms, name=None, resolution=(8, 8), linear=True):
        operands = tuple(Operand(Channels.of(np.asarray(term)), linear) for term in terms)
        self.nodes.append(Node(name or f"n{len(self.nodes)}", kind, width, resolution, operands))
        return encode(len(self.nodes) - 1, width)

    def input(self, width):
        return self.node("input", width)

    def conv(self, width, x, **options):
        return self.node("conv", width, x, **options)

    def convs(self, x, *widths):
        for width in widths:
            x = self.conv(width, x)
        return x

    def add(self, *terms, linear=True):
        return self.node("add", len(terms[0]), *terms, linear=linear)

    def block(self, x, *widths):
        """Residual block: layers of these widths, and one back."""
        return self.add(self.convs(x, *widths, len(x)), x)

    def cells(self, *outputs, **options):
        operands = tuple(Operand(Channels.of(np.asarray(output))) for output in outputs)
        return find_cells(LayerGraph((*self.nodes, Node("output", "output", 0, operands=operands))), **options)


@pytest.fixture
def build():
    return Build()


def test_a_basic_block(build):
    (cell,) = build.cells(build.block(build.input(64), 64))
    assert cell == GraphCell("n0", "n2", "addition", (64, 64, 64), (0, 0, 64), (0, 64, 64), 2, (1, 2))
    assert (cell.depth, cell.density, cell.nn_mass) == (2, 1.0, 128.0)
    assert cell.average_degree == pytest.approx((64 * 64 + 64 * 128) / 192)


def test_a_bottleneck_with_a_projection_that_counts(build):
    x = build.input(64)
    y = build.add(build.convs(x, 64, 64, 256), build.conv(256, x))
    (cell,) = build.cells(y)
    assert (cell.widths, cell.skips, cell.layers) == ((64, 64, 64, 256), (0, 0, 0, 64), (1, 2, 3, 4))
    assert cell.nn_mass == pytest.approx((64 + 2 * 64) * 64 / (2 * 64 + 64))


def test_a_bottleneck_with_a_projection_that_does_not_count(build):
    x = build.input(64)
    y = build.add(build.convs(x, 64, 64, 256), build.conv(256, x))
    assert build.cells(y, projection="zero") == ()


def test_a_dense_block_in_both_readings(build):
    x = build.conv(64, build.input(3))
    for _ in range(6):
        x = np.r_[x, build.convs(x, 128, 32)]
    (cell,) = build.cells(build.conv(9, build.conv(128, x, name="transition"), resolution=(4, 4)))
    assert (cell.exit, cell.widths, cell.density) == ("transition", (64, *[32] * 6, 128), 1.0)
    assert cell.nn_mass == 64 + 6 * 32 + 128
    assert cell.every_layer == pytest.approx(864 / 6336 * (64 + 6 * (128 + 32)))
    assert cell.layers == tuple(range(1, 15))


@pytest.mark.parametrize("resolution", [(4, 4), ()])
def test_a_reader_at_another_resolution_is_no_node(resolution, build):
    x = build.conv(4, build.input(3))
    for _ in range(3):
        x = np.r_[x, build.conv(2, x)]
    (cell,) = build.cells(build.conv(9, build.conv(5, x, resolution=resolution)))
    assert (cell.exit, cell.widths, cell.skips) == ("n4", (4, 2, 2, 2), (0, 0, 4, 6))


def test_a_last_layer_of_the_network_counts_with_the_width_before_it(build):
    x = build.input(4)
    for _ in range(2):
        x = np.r_[x, build.conv(2, x)]
    (cell,) = build.cells(build.conv(1000, x))
    assert (cell.widths, cell.skips, cell.counted) == ((4, 2, 2, 2), (0, 0, 4, 6), 4)


def test_a_shortcut_over_blocks_counts_at_every_sum_it_reaches(build):
    x = build.input(4)
    first = build.block(x, 4)
    outer, inner = build.cells(build.add(build.block(first, 4), x))
    # x reaches the first block's sum, the second block (one layer) through it, and the last sum
    assert (outer.widths, outer.skips, outer.exit) == ((4, 4, 4, 4), (0, 0, 4, 4), "n5")
    assert outer.nn_mass == pytest.approx(8 / 12 * 12)
    assert (inner.entry, inner.widths, inner.inside) == ("n3", (4, 4, 4), 0)


def test_residual_blocks_within_a_residual_block_are_one_layer_each(build):
    x = build.input(4)
    y = build.block(build.block(build.conv(4, x), 4), 4)
    outer, *inner = build.cells(build.add(build.conv(4, y), x))
    assert (outer.widths, outer.skips) == ((4, 4, 4, 4, 4), (0, 0, 0, 0, 4))
    assert [(cell.nn_mass, cell.inside) for cell in inner] == [(8.0, 0), (8.0, 0)]


def test_a_cell_of_a_cell_of_a_cell_is_within_the_smallest(build):
    x = build.input(2)
    y = build.conv(2, x)
    z = build.conv(2, y)
    y = build.add(build.conv(2, build.block(z, 2)), y)
    cells = build.cells(build.add(build.conv(2, y), x))
    assert [(cell.entry, cell.inside) for cell in cells] == [("n0", None), ("n1", 0), ("n2", 1)]


def test_a_cell_that_ends_in_a_concatenation_is_one_layer_of_all_its_channels(build):
    x = build.input(2)
    dense = build.conv(2, x)
    for _ in range(2):
        dense = np.r_[dense, build.conv(2, dense)]
    outer, inner = build.cells(build.add(dense, np.r_[x, [CONSTANT] * 4]))
    assert (outer.kind, outer.widths, outer.skips, outer.exit) == ("addition", (2, 2, 6), (0, 0, 2), "n3")
    assert (inner.kind, inner.widths, inner.inside) == ("concatenation", (2, 2, 2), 0)


def test_cells_without_a_layer_of_their_own_hold_only_cells(build):
    x = build.conv(4, build.input(4))
    y = build.block(build.block(build.add(x[:2], x[2:]), 2), 2)
    outer, *inner = build.cells(np.r_[x, build.add(y, x[:2])])
    assert (outer.kind, outer.widths, outer.skips, outer.exit) == ("concatenation", (4, 2, 2), (0, 0, 2), "n7")
    assert [cell.inside for cell in inner] == [0, 0]


def test_channels_that_skip_twice_count_once(build):
    x = build.input(3)
    (cell,) = build.cells(build.conv(2, build.conv(5, np.r_[build.conv(3, x), x, x[::-1]])))
    assert cell.skips == (0, 0, 3)


def test_only_channels_that_are_read_skip(build):
    x = build.input(5)
    y = build.add(build.convs(x, 4, 3), np.r_[x[1:3], [CONSTANT]])
    (cell,) = build.cells(y)
    assert (cell.widths, cell.skips) == ((5, 4, 3), (0, 0, 2))


def test_a_sum_hands_on_only_what_lies_behind_the_channels_that_are_read(build):
    x = build.input(4)
    total = build.add(build.convs(x, 4, 4), np.r_[x[:2], [CONSTANT] * 2])
    through = build.convs(total[1:], 4, 4)
    (cell,) = build.cells(build.add(through, x))
    assert cell.widths == (4, 4, 4, 4, 4)
    assert cell.skips == (0, 0, 2, 1, 4)  # into the third layer only x[1], of the two channels in the sum


def test_layers_side_by_side_are_one_node(build):
    x = build.input(2)
    y = np.r_[build.conv(3, x), build.conv(4, x)]
    (cell,) = build.cells(build.add(build.conv(2, y), x))
    assert (cell.widths, cell.skips, cell.direct) == ((2, 7, 2), (0, 0, 2), (0, 2, 7))


def shortcut(build, x, kind):
    """A sum of three layers on x and another branch."""
    y, branch = build.convs(x, 3, 3, 4), build.conv(4, x)
    if kind == "activated":
        return build.node("add", 4, y, branch, linear=False)
    if kind == "read elsewhere":
        return build.add(build.conv(4, build.add(y, branch)), branch)
    if kind == "added twice":
        return build.add(y, branch, branch[::-1])
    if kind == "two layers":
        return build.add(y, build.conv(4, branch))
    return build.add(y, np.r_[branch[:2], [CONSTANT] * 2] if kind == "padded" else branch)


@pytest.mark.parametrize("kind", ["plain", "padded"])
def test_a_linear_layer_that_bypasses_others_is_a_projection(kind, build):
    (cell,) = build.cells(shortcut(build, build.input(2), kind))
    assert (cell.widths, cell.skips) == ((2, 3, 3, 4), (0, 0, 0, 2))


@pytest.mark.parametrize(
    ("kind", "widths", "skips"),
    [
        ("activated", (2, 3 + 4, 3, 4), (0, 0, 0, 4)),
        ("added twice", (2, 3 + 4, 3, 4), (0, 0, 0, 4)),
        ("read elsewhere", (2, 3 + 4, 3, 4, 4), (0, 0, 0, 4, 4)),
        ("two layers", (2, 3 + 4, 3 + 4, 4), (0, 0, 0, 0)),
    ],
)
def test_other_branches_are_nodes(kind, widths, skips, build):
    x = build.input(2)
    outer, *_ = build.cells(build.add(build.conv(len(x), shortcut(build, x, kind)), x))
    assert outer.widths == (*widths, 2)
    assert outer.skips == (*skips, 4 + 2)  # the branch past the layers before, and x


def test_a_cell_is_no_projection(build):
    x = build.input(2)
    dense = build.add(build.conv(2, x), build.conv(2, x))
    for _ in range(2):
        dense = np.r_[dense, build.conv(2, dense)]
    transition = build.conv(4, dense, name="transition")
    outer, inner = build.cells(build.add(build.convs(x, 3, 3, 3, 4), transition))
    assert (inner.exit, inner.widths) == ("transition", (2, 2, 2, 4))
    assert (outer.widths, outer.skips) == ((2, 3 + 2 + 2, 3 + 4, 3, 4), (0, 0, 0, 0, 4))


def test_tensors_of_the_output_that_lead_on_are_no_exit(build):
    x = build.input(2)
    y = build.block(x, 2)
    assert len(build.cells(x, y, build.convs(y, 2))) == 1


@pytest.mark.parametrize("head", [(), (1,), (5, 5), (5, 5, 5, 5, 5)])
@pytest.mark.parametrize("at", ["entry", "within", "exit"])
def test_a_branch_to_an_output_of_its_own_changes_no_cell(at, head, build):
    x = build.conv(2, build.input(3))
    y = build.conv(2, x)
    z = build.add(build.conv(2, y), x)
    tap = {"entry": x, "within": y, "exit": z}[at]
    main = build.conv(7, build.block(z, 4))
    cells = build.cells(main, build.convs(tap, *head))
    assert [cell.widths for cell in cells] == [(2, 2, 2), (2, 4, 2)]


def test_a_dense_block_keeps_its_transition_beside_an_output_of_its_own(build):
    x = build.conv(4, build.input(3))
    for _ in range(3):
        x = np.r_[x, build.conv(2, x)]
    transition = build.conv(5, x, name="transition")
    (cell,) = build.cells(build.convs(transition, 5, 5), build.conv(9, x))
    assert (cell.exit, cell.widths, cell.density) == ("transition", (4, 2, 2, 2, 5), 1.0)


def test_an_output_that_reads_several_taps_is_no_cell_over_others(build):
    x = build.conv(2, build.input(3))
    y = build.block(x, 2)
    z = build.block(y, 2)
    cells = build.cells(build.convs(z, 5, 5), build.conv(3, np.r_[x, y]))
    assert [cell.widths for cell in cells] == [(2, 2, 2), (2, 2, 2)]


def test_a_branch_of_its_own_is_read_fast(build):
    x = build.block(build.conv(4, build.input(3)), 4)
    (cell,) = build.cells(build.convs(x, 5, 5), *(build.conv(1, x) for _ in range(300)))
    assert cell.widths == (4, 4, 4)


def test_a_region_that_a_skip_leaves_is_none_for_an_output_within_either(build):
    x = build.conv(2, build.input(3))
    y = build.conv(2, x)
    z = build.add(build.conv(2, y), x)
    main = build.conv(1, build.convs(np.r_[z, y], 3, 3))
    assert [cell.widths for cell in build.cells(main)] == [cell.widths for cell in build.cells(main, build.conv(1, z))]


def test_cells_of_several_branches_count(build):
    x = build.conv(2, build.input(3))
    left, right = build.block(build.block(build.conv(3, x), 4), 5), build.block(build.conv(6, x), 7)
    cells = build.cells(build.conv(1, left), build.conv(1, right))
    assert [(cell.widths, cell.inside) for cell in cells] == [((3, 4, 3), None), ((3, 5, 3), None), ((6, 7, 6), None)]


def pyramid(build, *, beside):
    """Two stages of a block each, and a map of the second that is enlarged and added to one of the first."""
    fine = build.block(build.conv(2, build.input(3)), 2)
    coarse = build.block(build.conv(4, fine, resolution=(4, 4)), 4)
    top = build.conv(2, coarse, resolution=(4, 4))
    terms = [Operand(Channels.of(build.conv(2, fine))), Operand(Channels.of(top), upsampled="up")]
    build.nodes.append(Node("merged", "add", 2, (8, 8), tuple(terms)))
    merged = build.conv(3, encode(len(build.nodes) - 1, 2))
    others = {"nothing": [], "a map": [build.conv(3, top)], "a vector": [build.conv(3, top, resolution=())]}
    others["a deeper vector"] = [build.convs(build.conv(3, top, resolution=()), 3, 3)]
    build.node("output", 0, merged, *others[beside])
    return search_cells(LayerGraph(tuple(build.nodes)))


@pytest.mark.parametrize("beside", ["a map", "a deeper vector"])
def test_an_output_that_merges_across_resolutions_is_left_out_beside_others(beside, build):
    found = pyramid(build, beside=beside)
    assert [cell.widths for cell in found.cells] == [(2, 2, 2), (4, 4, 4)]
    assert found.left_out == ("up",)


@pytest.mark.parametrize("beside", ["nothing", "a vector"])
def test_a_network_of_which_the_main_output_merges_across_resolutions_does(beside, build):
    found = pyramid(build, beside=beside)
    assert "up" in [cell.enlarged for cell in found.cells]
    assert found.left_out == ()


def test_what_leads_nowhere_does_not_count(build):
    x = build.input(2)
    y = build.block(x, 2)
    build.convs(y, 2, 2)
    (cell,) = build.cells(y, x)
    assert cell.widths == (2, 2, 2)


def test_two_inputs_are_entries_of_their_own(build):
    left, right = build.block(build.input(2), 3), build.block(build.input(4), 5)
    assert [cell.widths for cell in build.cells(np.r_[left, right])] == [(2, 3, 2), (4, 5, 4)]


def test_no_cells_without_skips(build):
    assert build.cells(build.convs(build.input(3), 2, 2, 2)) == ()


def test_a_density_needs_two_layers():
    cell = GraphCell("a", "b", "addition", (2, 2), (0, 0), (0, 2), 1)
    assert cell.nn_mass == 0
    with pytest.raises(InvalidValueError, match="at least two layers, got 1"):
        _ = cell.density

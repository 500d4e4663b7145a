"""Models that concatenate, checked by hand from the published tables of their blocks.

A cell's widths are those of its levels by longest path; layers at one level are one node, and chains of layers that
nothing else reads too.  Skips into a node are the channels from two or more levels before that its layers read, and
those that a sum adds to their outputs.  What a sum holds is all that was added.  The layer that reads the last
concatenation alone, at the same resolution, is the last node.
"""

import pytest


def cell(widths, skips, *, into_sum=False):
    """Σ skips / Σ_{i>=2} Σ_{j<=i-2} w_j, times all widths, or all but the last where the exit is a sum."""
    possible = sum(sum(widths[: i - 1]) for i in range(2, len(widths)))
    return sum(skips) / possible * sum(widths[:-1] if into_sum else widths)


def dense(first, growth, layers, reader=0):
    """Every layer reads all before it, and so does the reader: density 1."""
    return first + growth * layers + reader


def densenet(growth, *layers):
    """Stem of two growths; 1x1 and 3x3 are one node; transitions halve; the last block is read by the head only."""
    cells, width = [], 2 * growth
    for k, n in enumerate(layers):
        total = width + n * growth
        cells.append(dense(width, growth, n, reader=0 if k == len(layers) - 1 else total // 2))
        width = total // 2
    return cells


def every_convolution(growth, *layers):
    """The other reading: 1x1 and 3x3 are two nodes; all but the layer before skips into the next 1x1 and the reader."""
    cells, width = [], 2 * growth
    for n in layers:
        skips = [width + k * growth for k in range(n)]
        cells.append(cell((width, *[4 * growth, growth] * n, 0), skips, into_sum=True))
        width = (width + n * growth) // 2
    return cells


def aggregated(inp, mid, out):
    """One-shot aggregation (VoVNet): three 3x3 in a row; a 1x1 reads them and the input: all but the third skip."""
    return cell((inp, mid, mid, mid, out), [inp + 2 * mid])


def selective_first(mid, out):
    """SelecSLS at stride 2: a 3x3, then twice a 1x1 and a 3x3 to half the width, all three read by a 1x1."""
    return cell((mid, mid // 2, mid // 2, out), [mid + mid // 2])


def selective(skip, mid, out):
    """The same at stride 1 after it, whose 1x1 reads the block's input too."""
    return cell((skip, mid, mid // 2, mid // 2, out), [skip + mid + mid // 2])


def cross_stage(c, blocks):
    """CSPResNet: a 1x1 to 2c, of which c pass by the bottlenecks (c/2) and are concatenated before the last 1x1 to c.

    The first bottleneck's shortcut is one half of that 1x1, whose other half passes by: no region of its own, so its
    three layers are nodes.  Its sum holds the c of the half: a skip into its last layer, and into what reads it.  The
    other bottlenecks are cells, and as layers one chain with the 1x1 that ends the branch.
    """
    h = c // 2
    outer = cell((2 * c, h, h, c, c, c), [c, c, c])
    return [outer, *([(c + 2 * h) * c / (2 * c + h)] * (blocks - 1))]


def tree(c):
    """DLA's inner tree of basic blocks: the sum a, a block on it with sum b, and a root that reads b and a."""
    return cell((c, c, c, c), [c, c])


def root_over_tree(p, c):
    """DLA's level of two trees over its input p, which the second root reads too.

    Levels: the first block's two layers (p is added by a projection), the first tree as one layer r, the two blocks of
    the second tree, and its root, which reads both sums, p and r.
    """
    skips = [p, p, c, c, c + c, c + c + p]
    return cell((p, *[c] * 8), skips)


def root_over_blocks(p, c):
    """DLA's last level: two blocks, whose first sum and p the root reads beside the second sum."""
    return cell((p, c, c, c, c, c), [p, p, c + p, c + p])


def dual_path(inp, r, width, growth, blocks):
    """A stage of DPN-68: residual channels (width) and dense ones side by side.

    The first block projects its input to width + 2 growth, beside its first 1x1; then every block is a 1x1 and a 3x3 to
    r and a 1x1 to width + growth, of which width are added to the residual path and growth concatenated.
    """
    widths = [inp, r + width + 2 * growth, r, width + growth]
    skips = [width]  # the projection into the first sum
    for k in range(2, blocks + 1):
        widths += [r, r, width + growth]
        skips.append(width + 2 * growth + (k - 2) * (width + growth))  # all but the block before, into the first 1x1
        skips.append(k * width)  # what the residual path holds, into the sum
    return cell(widths, skips)


def shuffled(inp, half, units, reader=None):
    """A stage of ShuffleNetV2: two branches side by side, then units that process half of the shuffled channels.

    Half of what a unit processes comes from the unit before, the rest from earlier ones.
    """
    widths = [inp, 2 * half, *[half] * (units - 1)]
    skips = [half // 2] * (units - 2)
    return cell([*widths, reader], [*skips, half]) if reader else cell(widths, skips)


def scales(inp, w, out, *, first):
    """Res2Net: of the four parts of the first 1x1, three are convolved, in later blocks each added to the next part.

    The inner cell runs from the first 1x1 to the last.  A part that is added counts at the sum, at the level of the
    layer before it, and again at the layer that reads the sum.
    """
    inner = cell((4 * w, 3 * w, out), [w]) if first else cell((4 * w, w, w, w, out), [2 * w, w, 3 * w])
    return [inp + 4 * w, inner]  # the block around it: the first 1x1 and the inner cell are its two layers


def partial_residual(inp, out, reader=0):
    """ReXNet: of the out channels inp are added to the input, the others concatenated beside the sum."""
    widths = (inp, 6 * inp, 6 * inp, out)
    return cell((*widths, reader), [inp, inp]) if reader else cell(widths, [inp])


def ghost(width, mid):
    """GhostNet's block at equal width: half of mid by a 1x1, half by a depthwise layer on that, and so the width.

    The first half skips past the depthwise layer into the second 1x1: a cell of its own, one layer of the block's.
    """
    m, half = mid // 2, width // 2
    return [cell((width, m, half, half), [width], into_sum=True), cell((m, m, half), [m])]


def ghost_down(inp, mid, out):
    """At stride 2: a depthwise layer between, and a shortcut of a depthwise layer and a 1x1, two layers and so nodes.

    Skips are the first half of mid, into that depthwise layer, and the shortcut's out channels, into the sum.
    """
    m, half = mid // 2, out // 2
    return [cell((inp, m + inp, m + out, mid, half, half), [m, out], into_sum=True)]


def ghost_wider(mid, out):
    """At stride 1 from 80 to 112 channels the shortcut's two layers end one level before the sum: no skip there."""
    return [cell((mid // 2, mid // 2, out // 2), [mid // 2])]


def res2net(*repeats):
    inp, cells = 64, []
    for planes, n in zip((64, 128, 256, 512), repeats, strict=True):
        for k in range(n):
            cells += scales(inp, planes * 26 // 64, 4 * planes, first=k == 0)
            inp = 4 * planes
    return cells


MODELS = {
    "timm:densenet169": densenet(32, 6, 12, 32, 32),
    "timm:densenet161": densenet(48, 6, 12, 36, 24),
    # seven stages of three blocks (depthwise, 1x1, 1x1: one node); transitions to half, in multiples of 8: those at
    # stride 1 (to 296, 336, 360) are last nodes, those at stride 2 (to 128, 216, 368) are not
    "timm:rdnet_tiny": [
        dense(64, 64, 3),
        dense(128, 104, 3),
        dense(216, 128, 3, reader=296),
        dense(296, 128, 3, reader=336),
        dense(336, 128, 3, reader=360),
        dense(360, 128, 3),
        dense(368, 224, 3),
    ],
    "timm:ese_vovnet19b_slim": [
        aggregated(128, 64, 112),
        aggregated(112, 80, 256),
        aggregated(256, 96, 384),
        aggregated(384, 112, 512),
    ],
    "timm:selecsls42": [
        *(selective_first(64, 64), selective(64, 64, 128)),
        *(selective_first(144, 144), selective(144, 144, 288)),
        *(selective_first(304, 304), selective(304, 304, 480)),
    ],
    "timm:cspresnet50": [
        *(*cross_stage(128, 3), *cross_stage(256, 3)),
        *(*cross_stage(512, 5), *cross_stage(1024, 2)),
    ],
    # the first tree's first block is a region of its own, from the 32 channels before: a basic block
    "timm:dla34": [
        *(32 + 64, tree(64)),
        *(root_over_tree(64, 128), tree(128)),
        *(root_over_tree(128, 256), tree(256)),
        root_over_blocks(256, 512),
    ],
    # what enters a stage: the stem's 10 channels, then width + (blocks + 2) growths
    "timm:dpn68": [
        dual_path(10, 128, 64, 16, 3),
        dual_path(64 + 5 * 16, 256, 128, 32, 4),
        dual_path(128 + 6 * 32, 512, 256, 32, 12),
        dual_path(256 + 14 * 32, 1024, 512, 64, 3),
    ],
    "torchvision:shufflenet_v2_x0_5": [shuffled(24, 24, 4), shuffled(48, 48, 8), shuffled(96, 96, 4, reader=1024)],
    "timm:res2net50_26w_4s": res2net(3, 4, 6, 3),
    "timm:ghostnet_100": [
        *(*ghost(16, 16), *ghost_down(16, 48, 24), *ghost(24, 72), *ghost_down(24, 72, 40), *ghost(40, 120)),
        *(*ghost_down(40, 240, 80), *ghost(80, 200), *ghost(80, 184), *ghost(80, 184)),
        *(*ghost_wider(480, 112), *ghost(112, 672), *ghost_down(112, 672, 160), *(4 * ghost(160, 960))),
    ],
    # widths grow by 11.25 a block; shortcuts where the stride is 1; the 1x1 that alone reads a block's end is its last
    # node: the next block's first layer where that has no shortcut, and the head's
    "timm:rexnet_100": [
        partial_residual(27, 38, reader=6 * 38),
        partial_residual(50, 61, reader=6 * 61),
        *(partial_residual(inp, out) for inp, out in ((72, 84), (84, 95), (95, 106), (106, 117))),
        partial_residual(117, 128, reader=6 * 128),
        *(partial_residual(inp, out) for inp, out in ((140, 151), (151, 162), (162, 174))),
        partial_residual(174, 185, reader=1280),
    ],
}


@pytest.mark.parametrize(("source", "cells"), MODELS.items())
def test_masses_are_those_worked_by_hand(source, cells, analysed):
    report = analysed(source)
    assert report.outcome == "answered"
    assert [cell.nn_mass for cell in report.cells] == pytest.approx(cells, rel=1e-9)
    assert report.nn_mass == pytest.approx(sum(cells), rel=1e-9)


def test_densenets_with_every_convolution_a_node(analysed):
    report = analysed("timm:densenet169")
    assert report.nn_mass_every_layer == pytest.approx(sum(every_convolution(32, 6, 12, 32, 32)), rel=1e-9)


def test_published_densenets_follow_from_this_formula():
    assert sum(densenet(32, 6, 12, 24, 16)) == 3712
    assert sum(densenet(32, 6, 12, 48, 32)) == 5760
    assert round(sum(every_convolution(32, 6, 12, 24, 16))) == 1672
    assert round(sum(every_convolution(32, 6, 12, 48, 32)), 1) == 2627.5

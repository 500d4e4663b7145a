"""Models whose cells are residual blocks, checked by hand from the published tables of their blocks.

A shortcut of inp channels over layers of widths h_1, …, h_n and a last one: the only skip reaches the last node, past
its direct input. Possible skips are Σ_{i>=2} Σ_{j<=i-2} w_j over (inp, h_1, …, h_n, out), and the widths that make up
the cell are all but out, which is the next block's first. A projection (1x1, whatever its stride) is a skip of inp
channels. Squeeze-and-excitation and its kin scale channels and are no layers.
"""

import pytest
from torch import nn

import nnmass


def cell(widths, skipping):
    """Channels that skip into the last node over possible skips, times the widths, those of the nodes before it."""
    return skipping / sum(sum(widths[:i]) for i in range(1, len(widths))) * sum(widths)


def residual(inp, *hidden):
    return cell((inp, *hidden), inp)


def basic(inp, planes):
    """(inp, planes, out): all inp of the possible inp skip."""
    return inp + planes


def bottleneck(inp, h):
    """(inp, h, h, out): inp of the possible inp + (inp + h) skip."""
    return (inp + 2 * h) * inp / (2 * inp + h)


inverted = bottleneck  # the same three layers, with h above inp


def stages(block, inp, *table):
    """Blocks of (hidden, out, repeats) one after the other, every one with a shortcut."""
    cells = []
    for h, out, repeats in table:
        for _ in range(repeats):
            cells.append(block(inp, h))
            inp = out
    return cells


def shortcuts(block, *table):
    """Blocks of (inp, hidden, repeats) where the first of every stage has no shortcut: only those with one."""
    return [block(inp, h) for inp, h, repeats in table for _ in range(repeats)]


def resnet(block, *repeats, expansion, inner=1):
    widths = (64, 128, 256, 512)
    return stages(block, 64, *((inner * w, expansion * w, n) for w, n in zip(widths, repeats, strict=True)))


# He 2016: the stem leaves 64 channels; stages of 64, 128, 256, 512, whose outputs are as wide or four times as wide.
RESNETS = {
    "timm:resnet18": resnet(basic, 2, 2, 2, 2, expansion=1),
    "timm:resnet101": resnet(bottleneck, 3, 4, 23, 3, expansion=4),
    # D: a deep stem that ends in 64 channels, and an average pool before the projection; layers are the same
    "timm:resnet26d": resnet(bottleneck, 2, 2, 2, 2, expansion=4),
    # normalised before the layers; the projection reads the normalised input too: the same channels
    "timm:resnetv2_50": resnet(bottleneck, 3, 4, 6, 3, expansion=4),
    # squeeze-and-excitation and ECA scale the last layer's channels
    "timm:seresnet18": resnet(basic, 2, 2, 2, 2, expansion=1),
    "timm:ecaresnet26t": resnet(bottleneck, 2, 2, 2, 2, expansion=4),
    # 32 groups of 4, 8, …, or wide: both twice the hidden channels; a node is its channels, not its groups
    "timm:resnext50_32x4d": resnet(bottleneck, 3, 4, 6, 3, expansion=4, inner=2),
    "timm:wide_resnet50_2": resnet(bottleneck, 3, 4, 6, 3, expansion=4, inner=2),
    # split attention: a 3x3 layer of twice the channels, whose halves are weighted and added before the last 1x1
    "timm:resnest14d": resnet(lambda inp, h: residual(inp, h, 2 * h), 1, 1, 1, 1, expansion=4),
    # selective kernels: two layers side by side, each as wide as the block, weighted and added before the second
    "timm:skresnet18": resnet(lambda inp, h: residual(inp, 2 * h), 2, 2, 2, 2, expansion=1),
    # stem 32, widths 24, 56, 152, 368; bottleneck ratio 1: hidden as wide as the output; Y adds squeeze-and-excitation
    "timm:regnetx_002": stages(bottleneck, 32, (24, 24, 1), (56, 56, 1), (152, 152, 4), (368, 368, 7)),
    "timm:regnety_002": stages(bottleneck, 32, (24, 24, 1), (56, 56, 1), (152, 152, 4), (368, 368, 7)),
    # stem 128; 1x1, two 3x3 and 1x1, hidden a quarter of the output; 1536 to 1536 at stride 2 is a projection as well
    "timm:nfnet_l0": stages(
        lambda inp, h: residual(inp, h, h, h), 128, (64, 256, 1), (128, 512, 2), (384, 1536, 6), (384, 1536, 3)
    ),
    # a 3x3 at stride 2 enters every stage; its blocks are 1x1 to half the channels and 3x3 back
    "timm:darknet53": shortcuts(basic, (64, 32, 1), (128, 64, 2), (256, 128, 8), (512, 256, 8), (1024, 512, 4)),
    # each separable convolution is two layers, depthwise and 1x1; widths grow with the first 1x1, in block 12 the last
    "timm:legacy_xception": [
        *(residual(inp, inp, out, out) for inp, out in ((64, 128), (128, 256), (256, 728))),
        *(residual(728, 728, 728, 728, 728, 728) for _ in range(8)),
        residual(728, 728, 728, 728),
    ],
}

# Expansion, depthwise, projection; the first block of a stage changes stride or width and has no shortcut.
MOBILE = {
    "timm:mobilenetv2_100": shortcuts(
        inverted, (24, 6 * 24, 1), (32, 6 * 32, 2), (64, 6 * 64, 3), (96, 6 * 96, 2), (160, 6 * 160, 2)
    ),
    # first a depthwise and a 1x1 at 16 channels with a shortcut: a basic block; expansions vary in the 80s
    "timm:mobilenetv3_large_100": [
        basic(16, 16),
        *shortcuts(inverted, (24, 72, 1), (40, 120, 2), (80, 200, 1), (80, 184, 2), (112, 672, 1), (160, 960, 2)),
    ],
    "timm:mnasnet_100": shortcuts(
        inverted, (24, 3 * 24, 2), (40, 3 * 40, 2), (80, 6 * 80, 2), (96, 6 * 96, 1), (192, 6 * 192, 3)
    ),
    "timm:efficientnet_b0": shortcuts(
        inverted, (24, 6 * 24, 1), (40, 6 * 40, 1), (80, 6 * 80, 2), (112, 6 * 112, 2), (192, 6 * 192, 3)
    ),
    # fused blocks are a 3x3 to four times the channels and a 1x1 back; the two of stage 0 are one layer: no cell
    "timm:efficientnetv2_s": [
        *shortcuts(basic, (48, 4 * 48, 3), (64, 4 * 64, 3)),
        *shortcuts(inverted, (128, 4 * 128, 5), (160, 6 * 160, 8), (256, 6 * 256, 14)),
    ],
    # B0 at width 0.51 and depth 0.6: 80, 112, 192 become 40, 56, 96 (multiples of 8), repeats 1 1 1 2 2 2 1
    "timm:tinynet_e": shortcuts(inverted, (40, 6 * 40, 1), (56, 6 * 56, 1), (96, 6 * 96, 1)),
    # Convolutions of several kernels share the channels; side by side they are one node of the same width. Where two
    # 1x1 layers each read half of what two 1x1 layers wrote, the block has no one entry: its cell begins where the
    # paths part, at the 6 * 16 depthwise channels before, or at the 80 channels that the whole block before reads.
    "timm:mixnet_s": [
        basic(16, 16),
        cell((96, 24, 72, 72), 24),
        *shortcuts(inverted, (40, 6 * 40, 3), (80, 6 * 80, 2)),
        cell((80, 480, 480, 120, 360, 360), 120),
        *shortcuts(inverted, (120, 3 * 120, 1), (200, 6 * 200, 2)),
    ],
}

OTHERS = {
    # depthwise, 1x1 to four times the channels, 1x1 back: c/(3c) of 6c; V2's response normalisation scales channels
    **{
        f"timm:{name}_atto": shortcuts(
            lambda c, wide: residual(c, c, wide), (40, 160, 2), (80, 320, 2), (160, 640, 6), (320, 1280, 2)
        )
        for name in ("convnext", "convnextv2")
    },
    # the pooling half of a block has no weights, and adds the same channels: only the two 1x1 layers are a cell
    "timm:poolformer_s12": shortcuts(basic, (64, 256, 2), (128, 512, 2), (320, 1280, 6), (512, 2048, 2)),
    # branches that end side by side are one node (a chain of 1x1 and 3x3 is one), then a linear 1x1 back to the width;
    # the reductions hand on a pool beside their branches: one layer, no cell
    "timm:inception_resnet_v2": shortcuts(basic, (320, 32 + 32 + 64, 10), (1088, 192 + 192, 20), (2080, 192 + 256, 10)),
}


@pytest.mark.parametrize(("source", "cells"), [*RESNETS.items(), *MOBILE.items(), *OTHERS.items()])
def test_masses_are_those_worked_by_hand(source, cells, analysed):
    report = analysed(source)
    assert report.outcome == "answered"
    assert [cell.nn_mass for cell in report.cells] == pytest.approx(cells, rel=1e-9)
    assert report.nn_mass == pytest.approx(sum(cells), rel=1e-9)


def test_published_values_follow_from_these_formulas():
    assert sum(RESNETS["timm:resnet18"]) == 3392
    assert sum(RESNETS["timm:wide_resnet50_2"]) == pytest.approx(10883.2, abs=0.05)
    assert round(sum(MOBILE["timm:mobilenetv2_100"])) == 1287


def test_a_branch_of_two_layers_is_no_projection():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 1)
            self.long = nn.Sequential(*(nn.Conv2d(i, o, 1) for i, o in ((8, 6), (6, 6), (6, 6), (6, 10))))
            self.short = nn.Sequential(nn.Conv2d(8, 4, 1), nn.Conv2d(4, 10, 1))

        def forward(self, x):
            x = self.stem(x)
            return self.long(x) + self.short(x)

    (found,) = nnmass.analyze(Block(), (1, 3, 4, 4)).cells
    assert found.widths == (8, 6 + 4, 6 + 10, 6, 10)
    assert found.nn_mass == pytest.approx(cell((8, 10, 16, 6), 10))

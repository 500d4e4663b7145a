"""Models that NN-Mass says nothing about, and those it is not defined for: which, where and why."""

import pytest
from torch import nn

import nnmass
from nnmass.errors import RefusedError
from nnmass.tracing import reasons


@pytest.mark.parametrize(
    "source",
    [
        "timm:vgg11",  # one layer after the other
        "timm:mobilenetv1_100",  # depthwise and 1x1 layers one after the other
        "timm:repvgg_a0",  # every shortcut is around one layer and its 1x1 projection
        "timm:convmixer_768_32",  # every shortcut is around one depthwise layer
        "torchvision:squeezenet1_1",  # one layer, two side by side, concatenated for the next: no path is longer
        "torchvision:googlenet",  # branches side by side, each one chain of layers
        "timm:inception_v3",  # the same; where it halves the map, a pool lies beside the branches
    ],
)
def test_models_without_a_skip_are_uninformative(source, analysed):
    report = analysed(source)
    assert (report.outcome, report.cells, report.nn_mass) == ("uninformative", (), 0.0)


def test_cells_of_two_inputs_have_no_region_of_their_own(analysed):
    # each cell of PNASNet reads the two before it, so that the first merge of all paths is the network's last one
    report = analysed("timm:pnasnet5large")
    assert report.outcome == "answered"
    assert len(report.cells) == 1
    assert report.cells[0].entry == "conv_0.conv"


@pytest.mark.parametrize(
    ("source", "module", "reason", "options"),
    [
        ("timm:vit_tiny_patch16_224", "blocks.0.attn", reasons.ATTENTION, {}),
        ("timm:swin_tiny_patch4_window7_224", "layers.0.blocks.0.attn", reasons.ATTENTION, {}),
        # two stages of inverted residuals come first
        ("timm:coatnet_pico_rw_224", "stages.2.blocks.0.attn", reasons.ATTENTION, {}),
        # linear attention: keys are averaged over positions by weights that one query makes
        ("timm:mobilevitv2_050", "stages.2.1.transformer.0.attn", reasons.ATTENTION, {}),
        ("timm:mixer_s32_224", "blocks.0.mlp_tokens.fc1", reasons.LINEAR_OVER_POSITIONS, {}),
        # before its product, the gate has a layer over positions
        ("timm:gmlp_ti16_224", "blocks.0.mlp_channels.gate.proj", reasons.LINEAR_OVER_POSITIONS, {}),
        # a query times a modulator, both of layers at every position; stages[0] holds a convolution and then blocks
        ("timm:focalnet_tiny_srf", "layers.0.blocks.0.modulation", reasons.GATED, {}),
        ("timm:starnet_s1", "stages.0.1", reasons.GATED, {}),
        # the experts of the fifth stage are mixed by weights that depend on the image
        ("timm:efficientnet_cc_b0_4e", "blocks.4.0.conv_pw", reasons.DYNAMIC, {}),
        # the first exchange: the half resolution is convolved, normalised, enlarged and added
        ("timm:hrnet_w18_small", "stage2.0.fuse_layers.0.1.2", reasons.RESOLUTIONS, {}),
        ("timm:sequencer2d_s", "stages.0.blocks.0.rnn_tokens.rnn_v", reasons.RECURRENT, {"image_size": 28}),
    ],
)
def test_models_that_are_no_layer_graph_are_refused(source, module, reason, options, analysed):
    with pytest.raises(RefusedError) as refused:
        analysed(source, **options)
    assert (refused.value.module, refused.value.reason) == (module, reason)


def test_averages_over_some_positions_with_weights_of_data_are_attention():
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scores, self.values, self.out = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)

        def forward(self, x):
            averages = (self.values(x) * self.scores(x).softmax(-1)).sum(-1, keepdim=True)
            return self.out(averages)

    with pytest.raises(RefusedError, match="attention"):
        nnmass.analyze(Weighted(), (1, 3, 4, 4))

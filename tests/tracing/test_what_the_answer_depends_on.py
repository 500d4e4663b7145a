"""Mass and cells follow from the topology: from no image size, no batch, no seed, and no auxiliary output."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import nnmass
from nnmass.errors import ModelError, RefusedError
from nnmass.tracing import load_model, reasons

SIZES = [(1, 32, 32), (2, 64, 64), (1, 8, 8), (2, 4, 4), (7, 4, 4), (1, 4, 32), (2, 24, 40), (1, 2, 2), (3, 1, 1)]
"""Batch, height and width; the networks below divide the latter by four, and most of them go on from there."""


class Network(nn.Module):
    """A stem and what follows it, as a function of the module and the stem's four channels."""

    def __init__(self, follows, **parts):
        super().__init__()
        self.stem, self.follows = nn.Conv2d(3, 4, 3, stride=4, padding=1), follows
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.follows(self, self.stem(x))


def conv(inputs, outputs, kernel=3, **options):
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options)


def dense_layers(width):
    return nn.ModuleList(conv(width + 4 * i, 4) for i in range(3))


def dense(layers, x):
    for layer in layers:
        x = torch.cat([x, F.relu(layer(x))], 1)
    return x


def before_the_head(head, **parts):
    """Three layers, each of which reads all before it, and a head: widths 4 4 4 4, all skips."""
    return Network(lambda s, y: head(s, dense(s.layers, y)), layers=dense_layers(4), **parts)


def in_a_block(scale, **parts):
    """A residual block of two layers, whose last is scaled or moved."""
    follows = lambda s, y: s.out(scale(s, s.second(F.relu(s.first(y)))) + y)  # noqa: E731
    return Network(follows, first=conv(4, 4), second=conv(4, 4), out=conv(4, 2, 1), **parts)


def mean(x):
    return x.mean((2, 3), keepdim=True)


def largest(x):
    return x.amax((2, 3), keepdim=True)


HEADS = {
    "a mean": (lambda s, x: s.f(x.mean((2, 3))), nn.Linear(16, 5)),
    "a maximum": (lambda s, x: s.f(x.flatten(2).max(2)[0]), nn.Linear(16, 5)),
    "an adaptive pool": (lambda s, x: s.f(F.adaptive_avg_pool2d(x, 1).flatten(1)), nn.Linear(16, 5)),
    "an adaptive pool and a convolution": (lambda s, x: s.f(F.adaptive_max_pool2d(x, 1)), nn.Conv2d(16, 5, 1)),
    "an adaptive pool to more than one": (lambda s, x: s.f(F.adaptive_avg_pool2d(x, 4).flatten(1)), nn.Linear(256, 5)),
    "a pool as large as the map": (lambda s, x: s.f(F.avg_pool2d(x, x.shape[2:])), nn.Conv2d(16, 5, 1)),
    "channels last": (lambda s, x: s.f(x.permute(0, 2, 3, 1).mean((1, 2))), nn.Linear(16, 5)),
    "a strided pool": (lambda s, x: s.f(F.max_pool2d(x, 3, 2, 1)), nn.Conv2d(16, 5, 1)),
    "groups of positions as channels": (lambda s, x: mean(s.f(F.pixel_unshuffle(x, 2))), nn.Conv2d(64, 5, 1)),
    "every other position": (lambda s, x: s.f(x[:, :, ::2, ::2]), nn.Conv2d(16, 5, 1)),
    "a stride": (lambda s, x: mean(s.f(x)), conv(16, 5, stride=2)),
    "a stride of a small kernel": (lambda s, x: mean(s.f(x)), conv(16, 5, 1, stride=2)),
}


@pytest.mark.parametrize(("batch", "height", "width"), SIZES)
@pytest.mark.parametrize("head", HEADS)
def test_a_layer_behind_a_pool_or_stride_is_none_of_the_cell_before(head, batch, height, width):
    function, layer = HEADS[head]
    if head.startswith("groups"):  # which divide the map
        height, width = 8 * height, 8 * width
    report = nnmass.analyze(before_the_head(function, f=layer), (batch, 3, height, width))
    assert [cell.widths for cell in report.cells] == [(4, 4, 4, 4)]
    assert report.nn_mass == 16.0


@pytest.mark.parametrize(("batch", "height", "width"), SIZES)
def test_a_layer_of_the_same_resolution_is_of_the_cell(batch, height, width):
    model = before_the_head(lambda s, x: s.g(mean(s.f(x))), f=conv(16, 5), g=nn.Conv2d(5, 3, 1))
    assert [cell.widths for cell in nnmass.analyze(model, (batch, 3, height, width)).cells] == [(4, 4, 4, 4, 5)]


@pytest.mark.parametrize(("batch", "height", "width"), SIZES)
def test_stages_that_are_of_one_size_by_chance_are_two_cells(batch, height, width):
    def follows(s, y):
        y = F.avg_pool2d(s.transition(dense(s.layers, y)), 2, ceil_mode=True)
        return s.f(mean(dense(s.others, y)))

    parts = {"layers": dense_layers(4), "transition": conv(16, 6, 1), "others": dense_layers(6)}
    report = nnmass.analyze(Network(follows, **parts, f=nn.Conv2d(18, 5, 1)), (batch, 3, height, width))
    assert [cell.widths for cell in report.cells] == [(4, 4, 4, 4, 6), (6, 4, 4, 4)]


def gathered(s, x):
    gate = s.f(x)
    return x * torch.sigmoid(gate if gate.shape == x.shape else F.interpolate(gate, size=x.shape[2:]))


def attended(s, x):
    """Convolutional block attention: channels, then positions."""
    x = x * torch.sigmoid(s.f(mean(x)) + s.f(largest(x)))
    return x * torch.sigmoid(s.g(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))


def neighbouring(s, x):
    """Efficient channel attention: a convolution over channels."""
    y = s.f(mean(x).squeeze(-1).transpose(-1, -2))
    return x * torch.sigmoid(y).transpose(-1, -2).unsqueeze(-1)


def coordinated(s, x):
    return x * torch.sigmoid(s.f(x.mean(3, keepdim=True))) * torch.sigmoid(s.g(x.mean(2, keepdim=True)))


def responding(s, x):
    norm = x.norm(dim=(2, 3), keepdim=True)
    return x * (norm / (norm.mean(1, keepdim=True) + 1e-6)) + x


def normalised(s, x):
    return (x - mean(x)) / (x.var((2, 3), keepdim=True, correction=0) + 1e-5).sqrt()


GATES = {
    "a mean": (lambda s, x: x * torch.sigmoid(s.f(mean(x))), {"f": conv(4, 4, 1)}),
    "a maximum": (lambda s, x: x * torch.sigmoid(s.f(F.adaptive_max_pool2d(x, 1))), {"f": conv(4, 4, 1)}),
    "a pool as large as the map": (
        lambda s, x: x * torch.sigmoid(s.f(F.avg_pool2d(x, x.shape[2:]))),
        {"f": conv(4, 4, 1)},
    ),
    "linear layers": (lambda s, x: x * s.f(x.mean((2, 3))).sigmoid()[:, :, None, None], {"f": nn.Linear(4, 4)}),
    "views": (lambda s, x: x * s.f(mean(x).view(len(x), -1)).sigmoid().view(len(x), -1, 1, 1), {"f": nn.Linear(4, 4)}),
    "an expansion": (lambda s, x: x * torch.sigmoid(s.f(mean(x))).expand_as(x), {"f": conv(4, 4, 1)}),
    "a hard sigmoid": (
        lambda s, x: x * F.hardsigmoid(s.g(F.relu(s.f(mean(x))))),
        {"f": conv(4, 2, 1), "g": conv(2, 4, 1)},
    ),
    "a hard sigmoid by hand": (lambda s, x: x * (F.relu6(s.f(mean(x)) + 3) / 6), {"f": conv(4, 4, 1)}),
    "the gate first": (lambda s, x: torch.sigmoid(s.f(mean(x))) * x, {"f": conv(4, 4, 1)}),
    "in place": (lambda s, x: x.mul_(torch.sigmoid(s.f(mean(x)))), {"f": conv(4, 4, 1)}),
    "two gates multiplied": (
        lambda s, x: x * (torch.sigmoid(s.f(mean(x))) * torch.sigmoid(s.g(largest(x)))),
        {"f": conv(4, 4, 1), "g": conv(4, 4, 1)},
    ),
    "a strided pool": (gathered, {"f": nn.AvgPool2d(3, 2, 1)}),
    "a strided layer": (gathered, {"f": conv(4, 4, stride=2, groups=4)}),
    "one channel": (lambda s, x: x * torch.sigmoid(s.f(x)), {"f": conv(4, 1)}),
    "channels and positions": (attended, {"f": conv(4, 4, 1), "g": conv(2, 1, 7)}),
    "rows and columns": (coordinated, {"f": conv(4, 4, 1), "g": conv(4, 4, 1)}),
    "neighbouring channels": (neighbouring, {"f": nn.Conv1d(1, 1, 3, padding=1)}),
    "a norm of responses": (responding, {}),
    "a norm by hand": (normalised, {}),
    "none, and an interpolation to its own size": (lambda s, x: F.interpolate(x, size=x.shape[2:]), {}),
    "none, and an adaptive pool to its own size": (lambda s, x: F.adaptive_avg_pool2d(x, x.shape[2:]), {}),
}


@pytest.mark.parametrize(("batch", "height", "width"), SIZES)
@pytest.mark.parametrize("gate", GATES)
def test_what_comes_from_a_pool_of_what_it_scales_is_a_gate(gate, batch, height, width):
    function, parts = GATES[gate]
    report = nnmass.analyze(in_a_block(function, **parts), (batch, 3, height, width))
    assert [cell.widths for cell in report.cells] == [(4, 4, 4)]
    assert report.nn_mass == 8.0
    assert any(skipped.reason.startswith("gate") for skipped in report.skipped) != gate.startswith("none")


DIMENSIONS = {1: (nn.Conv1d, [(1, 64), (2, 4), (3, 1)]), 3: (nn.Conv3d, [(1, 16, 8, 16), (2, 4, 4, 4), (3, 1, 4, 1)])}


@pytest.mark.parametrize("count", DIMENSIONS)
def test_maps_of_one_and_three_dimensions_are_read_alike(count):
    layer, sizes = DIMENSIONS[count]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = layer(3, 4, 3, stride=4, padding=1)
            self.first, self.second, self.gate = layer(4, 4, 3, padding=1), layer(4, 4, 3, padding=1), layer(4, 4, 1)
            self.layers, self.head = (
                nn.ModuleList(layer(4 + 4 * i, 4, 3, padding=1) for i in range(3)),
                nn.Linear(16, 5),
            )

        def forward(self, x):
            y = self.stem(x)
            z = self.second(F.relu(self.first(y)))
            z = z * torch.sigmoid(self.gate(z.mean(tuple(range(2, z.ndim)), keepdim=True))) + y
            return self.head(dense(self.layers, z).flatten(2).mean(2))

    for batch, *sides in sizes:
        cells = nnmass.analyze(Block(), (batch, 3, *sides)).cells
        assert [cell.widths for cell in cells] == [(4, 4, 4), (4, 4, 4, 4)]


def test_matrices_that_are_repeated_for_every_sample_are_one_layer():
    weight = nn.Parameter(torch.zeros(1, 4, 4))
    model = Network(
        lambda s, y: s.f(torch.bmm(s.w.repeat(len(y), 1, 1), y.flatten(2)).view_as(y) + y), w=weight, f=conv(4, 2)
    )
    masses = {nnmass.analyze(model, (batch, 3, 8, 8)).nn_mass for batch in (1, 2, 7)}
    assert masses == {0.0}


MERGING = {
    "concatenated": lambda s, y: s.g(torch.cat([y, F.interpolate(s.f(y), size=y.shape[2:])], 1)),
    "added": lambda s, y: s.h(y + F.interpolate(s.e(F.relu(s.f(y))), size=y.shape[2:])),
    "transposed": lambda s, y: s.g(torch.cat([y, s.up(s.f(y))[:, :, : y.shape[2], : y.shape[3]]], 1)),
}


@pytest.mark.parametrize(("batch", "height", "width"), SIZES)
@pytest.mark.parametrize("kind", [*MERGING, "product of two layers"])
def test_what_is_refused_is_refused_at_every_size(kind, batch, height, width):
    parts = {"f": conv(4, 4, stride=2), "e": conv(4, 4), "g": conv(8, 3, 1), "h": conv(4, 3, 1)}
    if kind in MERGING:
        model, reason = Network(MERGING[kind], **parts, up=nn.ConvTranspose2d(4, 4, 2, 2)), reasons.RESOLUTIONS
    else:
        model, reason = in_a_block(lambda s, x: x * torch.sigmoid(s.f(x)), f=conv(4, 4, 1)), reasons.GATED
    with pytest.raises(RefusedError) as refused:
        nnmass.analyze(model, (batch, 3, height, width))
    assert refused.value.reason == reason


class WithHead(nn.Module):
    """A model that returns what an auxiliary head makes of one of its modules' outputs, too."""

    def __init__(self, model, tap, width, *, head_first):
        super().__init__()
        self.model, self.head, self.head_first, self.seen = model, nn.Linear(width, 5), head_first, None
        model.get_submodule(tap).register_forward_hook(self.see)

    def see(self, module, args, out):
        self.seen = out

    def forward(self, x):
        out = self.model(x)
        aside = self.head(F.relu(self.seen).mean((2, 3)))
        return (aside, out) if self.head_first else {"out": out, "aux": [aside]}


REAL = {  # places for a head, and how wide they are: between blocks, within one
    "timm:test_resnet": (("layer2.0", 64), ("layer3.0.conv1", 96)),
    "timm:mobilenetv3_small_050": (("blocks.1.0", 16), ("blocks.2.1.conv_pw", 144)),
    "timm:ghostnet_050": (("blocks.2.0", 12), ("blocks.3.0.ghost1", 36)),
    "timm:regnety_002": (("s2.b1", 56), ("s3.b1.conv1", 152)),
    "timm:dla46_c": (("level2", 64), ("level3.tree1.tree1.conv1", 32)),
    "torchvision:densenet121": (("features.denseblock2.denselayer3.conv1", 128), ("features.transition1.conv", 128)),
    "torchvision:shufflenet_v2_x0_5": (("stage2", 48), ("stage3.1.branch2", 48)),
}


def cells_of(model, size):
    return [(c.kind, c.widths, c.skips, c.nn_mass, c.every_layer, c.inside) for c in nnmass.analyze(model, size).cells]


@cache
def as_delivered(name):
    """The cells of a model at the size that it is delivered for."""
    loaded = load_model(name)
    return cells_of(loaded.module, loaded.input_sizes[0])


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(REAL)),
    batch=st.integers(1, 7),
    sides=st.tuples(*[st.sampled_from([1, 2, 7, 16, 32, 33, 64, 96, 200])] * 2),
    seed=st.integers(0, 2**32 - 1),
    head=st.sampled_from([None, 0, 1]),
    head_first=st.booleans(),
)
def test_real_models_have_the_same_cells_in_any_surroundings(name, batch, sides, seed, head, head_first):
    model = load_model(name).module
    torch.manual_seed(seed)
    seen = model if head is None else WithHead(model, *REAL[name][head], head_first=head_first)
    try:
        found = cells_of(seen, (batch, 3, *sides))
    except ModelError as error:  # not a size of this model: a window larger than the map, halves of an odd side
        assert "the forward pass fails" in str(error)  # noqa: PT017
        return
    assert found == as_delivered(name)


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "fcn_resnet50"])
def test_segmentation_has_the_backbone_with_and_without_an_auxiliary_output(name):
    models = nnmass.tracing.libraries.import_library("torchvision.models.segmentation")
    for aux in (True, False):
        model = getattr(models, name)(weights=None, weights_backbone=None, aux_loss=aux)
        assert nnmass.analyze(model, (1, 3, 64, 64)).nn_mass == pytest.approx(9006.93, abs=0.01)


def test_a_feature_pyramid_has_the_mass_of_its_backbone():
    detection = nnmass.tracing.libraries.import_library("torchvision.models.detection")
    backbone = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None).backbone
    report = nnmass.analyze(backbone, (1, 3, 64, 64))
    assert (round(report.nn_mass, 2), len(report.cells)) == (9006.93, 16)
    assert [skipped.module for skipped in report.skipped] == ["fpn"]

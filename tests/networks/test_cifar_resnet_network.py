import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from nnmass import CifarResNet, isometry


@st.composite
def cifar_resnets(draw):
    widths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    shortcut = draw(st.sampled_from(["A", "B"]))
    return CifarResNet(
        layers=tuple(draw(st.integers(1, 3)) for _ in widths),
        widths=tuple(sorted(widths)) if shortcut == "A" else tuple(widths),
        shortcut=shortcut,
        image_size=draw(st.integers(1, 20)),
        in_channels=draw(st.integers(1, 3)),
        num_classes=draw(st.integers(1, 5)),
    )


@given(cifar_resnets())
@settings(max_examples=40, deadline=None)
def test_params_and_macs_are_those_of_the_network(spec):
    model = spec.build(0).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == spec.params
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        assert model(torch.randn(2, *spec.input_shape)).shape == (2, spec.num_classes)
    assert counter.get_total_flops() == 2 * 2 * spec.macs


def subsampled_and_padded(x, channels, stride):
    """Option A of arXiv:1512.03385, pixel by pixel."""
    batch, inputs, height, width = x.shape
    padded = x.new_zeros(batch, channels, math.ceil(height / stride), math.ceil(width / stride))
    for i, j, c in itertools.product(range(padded.shape[2]), range(padded.shape[3]), range(inputs)):
        padded[:, c, i, j] = x[:, c, i * stride, j * stride]
    return padded


def paper_network(weights, x, spec):
    """The network of section 4.2 in evaluation mode; ``weights`` yields the tensors in order of their use."""

    def conv_norm(x, stride=1, padding=1):
        y = F.conv2d(x, next(weights), stride=stride, padding=padding)
        gain, bias, mean, variance = itertools.islice(weights, 4)
        return F.batch_norm(y, mean, variance, gain, bias)

    x = torch.relu(conv_norm(x))
    for stage, (width, blocks) in enumerate(zip(spec.widths, spec.layers, strict=True)):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            y = conv_norm(torch.relu(conv_norm(x, stride)))
            changes = stride > 1 or x.shape[1] != width
            if spec.shortcut == "A":
                x = torch.relu(y + subsampled_and_padded(x, width, stride))
            else:
                x = torch.relu(y + (conv_norm(x, stride, padding=0) if changes else x))
    return F.linear(x.mean((2, 3)), next(weights), next(weights))


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize("image_size", [8, 9])
def test_it_computes_what_the_paper_says(scrambled, shortcut, image_size):
    spec = CifarResNet(layers=(2, 1, 2), widths=(4, 6, 6), shortcut=shortcut, image_size=image_size)
    model = scrambled(spec).eval()
    x = torch.randn(3, *spec.input_shape, dtype=torch.float64)
    weights = iter([value for name, value in model.state_dict().items() if "num_batches" not in name])
    torch.testing.assert_close(model(x), paper_network(weights, x, spec), rtol=1e-6, atol=1e-6)
    assert next(weights, None) is None


def test_names_of_parameters():
    names = set(CifarResNet.of_depth(20, shortcut="B").build(0).state_dict())
    assert {
        "conv1.weight",
        "layer1.0.bn2.bias",
        "layer2.0.downsample.0.weight",
        "layer3.2.conv2.weight",
        "fc.bias",
    } < names
    assert not [name for name in CifarResNet.of_depth(20).build(0).state_dict() if "downsample" in name]


def test_weights_come_from_the_seed_with_hes_variance():
    spec = CifarResNet.of_depth(8)
    one, same, other = (spec.build(seed) for seed in (0, 0, 1))
    assert torch.equal(one.layer3[0].conv2.weight, same.layer3[0].conv2.weight)
    assert not torch.equal(one.layer3[0].conv2.weight, other.layer3[0].conv2.weight)
    assert float(one.layer3[0].conv2.weight.detach().var()) == pytest.approx(2 / (9 * 64), rel=0.03)
    assert not one.fc.bias.any()


def test_gradient_propagation_can_be_measured():
    spec = CifarResNet(layers=(1, 1), widths=(4, 8), image_size=8, in_channels=1)
    found = isometry(spec, 6, initialisations=2, probes=2)
    expected = ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.0.conv2", "fc"]
    assert [layer.name for layer in found.layers] == expected
    assert [skipped.reason.partition(" ")[0] for skipped in found.skipped] == ["adaptive_avg_pool2d"]
    assert found.mean > 0

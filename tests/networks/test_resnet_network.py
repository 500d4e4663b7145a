import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnmass import ResNet, isometry

basic = st.builds(
    ResNet,
    block=st.just("basic"),
    layers=st.lists(st.integers(1, 2), min_size=1, max_size=3).map(tuple),
    image_size=st.integers(7, 40),
    in_channels=st.integers(1, 3),
    num_classes=st.integers(1, 5),
)
bottleneck = st.builds(
    ResNet,
    block=st.just("bottleneck"),
    layers=st.lists(st.integers(1, 2), min_size=1, max_size=2).map(tuple),
    groups=st.sampled_from([1, 2, 4]),
    width_per_group=st.sampled_from([1, 3, 16, 64]),
    image_size=st.integers(7, 40),
    num_classes=st.integers(1, 5),
)


@given(basic | bottleneck)
@settings(max_examples=25, deadline=None)
def test_params_and_macs_are_those_of_the_network(spec):
    model = spec.build(0).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == spec.params
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        assert model(torch.randn(1, *spec.input_shape)).shape == (1, spec.num_classes)
    assert counter.get_total_flops() == 2 * spec.macs


def test_names_are_torchvisions():
    names = list(ResNet.of_depth(50).build(0).state_dict())
    assert names[:3] == ["conv1.weight", "bn1.weight", "bn1.bias"]
    assert {"layer1.0.downsample.0.weight", "layer3.5.conv3.weight", "layer4.2.bn2.running_var", "fc.bias"} <= set(
        names
    )
    assert "layer1.1.downsample.0.weight" not in names
    assert len(names) == 320


def test_a_block_is_convolutions_norms_and_a_shortcut():
    model = ResNet(block="bottleneck", layers=(1, 1), image_size=8).build(3).double().eval()
    block = model.layer2[0]
    x = torch.randn(2, 256, 5, 5, dtype=torch.float64)
    inner = torch.relu(block.bn1(block.conv1(x)))
    inner = torch.relu(block.bn2(block.conv2(inner)))
    expected = torch.relu(block.bn3(block.conv3(inner)) + block.downsample(x))
    torch.testing.assert_close(block(x), expected)
    assert block.conv2.stride == (2, 2)
    assert model.layer1[0].downsample[0].stride == (1, 1)


def test_weights_come_from_the_seed_with_hes_variance():
    spec = ResNet(block="basic", layers=(1,))
    state = torch.get_rng_state()
    one, same, other = (spec.build(seed).layer1[0].conv1.weight for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert float(one.detach().var()) == pytest.approx(2 / (9 * 64), rel=0.03)


def test_gradient_propagation_can_be_measured():
    spec = ResNet(block="basic", layers=(1, 1), image_size=8, in_channels=1, num_classes=4)
    found = isometry(spec, 6, initialisations=2, probes=2)
    assert [layer.name for layer in found.layers][:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert [layer.hidden for layer in found.layers] == [False, *[True] * 5, False]
    assert found.mean > 0
    model = spec.build(0)
    assert all(not module.training for module in model.eval().modules() if isinstance(module, nn.BatchNorm2d))

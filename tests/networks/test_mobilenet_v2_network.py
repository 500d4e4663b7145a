import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from nnmass import MobileNetV2, isometry

stages = st.tuples(
    st.sampled_from([1, 1.5, 2, 6]), st.sampled_from([8, 12, 24]), st.integers(1, 2), st.sampled_from([1, 2])
)
specs = st.builds(
    MobileNetV2,
    width_mult=st.sampled_from([0.25, 0.7, 1.0, 1.2]),
    stages=st.lists(stages, min_size=1, max_size=3),
    image_size=st.integers(8, 40),
    in_channels=st.integers(1, 3),
    num_classes=st.integers(1, 5),
)


@given(specs)
@settings(max_examples=25, deadline=None)
def test_params_and_macs_are_those_of_the_network(spec):
    model = spec.build(0).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == spec.params
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        assert model(torch.randn(1, *spec.input_shape)).shape == (1, spec.num_classes)
    assert counter.get_total_flops() == 2 * spec.macs


def test_names_are_torchvisions():
    names = set(MobileNetV2().build(0).state_dict())
    expected = {"features.0.0.weight", "features.1.conv.0.1.bias", "features.2.conv.1.0.weight", "classifier.1.bias"}
    assert expected | {"features.17.conv.3.running_mean", "features.18.1.weight"} <= names
    assert len(names) == 314


def test_a_block_expands_filters_projects_and_adds():
    model = MobileNetV2(stages=[(2, 32, 1, 1), (2, 16, 1, 2)], image_size=8).build(1).double().eval()
    same, smaller = model.features[1], model.features[2]
    x = torch.randn(2, 32, 5, 5, dtype=torch.float64)
    y = x
    for (conv, norm, _), kernel in zip(same.conv[:2], (1, 3), strict=True):
        assert conv.kernel_size == (kernel, kernel)
        y = norm(conv(y)).clamp(0, 6)
    torch.testing.assert_close(same(x), x + same.conv[3](same.conv[2](y)))
    assert smaller(x).shape == (2, 16, 3, 3)
    assert smaller.conv[1][0].groups == 64


def test_weights_come_from_the_seed():
    spec = MobileNetV2(width_mult=0.25, num_classes=2)
    one, same, other = (spec.build(seed).features[3].conv[0][0].weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert float(spec.build(0).classifier[1].weight.detach().std()) == pytest.approx(0.01, rel=0.1)


def test_gradient_propagation_can_be_measured():
    spec = MobileNetV2(stages=[(2, 8, 2, 1)], width_mult=0.25, image_size=8, in_channels=1, num_classes=4)
    found = isometry(spec, 6, initialisations=2, probes=2)
    assert [layer.name for layer in found.layers][-2:] == ["features.3.0", "classifier.1"]
    assert len(found.layers) == 1 + 2 * 3 + 2
    assert found.mean > 0

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from nnmass import WideResNet, isometry

specs = st.builds(
    WideResNet,
    depth=st.sampled_from([10, 16]),
    widen_factor=st.integers(1, 3),
    dropout=st.sampled_from([0.0, 0.3]),
    image_size=st.integers(1, 16),
    in_channels=st.integers(1, 3),
    num_classes=st.integers(1, 5),
)


@given(specs)
@settings(max_examples=20, deadline=None)
def test_params_and_macs_are_those_of_the_network(spec):
    model = spec.build(0).eval()
    assert sum(parameter.numel() for parameter in model.parameters()) == spec.params
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        assert model(torch.randn(2, *spec.input_shape)).shape == (2, spec.num_classes)
    assert counter.get_total_flops() == 2 * 2 * spec.macs


def published_network(weights, x, depth, width, *, training):
    """The authors' PyTorch network in as few words; ``weights`` yields the tensors in order of their use."""

    def norm_relu(x):
        gain, bias, mean, variance = itertools.islice(weights, 4)
        return F.relu(F.batch_norm(x, mean.clone(), variance.clone(), gain, bias, training=training))

    def block(x, channels, stride):
        o1 = norm_relu(x)
        y = F.conv2d(o1, next(weights), stride=stride, padding=1)
        o2 = norm_relu(y)
        z = F.conv2d(o2, next(weights), stride=1, padding=1)
        return z + F.conv2d(o1, next(weights), stride=stride) if x.shape[1] != channels else z + x

    x = F.conv2d(x, next(weights), padding=1)
    for channels, first_stride in zip((16 * width, 32 * width, 64 * width), (1, 2, 2), strict=True):
        for i in range((depth - 4) // 6):
            x = block(x, channels, first_stride if i == 0 else 1)
    x = F.avg_pool2d(norm_relu(x), 8, 1, 0)
    return F.linear(x.flatten(1), next(weights), next(weights))


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("widen_factor", [1, 2])
def test_it_computes_what_the_published_network_does(scrambled, widen_factor, training):
    spec = WideResNet(depth=16, widen_factor=widen_factor)
    model = scrambled(spec).train(training)
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    weights = iter([v.detach().clone() for name, v in model.state_dict().items() if "num_batches" not in name])
    expected = published_network(weights, x, 16, widen_factor, training=training)
    torch.testing.assert_close(model(x), expected, rtol=1e-6, atol=1e-6)
    assert next(weights, None) is None


def test_dropout_acts_on_what_the_second_convolution_reads_while_training():
    spec = WideResNet(depth=10, widen_factor=1, dropout=0.4, image_size=8)
    model = spec.build(0)
    block, x = model.layer1[0].train(), torch.randn(2, 16, 8, 8)
    torch.manual_seed(5)
    found = block(x)
    torch.manual_seed(5)
    read = F.dropout(F.relu(block.bn2(block.conv1(F.relu(block.bn1(x))))), 0.4, training=True)
    torch.testing.assert_close(found, x + block.conv2(read))
    assert not torch.equal(block(x), block(x))
    assert torch.equal(block.eval()(x), block(x))


def test_weights_come_from_the_seed_with_hes_variance():
    spec = WideResNet(depth=10, widen_factor=2)
    one, same, other = (spec.build(seed) for seed in (0, 0, 1))
    assert torch.equal(one.layer2[0].downsample.weight, same.layer2[0].downsample.weight)
    assert not torch.equal(one.layer2[0].downsample.weight, other.layer2[0].downsample.weight)
    assert float(one.layer3[0].conv2.weight.detach().var()) == pytest.approx(2 / (9 * 128), rel=0.03)
    assert not one.fc.bias.any()


def test_gradient_propagation_can_be_measured():
    spec = WideResNet(depth=10, widen_factor=1, dropout=0.2, image_size=8, in_channels=1)
    found = isometry(spec, 6, initialisations=2, probes=2)
    assert [layer.name for layer in found.layers][:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert [layer.name for layer in found.layers][-4:-1] == [f"layer3.0.{n}" for n in ("conv1", "conv2", "downsample")]
    assert len(found.layers) == 1 + 2 + 3 + 3 + 1
    assert [skipped.reason.partition(" ")[0] for skipped in found.skipped] == ["adaptive_avg_pool2d"]
    assert found.mean > 0

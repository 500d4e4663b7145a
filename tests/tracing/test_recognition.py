import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnmass import CifarResNet, DenseCNN, DenseMLP, MobileNetV2, ResNet, WideResNet
from nnmass.errors import InvalidValueError, ModelError
from nnmass.export import export_onnx, export_program
from nnmass.tracing import load_model, recognise, specification_of


class Wrapped(nn.Module):
    """A network of ours whose specification is out of sight, and whose modules have other names."""

    def __init__(self, network):
        super().__init__()
        self.body = network

    def forward(self, x):
        return self.body(x)


def recognised(spec):
    return recognise(Wrapped(spec.build()), (1, *spec.input_shape))


dense = st.builds(
    DenseMLP,
    width=st.integers(2, 5),
    depth=st.integers(4, 7),
    max_skips=st.integers(1, 6),
    in_features=st.just(6),
    num_classes=st.integers(2, 4),
) | st.builds(
    DenseCNN,
    widths=st.lists(st.integers(2, 4), min_size=1, max_size=2).map(tuple),
    depth=st.integers(4, 6),
    max_skips=st.integers(1, 5),
    conv=st.sampled_from(["regular", "separable"]),
    image_size=st.just(8),
)
residual = (
    st.builds(
        ResNet,
        block=st.just("bottleneck"),
        layers=st.tuples(st.integers(1, 2), st.integers(1, 2)),
        planes=st.none() | st.just((16, 24)),
        groups=st.sampled_from([1, 2]),
        width_per_group=st.sampled_from([64, 32]),
        image_size=st.just(32),
    )
    | st.builds(
        CifarResNet,
        layers=st.tuples(st.integers(1, 2), st.integers(1, 2)),
        widths=st.just((4, 8)),
        shortcut=st.sampled_from(["A", "B"]),
        image_size=st.just(8),
    )
    | st.builds(WideResNet, depth=st.sampled_from([10, 16]), widen_factor=st.integers(2, 3), image_size=st.just(8))
)


@given(dense | residual)
@settings(max_examples=40, deadline=None)
def test_our_networks_are_recognised_whatever_their_modules_are_called(spec):
    found = recognised(spec)
    if isinstance(spec, DenseMLP | DenseCNN):  # skips beyond saturation are none
        saturated = [min(cell.max_skips, cell.width * (cell.depth - 2)) for cell in spec.cells]
        assert [cell.max_skips for cell in found.cells] == saturated
        spec = spec.model_copy(update={"max_skips": found.max_skips})
    assert found == spec


@pytest.mark.parametrize(
    "spec",
    [
        MobileNetV2(width_mult=0.5, image_size=64),
        MobileNetV2(image_size=64, num_classes=7, in_channels=1),
        MobileNetV2(stages=[(1, 16, 1, 1), (3, 24, 2, 2), (4.5, 24, 2, 1)], image_size=64, stem_channels=24),
        ResNet.of_depth(18, image_size=64),
        ResNet(block="basic", layers=(1, 2), planes=(32, 48), image_size=64),
    ],
)
def test_chosen_networks_have_the_recognised_mass_and_costs(spec):
    found = recognised(spec)
    assert found.costs == spec.costs
    assert found.blocks == spec.blocks if isinstance(spec, MobileNetV2) else found == spec


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("torchvision:mobilenet_v2", MobileNetV2()),
        ("torchvision:resnet18", ResNet.of_depth(18)),
        ("torchvision:resnet152", ResNet.of_depth(152)),
        ("torchvision:wide_resnet101_2", ResNet.of_depth(101, width_per_group=128)),
        ("torchvision:resnext101_32x8d", ResNet.of_depth(101, groups=32, width_per_group=8)),
        ("timm:mobilenetv2_035", MobileNetV2(width_mult=0.35)),
        ("timm:mobilenetv2_100", MobileNetV2()),
        ("timm:mobilenetv2_140", MobileNetV2(width_mult=1.4)),
        ("timm:resnet34", ResNet.of_depth(34)),
        ("timm:resnext50_32x4d", ResNet.of_depth(50, groups=32, width_per_group=4)),
    ],
)
def test_published_models_are_their_specifications(source, expected):
    assert specification_of(source) == expected


@pytest.mark.parametrize("name", ["mobilenetv2_110d", "mobilenetv2_120d"])
def test_deeper_mobilenets_have_a_stem_of_their_own(name):
    found = specification_of(f"timm:{name}")
    module = load_model(f"timm:{name}").module
    assert (found.stem, found.last) == (32, 1280)
    assert found.params == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("export", [export_onnx, export_program])
@pytest.mark.parametrize(
    "spec", [MobileNetV2(stages=[(1, 16, 1, 1), (3, 24, 2, 2)], image_size=32), CifarResNet.of_depth(8, image_size=16)]
)
def test_exported_networks_are_recognised_too(tmp_path, export, spec):
    path = tmp_path / ("n.onnx" if export is export_onnx else "n.pt2")
    export(spec.build(), spec.input_shape, path)
    found = specification_of(str(path))
    assert found.costs == spec.costs


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "timm:resnet50d",
            r"nearest is a ResNet, but conv1\.0 is a 3×3 convolution to 32 on 112×112, of which it has 0",
        ),
        ("timm:seresnet50", r"nearest is a ResNet, but layer1\.0\.se scales a tensor by another"),
        ("timm:efficientnet_b0", r"nearest is a MobileNetV2, but .* is a 5×5 convolution in 144 groups"),
        ("timm:densenet121", "is none of DenseMLP, DenseCNN, ResNet, CifarResNet, WideResNet, MobileNetV2"),
        ("timm:vgg11", "is none of DenseMLP, .*MobileNetV2$"),
        ("timm:vit_tiny_patch16_224", r"is none of .*: blocks\.0\.attn: product of data with data"),
    ],
)
def test_other_models_are_refused_with_the_first_difference(source, message):
    with pytest.raises(ModelError, match=message):
        specification_of(source)


class Changed(nn.Module):
    """A CifarResNet of depth 8 with one thing changed."""

    def __init__(self, change):
        super().__init__()
        self.net = CifarResNet.of_depth(8, image_size=16).build()
        if change == "kernel":
            self.net.layer2[0].conv2 = nn.Conv2d(32, 32, 5, padding=2, bias=False)
        elif change == "bias":
            self.net.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.change = change

    def forward(self, x):
        if self.change == "skip":
            net = self.net
            x = torch.relu(net.bn1(net.conv1(x)))
            block = net.layer1[0]
            y = torch.relu(block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x))))))  # nothing is added
            return net.fc(net.layer3(net.layer2(y)).mean((2, 3)))
        return self.net(x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("kernel", r"net\.layer2\.0\.conv2 is a 5×5 convolution to 32 on 8×8, of which it has 0"),
        ("bias", "it has 75,290 parameters, not 75,306"),
        ("skip", "of which it has 0"),
    ],
)
def test_one_change_is_enough(change, message):
    with pytest.raises(ModelError, match=f"Changed is none of .*; nearest is a .*, but .*{message}"):
        recognise(Changed(change), (1, 3, 16, 16))


def test_a_network_of_ours_says_what_it_is():
    spec = DenseCNN(widths=(4,), depth=5, max_skips=0, image_size=8)
    assert recognise(spec.build(seed=3)).without_links() == spec
    with pytest.raises(ModelError, match="Wrapped is none of"):  # without skips there is no cell to be seen
        recognised(spec)


def test_a_model_needs_its_input_size_and_stays_as_it_is():
    network = Wrapped(CifarResNet.of_depth(8, image_size=16).build())
    with pytest.raises(InvalidValueError, match="input_size is missing"):
        recognise(network)
    state = torch.random.get_rng_state()
    recognise(network.train(), (4, 3, 16, 16))
    assert network.training
    assert torch.equal(torch.random.get_rng_state(), state)


def test_files_are_specifications_themselves(tmp_path):
    spec = MobileNetV2()
    path = str(spec.to_json(tmp_path / "spec.json"))
    assert specification_of(path) == spec
    assert specification_of(path, image_size=128).image_size == 128

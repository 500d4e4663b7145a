"""Models of timm and torchvision, traced, have the published masses, block by block."""

import pytest

import nnmass
from nnmass.tracing import load_model

RESNETS = {
    "resnet18": {"depth": 18},
    "resnet34": {"depth": 34},
    "resnet50": {"depth": 50},
    "resnet101": {"depth": 101},
    "resnet152": {"depth": 152},
    "wide_resnet50_2": {"depth": 50, "width_per_group": 128},
    "wide_resnet101_2": {"depth": 101, "width_per_group": 128},
    "resnext50_32x4d": {"depth": 50, "groups": 32, "width_per_group": 4},
    "resnext101_64x4d": {"depth": 101, "groups": 64, "width_per_group": 4},
}
DENSENETS = {  # growth, channels of the first block, layers per block
    "densenet121": (32, 64, (6, 12, 24, 16)),
    "densenet161": (48, 96, (6, 12, 36, 24)),
    "densenet169": (32, 64, (6, 12, 32, 32)),
    "densenet201": (32, 64, (6, 12, 48, 32)),
}


def analyzed(source, **options):
    loaded = load_model(source)
    return nnmass.analyze(loaded.module, loaded.input_sizes, **options)


@pytest.mark.parametrize(
    ("source", "mass"),
    [
        ("timm:resnet18", 3392),
        ("torchvision:resnet18", 3392),
        ("timm:resnet50", 9006.933333333332),
        ("timm:wide_resnet50_2", 10883.199999999999),
        ("torchvision:resnext50_32x4d", 10883.199999999999),
        ("timm:mobilenetv2_050", 650),
        ("timm:mobilenetv2_100", 1287),
        ("torchvision:mobilenet_v2", 1287),
        ("timm:densenet121", 3712),
        ("torchvision:densenet121", 3712),
        ("timm:densenet201", 5760),
    ],
)
def test_the_targets_are_met(source, mass):
    assert analyzed(source).nn_mass == pytest.approx(mass, rel=1e-12)


@pytest.mark.parametrize("projection", ["count", "zero"])
@pytest.mark.parametrize("name", RESNETS)
def test_every_block_of_a_resnet_has_its_closed_form(name, projection):
    spec = nnmass.ResNet.of_depth(**RESNETS[name], projection=projection)
    report = analyzed(f"torchvision:{name}", projection=projection)
    expected = [cell for cell in spec.cells if cell.num_skips]
    assert [cell.widths for cell in report.cells] == [cell.widths for cell in expected]
    assert [cell.nn_mass for cell in report.cells] == pytest.approx([cell.nn_mass for cell in expected], rel=1e-12)
    assert (report.params, report.macs) == (spec.params, spec.macs)


@pytest.mark.parametrize("name", DENSENETS)
def test_every_block_of_a_densenet_is_full_in_the_composite_reading(name):
    growth, channels, layers = DENSENETS[name]
    masses = []
    for k, count in enumerate(layers):
        out = channels + count * growth
        transition = out // 2 if k + 1 < len(layers) else 0
        masses.append(channels + count * growth + transition)
        channels = transition
    report = analyzed(f"torchvision:{name}")
    assert [cell.density for cell in report.cells] == [1.0] * len(layers)
    assert [cell.nn_mass for cell in report.cells] == pytest.approx(masses, rel=1e-12)


@pytest.mark.parametrize("name", DENSENETS)
def test_a_densenet_whose_convolutions_are_all_nodes_follows_the_definition(name):
    growth, channels, layers = DENSENETS[name]
    total = 0.0
    for count in layers:
        out = channels + count * growth
        before = [channels, *[4 * growth, growth] * count]  # the layer that reads them all is the last node
        possible = sum(sum(before[: i - 1]) for i in range(2, len(before) + 1))
        actual = sum(channels + growth * (k - 1) for k in range(1, count + 1))
        total += actual / possible * sum(before)
        channels = out // 2
    assert analyzed(f"torchvision:{name}").nn_mass_every_layer == pytest.approx(total, rel=1e-12)


def test_the_other_reading_has_the_published_values():
    values = [analyzed(f"timm:{name}").nn_mass_every_layer for name in ("densenet121", "densenet201")]
    assert values == pytest.approx([1672, 2627.5], abs=0.05)

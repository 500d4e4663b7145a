import json
import os
from pathlib import Path

import pytest

from nnmass import MobileNetV2, ResNet, load_spec
from nnmass.architectures.mobilenet_v2 import make_divisible
from nnmass.errors import SpecificationError


@pytest.mark.parametrize(
    ("width", "params", "mass"),
    [(0.5, 1_968_680, 650), (1.0, 3_504_872, 1287), (1.3, 5_386_792, 1664)],  # torchvision; the published code
)
def test_published_networks(width, params, mass):
    spec = MobileNetV2(width_mult=width)
    assert spec.params == params
    assert spec.nn_mass == pytest.approx(mass, rel=1e-9)


def test_all_values_of_the_published_code():
    folder = os.environ.get("NNMASS_DATA")
    if folder is None:
        pytest.skip("NNMASS_DATA is unset: the values of the published code lie in its ../reference")
    rows = json.loads((Path(folder).parent / "reference" / "published_code_addition.json").read_text())
    resnets = {
        "resnet18": ResNet.of_depth(18),
        "resnet50": ResNet.of_depth(50),
        "wide_resnet50_2": ResNet.of_depth(50, width_per_group=128),
    }
    for row in rows:
        spec = MobileNetV2(width_mult=row["width_mult"]) if "width_mult" in row else resnets[row["model"]]
        assert spec.nn_mass == pytest.approx(row["nn_mass"], rel=1e-9)
        assert spec.params == row["params"]
    assert len(rows) >= 6


def test_blocks_without_a_shortcut_have_no_mass():
    spec = MobileNetV2(stages=[(6, 32, 2, 1), (2, 48, 2, 2), (1, 48, 1, 1)], image_size=32)
    assert [cell.widths for cell in spec.cells] == [
        (32, 192, 192, 32),
        (32, 192, 192, 32),
        (32, 64, 64, 48),
        (48, 96, 96, 48),
        (48, 48, 48),
    ]
    assert [cell.shortcut for cell in spec.cells] == [True, True, False, True, True]
    expected = 2 * (32 + 2 * 192) * 32 / (2 * 32 + 192) + (48 + 2 * 96) * 48 / (2 * 48 + 96) + 48 + 48
    assert spec.nn_mass == pytest.approx(expected)


def test_macs_by_hand():
    spec = MobileNetV2(stages=[(1, 16, 1, 1), (2, 24, 1, 2)], image_size=16, num_classes=5)
    stem = 9 * 3 * 32 * 8**2
    first = (9 * 32 + 32 * 16) * 8**2
    second = 16 * 32 * 8**2 + (9 * 32 + 32 * 24) * 4**2
    assert spec.macs == stem + first + second + 24 * 1280 * 4**2 + 1280 * 5


@pytest.mark.parametrize(("channels", "rounded"), [(1, 8), (11.9, 16), (12, 16), (19.2, 24), (22.4, 24), (1792, 1792)])
def test_channels_are_multiples_of_eight_and_lose_at_most_a_tenth(channels, rounded):
    assert make_divisible(channels) == rounded
    assert rounded >= 0.9 * channels


def test_json_round_trip(tmp_path):
    spec = MobileNetV2(width_mult=0.75, stages=[(6, 24, 2, 2), (3.5, 40, 1, 1)], num_classes=10)
    assert load_spec(spec.to_json(tmp_path / "spec.json")) == spec
    assert spec.stages == ((6.0, 24, 2, 2), (3.5, 40, 1, 1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width_mult": 0}, "width_mult should be greater than 0, got 0"),
        ({"stages": []}, "stages"),
        ({"stages": [(6, 24, 2, 3)]}, "less than or equal to 2, got 3"),
        ({"stages": [(6, 24, 2)]}, "stages"),
        ({"stages": [(0, 24, 2, 1)]}, "greater than 0, got 0"),
        ({"stages": [(6, 24.5, 2, 1)]}, "got 24.5"),
        ({"depth": 3}, "depth"),
    ],
)
def test_impossible_networks_are_refused(values, message):
    with pytest.raises(SpecificationError, match=message):
        MobileNetV2(**values)

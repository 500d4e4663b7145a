import pytest

from nnmass import ResNet, load_spec
from nnmass.errors import InvalidValueError, SpecificationError

# parameters: torchvision's documentation; masses: the published code, where it has the network
PUBLISHED = [
    ({"depth": 18}, 11_689_512, 3392.0),
    ({"depth": 34}, 21_797_672, None),
    ({"depth": 50}, 25_557_032, 9006.933333333332),
    ({"depth": 101}, 44_549_160, None),
    ({"depth": 152}, 60_192_808, None),
    ({"depth": 50, "groups": 32, "width_per_group": 4}, 25_028_904, 10883.2),
    ({"depth": 101, "groups": 64, "width_per_group": 4}, 83_455_272, None),
    ({"depth": 50, "width_per_group": 128}, 68_883_240, 10883.2),
    ({"depth": 101, "width_per_group": 128}, 126_886_696, None),
]


@pytest.mark.parametrize(("options", "params", "mass"), PUBLISHED)
def test_published_networks(options, params, mass):
    spec = ResNet.of_depth(**options)
    assert spec.params == params
    if mass is not None:
        assert spec.nn_mass == pytest.approx(mass, rel=1e-9)


def test_macs_by_hand():
    spec = ResNet(block="basic", layers=(1, 1), image_size=16, num_classes=3)
    stem = 49 * 3 * 64 * 8**2
    first = 2 * 9 * 64 * 64 * 4**2
    second = (9 * 64 * 128 + 9 * 128 * 128 + 64 * 128) * 2**2
    assert spec.macs == stem + first + second + 128 * 3


def test_projections_count_or_not():
    counted, zero = (ResNet.of_depth(18, projection=projection) for projection in ("count", "zero"))
    assert counted.nn_mass - zero.nn_mass == (64 + 128) + (128 + 256) + (256 + 512)
    assert [cell.num_skips for cell in zero.cells] == [64, 64, 0, 128, 0, 256, 0, 512]
    assert counted.params == zero.params


def test_json_round_trip(tmp_path):
    spec = ResNet.of_depth(50, groups=32, width_per_group=4, num_classes=7, projection="zero")
    assert load_spec(spec.to_json(tmp_path / "spec.json")) == spec
    assert spec.with_links(3) is spec
    assert spec.without_links() is spec


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"block": "basic", "layers": (2,), "groups": 2},
            "basic blocks have groups 1 and width_per_group 64, got 2 and 64",
        ),
        ({"block": "wide", "layers": (2,)}, "block should be 'basic' or 'bottleneck', got 'wide'"),
        ({"block": "basic", "layers": ()}, "layers"),
        ({"block": "basic", "layers": (0,)}, r"layers\.0 should be greater than or equal to 1, got 0"),
        ({"block": "basic", "layers": (1,) * 9}, "layers"),
        ({"block": "basic", "layers": (1,), "links": None}, "links"),
        ({"block": "bottleneck", "layers": (1,), "width_per_group": 0}, "width_per_group"),
    ],
)
def test_impossible_networks_are_refused(values, message):
    with pytest.raises(SpecificationError, match=message):
        ResNet(**values)


def test_unknown_depths_are_refused():
    with pytest.raises(InvalidValueError, match="depth must be one of 18, 34, 50, 101, 152, got 19"):
        ResNet.of_depth(19)

import pytest

from nnmass import WideResNet, load_spec
from nnmass.errors import SpecificationError

# millions of parameters, as in arXiv:1605.07146
PUBLISHED = [
    ((40, 1), 0.6),
    ((40, 2), 2.2),
    ((40, 4), 8.9),
    ((40, 8), 35.7),
    ((28, 10), 36.5),
    ((28, 12), 52.5),
    ((22, 8), 17.2),
    ((22, 10), 26.8),
    ((16, 8), 11.0),
    ((16, 10), 17.1),
]


@pytest.mark.parametrize(("shape", "millions"), PUBLISHED)
def test_published_parameters(shape, millions):
    depth, widen_factor = shape
    assert round(WideResNet(depth=depth, widen_factor=widen_factor).params / 1e6, 1) == millions


def test_mass_by_hand():
    spec = WideResNet(depth=16, widen_factor=2)
    assert [cell.widths for cell in spec.cells[:3]] == [(16, 32, 32), (32, 32, 32), (32, 64, 64)]
    assert [cell.nn_mass for cell in spec.cells] == [16 + 32, 64, 32 + 64, 128, 64 + 128, 256]
    assert {cell.density for cell in spec.cells} == {1.0}


def test_params_and_macs_by_hand():
    spec = WideResNet(depth=10, widen_factor=1, image_size=5, in_channels=1, num_classes=2)
    first = 9 * 1 * 16 + 2 * 9 * 16 * 16
    second = 9 * 16 * 32 + 9 * 32 * 32 + 16 * 32
    third = 9 * 32 * 64 + 9 * 64 * 64 + 32 * 64
    norms = 2 * (16 + 16) + 2 * (16 + 32) + 2 * (32 + 64) + 2 * 64
    assert spec.params == first + second + third + norms + 64 * 2 + 2
    assert spec.macs == first * 5**2 + second * 3**2 + third * 2**2 + 64 * 2


def test_projections_count_or_not():
    counted, zero = (WideResNet(depth=16, widen_factor=2, projection=kind) for kind in ("count", "zero"))
    assert [cell.num_skips for cell in zero.cells] == [0, 32, 0, 64, 0, 128]
    assert counted.nn_mass - zero.nn_mass == (16 + 32) + (32 + 64) + (64 + 128)
    assert counted.params == zero.params


def test_the_first_stage_of_a_network_that_is_not_widened_has_no_projection():
    stages = WideResNet(depth=10, widen_factor=1).stages
    assert [stage[0].projected for stage in stages] == [False, True, True]


def test_json_round_trip(tmp_path):
    spec = WideResNet(depth=16, widen_factor=4, dropout=0.3, num_classes=100, projection="zero")
    assert load_spec(spec.to_json(tmp_path / "spec.json")) == spec
    assert spec.with_links(3) is spec.without_links() is spec


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth": 27}, r"depth must be 6n \+ 4 with n at least 1 \(10, 16, 22, 28, ...\), got 27"),
        ({"depth": 4}, r"depth must be 6n \+ 4 .*got 4"),
        ({"depth": 28.0}, r"depth should be a valid integer, got 28\.0"),
        ({"widen_factor": 0}, "widen_factor should be greater than or equal to 1, got 0"),
        ({"widen_factor": 1.5}, r"widen_factor should be a valid integer.*got 1\.5"),
        ({"dropout": 1}, "dropout should be less than 1, got 1"),
        ({"dropout": -0.1}, r"dropout should be greater than or equal to 0, got -0\.1"),
        ({"dropout": float("nan")}, "dropout .*got nan"),
        ({"projection": "some"}, "projection should be 'count' or 'zero', got 'some'"),
        ({"num_classes": 0}, "num_classes should be greater than or equal to 1, got 0"),
        ({"shortcut": "A"}, "shortcut .*not permitted, got 'A'"),
    ],
)
def test_impossible_networks_are_refused(values, message):
    with pytest.raises(SpecificationError, match=f"WideResNet: {message}"):
        WideResNet(**{"depth": 28, "widen_factor": 10} | values)

import pytest

from nnmass import CifarResNet, load_spec
from nnmass.errors import InvalidValueError, SpecificationError


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7), (1202, 19.4)]
)
def test_published_parameters(depth, millions):
    spec = CifarResNet.of_depth(depth)
    assert spec.params / 1e6 == pytest.approx(millions, rel=0.02)
    assert spec.depth == depth


def test_mass_by_hand():
    one = CifarResNet(layers=(1,), widths=(16,))
    assert [(cell.widths, cell.density, cell.nn_mass) for cell in one.cells] == [((16, 16, 16), 1.0, 32.0)]
    spec = CifarResNet.of_depth(20)
    assert [cell.nn_mass for cell in spec.cells] == [32, 32, 32, 16 + 32, 64, 64, 32 + 64, 128, 128]
    assert spec.nn_mass == 624


def test_params_and_macs_by_hand():
    spec = CifarResNet(layers=(1, 1), widths=(4, 6), image_size=7, num_classes=3)
    weights = {7: 9 * 3 * 4 + 2 * 9 * 4 * 4, 4: 9 * 4 * 6 + 9 * 6 * 6}
    assert spec.macs == weights[7] * 7**2 + weights[4] * 4**2 + 6 * 3
    assert spec.params == sum(weights.values()) + 2 * (3 * 4 + 2 * 6) + 6 * 3 + 3
    projected = spec.model_copy(update={"shortcut": "B"})
    assert projected.params - spec.params == 4 * 6 + 2 * 6
    assert projected.macs - spec.macs == 4 * 6 * 4**2


@pytest.mark.parametrize("projection", ["count", "zero"])
def test_shortcuts_without_parameters_count_as_the_channels_they_add(projection):
    spec = CifarResNet(layers=(2, 1), widths=(4, 6), projection=projection)
    assert [cell.num_skips for cell in spec.cells] == [4, 4, 4]


def test_projections_count_or_not():
    counted, zero = (CifarResNet.of_depth(20, shortcut="B", projection=kind) for kind in ("count", "zero"))
    assert counted.nn_mass == CifarResNet.of_depth(20).nn_mass
    assert counted.nn_mass - zero.nn_mass == (16 + 32) + (32 + 64)
    assert counted.params == zero.params


def test_options_of_a_published_depth():
    spec = CifarResNet.of_depth(
        14, widths=(4, 4, 8), shortcut="B", image_size=28, in_channels=1, num_classes=5, projection="zero"
    )
    assert spec.layers == (2, 2, 2)
    assert spec.input_shape == (1, 28, 28)
    assert [shape.projected for stage in spec.stages for shape in stage] == [False, False, True, False, True, False]


@pytest.mark.parametrize(
    "spec",
    [
        CifarResNet.of_depth(20, shortcut="B", projection="zero", num_classes=100),
        CifarResNet(layers=[1, 2], widths=[3, 5], image_size=9),
    ],
)
def test_json_round_trip(tmp_path, spec):
    assert load_spec(spec.to_json(tmp_path / "spec.json")) == spec
    assert spec.with_links(3) is spec.without_links() is spec


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "CifarResNet: layers is missing"),
        ({"layers": (1, 1)}, r"layers must have one entry per stage \(3\), got 2"),
        ({"layers": (1,), "widths": (4, 8)}, r"layers must have one entry per stage \(2\), got 1"),
        ({"layers": (1, 1), "widths": (8, 4)}, r'widths must not decrease with shortcut "A".*got \(8, 4\)'),
        ({"layers": (1, 0, 1)}, r"layers\.1 should be greater than or equal to 1, got 0"),
        ({"layers": 3}, "layers should be a valid tuple, got 3"),
        ({"layers": (), "widths": ()}, "layers"),
        ({"layers": (1,) * 9, "widths": (4,) * 9}, "layers"),
        ({"layers": (1, 1, 1), "shortcut": "C"}, "shortcut should be 'A' or 'B', got 'C'"),
        ({"layers": (1, 1, 1), "projection": "some"}, "projection should be 'count' or 'zero', got 'some'"),
        ({"layers": (1, 1, 1), "widths": (4, 4.5, 8)}, r"widths\.1 should be a valid integer.*got 4\.5"),
        ({"layers": (1, 1, 1), "image_size": 0}, "image_size should be greater than or equal to 1, got 0"),
        ({"layers": (1, 1, 1), "groups": 2}, "groups .*not permitted, got 2"),
    ],
)
def test_impossible_networks_are_refused(values, message):
    with pytest.raises(SpecificationError, match=message):
        CifarResNet(**values)


def test_projections_may_narrow():
    spec = CifarResNet(layers=(1, 1), widths=(8, 4), shortcut="B")
    assert [cell.widths for cell in spec.cells] == [(8, 8, 8), (8, 4, 4)]


@pytest.mark.parametrize("depth", [2, 19, 21, -4])
def test_other_depths_are_refused(depth):
    with pytest.raises(InvalidValueError, match=rf"depth must be 6n \+ 2 with n at least 1 .*got {depth}"):
        CifarResNet.of_depth(depth)

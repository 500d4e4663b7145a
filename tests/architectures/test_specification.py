import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nnmass.architectures import DenseCNN, DenseMLP, dense_cnn_costs, dense_mlp_costs, load_spec
from nnmass.errors import InvalidValueError, SpecificationError
from nnmass.topology import Cell, check_links

MLP = {"width": 8, "depth": 16, "max_skips": 20}
CNN = {"widths": (8, 16), "depth": 5, "max_skips": (3, 6)}

sizes = st.integers(1, 40)
mlps = st.builds(
    DenseMLP,
    width=sizes,
    depth=st.integers(2, 12),
    max_skips=st.integers(0, 200),
    in_features=sizes,
    num_classes=sizes,
    activation=st.sampled_from(["elu", "relu", "selu", "tanh", "linear"]),
)


@st.composite
def cnns(draw) -> DenseCNN:
    cells = draw(st.integers(1, 4))
    return DenseCNN(
        widths=draw(st.tuples(*[sizes] * cells)),
        depth=draw(st.integers(1, 9) | st.tuples(*[st.integers(1, 9)] * cells)),
        max_skips=draw(st.integers(0, 50) | st.tuples(*[st.integers(0, 200)] * cells)),
        conv=draw(st.sampled_from(["regular", "separable"])),
        image_size=draw(sizes),
        in_channels=draw(sizes),
        num_classes=draw(sizes),
    )


@given(mlps | cnns(), st.none() | st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_json_round_trip_keeps_everything(tmp_path_factory, spec, seed):
    spec = spec if seed is None else spec.with_links(seed)
    path = spec.to_json(tmp_path_factory.mktemp("spec") / "spec.json")
    loaded = load_spec(path)
    assert loaded == spec
    assert hash(loaded) == hash(spec)
    assert loaded.links == spec.links
    assert loaded.costs == spec.costs


def test_json_holds_the_words_of_the_specification(tmp_path):
    path = DenseMLP(**MLP, in_features=64).to_json(tmp_path / "new" / "spec.json")
    words = MLP | {"family": "DenseMLP", "in_features": 64, "num_classes": 10, "activation": "elu"}
    assert json.loads(path.read_text()) == words


def test_mlp_knows_its_cell_and_costs():
    spec = DenseMLP(**MLP, in_features=64)
    assert spec.cells == (Cell(8, 16, 20),)
    assert spec.costs == dense_mlp_costs(8, 16, 20, in_features=64, num_classes=10)
    assert (spec.nn_mass, spec.params, spec.macs) == spec.costs
    assert spec.nn_mass == pytest.approx(40.2286, abs=5e-5)
    assert spec.input_shape == (64,)


def test_cnn_knows_its_cells_and_costs():
    spec = DenseCNN(widths=(32, 64, 128), depth=8, max_skips=(10, 20, 40), image_size=30, in_channels=1)
    assert spec.cells == (Cell(32, 8, 10), Cell(64, 8, 20), Cell(128, 8, 40))
    assert spec.costs == dense_cnn_costs(spec.widths, (8, 8, 8), (10, 20, 40), image_size=30, in_channels=1)
    assert (spec.nn_mass, spec.params, spec.macs) == spec.costs
    assert spec.nn_mass == 160
    assert spec.resolutions == (30, 15, 8)
    assert spec.input_shape == (1, 30, 30)


def test_equal_depths_are_one_depth():
    specs = [DenseCNN(**CNN | {"depth": depth}) for depth in (5, (5, 5), [5, 5], (np.int64(5), 5), np.array([5, 5]))]
    assert all(spec == specs[0] and hash(spec) == hash(specs[0]) for spec in specs)
    assert specs[0] != DenseCNN(**CNN | {"depth": (5, 4)})
    assert specs[0].depths == (5, 5)


def test_one_skip_number_serves_all_cells():
    specs = [DenseCNN(**CNN | {"max_skips": skips}) for skips in (3, (3, 3), [3, 3], np.int64(3), np.array([3, 3]))]
    assert all(spec == specs[0] for spec in specs)
    assert [cell.max_skips for cell in specs[0].cells] == [3, 3]


def test_numpy_numbers_are_taken():
    assert DenseMLP(width=np.int32(8), depth=np.int64(16), max_skips=np.uint8(20)) == DenseMLP(**MLP)
    assert DenseCNN(widths=np.array([8, 16]), depth=5, max_skips=3) == DenseCNN(widths=(8, 16), depth=5, max_skips=3)


@pytest.mark.parametrize("spec", [DenseMLP(**MLP), DenseCNN(**CNN)])
def test_specifications_cannot_be_changed(spec):
    for name in ("depth", "max_skips", "links", "novel"):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(spec, name, 1)


def test_with_links_draws_by_seed_alone():
    spec = DenseCNN(**CNN)
    assert spec.links is None
    assert spec.with_links(1) == spec.with_links(1) != spec.with_links(2)
    assert spec.with_links(1).with_links(2) == spec.with_links(2)
    assert spec.with_links(1).without_links() == spec
    for cell, links in zip(spec.cells, spec.with_links(1).links, strict=True):
        check_links(cell, links)


def test_with_links_refuses_negative_seeds():
    with pytest.raises(InvalidValueError, match="seed must lie in 0 … 2⁶³ - 1, got -1"):
        DenseMLP(**MLP).with_links(-1)


MLP_ERRORS = [
    ({"width": 0}, "DenseMLP: width should be greater than or equal to 1, got 0"),
    ({"width": 2.5}, r"width should be a valid integer, got 2\.5"),
    ({"width": 8.0}, r"width should be a valid integer, got 8\.0"),
    ({"width": True}, "width should be a valid integer, got True"),
    ({"width": "8"}, "width should be a valid integer, got '8'"),
    ({"width": float("nan")}, "width should be a valid integer, got nan"),
    ({"width": 2_000_000}, "width .*1000000.*got 2000000"),
    ({"depth": 1}, "depth should be greater than or equal to 2, got 1"),
    ({"max_skips": -1}, "max_skips should be greater than or equal to 0, got -1"),
    ({"in_features": 0}, "in_features should be greater than or equal to 1, got 0"),
    ({"num_classes": 0}, "num_classes should be greater than or equal to 1, got 0"),
    ({"activation": "gelu"}, "activation should be 'elu', 'relu', 'selu', 'tanh' or 'linear', got 'gelu'"),
    ({"family": "DenseCNN"}, "family should be 'DenseMLP', got 'DenseCNN'"),
    ({"widht": 8}, "widht .*not permitted, got 8"),
    ({"integer": 8}, "integer .*not permitted, got 8"),
    ({"links": 5}, "links should be a valid tuple, got 5"),
    ({"links": []}, "links must list 1 cells, got 0"),
    ({"links": [[[]]]}, r"links\[0\] must list 16 layers \(the depth\), got 1"),
]
CNN_ERRORS = [
    ({"widths": ()}, "DenseCNN: widths .*at least 1 item.*"),
    ({"widths": 8}, "widths should be a valid tuple, got 8"),
    ({"widths": (8, 16.5)}, r"widths\.1 should be a valid integer, got 16\.5"),
    ({"widths": (8, 0)}, r"widths\.1 should be greater than or equal to 1, got 0"),
    ({"depth": 0}, "depth should be greater than or equal to 1, got 0"),
    ({"depth": (3, 0)}, r"depth.* should be greater than or equal to 1, got 0"),
    ({"depth": (3, 4, 5)}, r"depth must have one entry per cell \(2\), got 3"),
    ({"max_skips": (1,)}, r"max_skips must have one entry per cell \(2\), got 1"),
    ({"max_skips": -1}, "max_skips.* should be greater than or equal to 0, got -1"),
    ({"max_skips": True}, "max_skips should be a valid integer, got True"),
    ({"conv": "dilated"}, "conv should be 'regular' or 'separable', got 'dilated'"),
    ({"image_size": 0}, "image_size should be greater than or equal to 1, got 0"),
]


@pytest.mark.parametrize(("change", "message"), MLP_ERRORS)
def test_mlps_out_of_range_are_refused(change, message):
    with pytest.raises(SpecificationError, match=message):
        DenseMLP(**MLP | change)


@pytest.mark.parametrize(("change", "message"), CNN_ERRORS)
def test_cnns_out_of_range_are_refused(change, message):
    with pytest.raises(SpecificationError, match=message):
        DenseCNN(**CNN | change)


def test_what_is_missing_is_named_and_all_problems_are_told():
    with pytest.raises(SpecificationError, match=r"^DenseMLP: width should be .*got 0; max_skips is missing$"):
        DenseMLP(width=0, depth=5)

import json

import pytest

from nnmass import DenseMLP, expected_isometry, isometry, load_data
from nnmass.errors import DataError, StoreError
from nnmass.experiments import evenly_spread, isometry_cnn, isometry_mlp, measure_rows
from nnmass.experiments import isometry as experiment
from nnmass.experiments import isometry_rows as rows_module


@pytest.fixture
def plan():
    return [
        (DenseMLP(width=4, depth=depth, max_skips=5, in_features=64, num_classes=10), init)
        for init in ("default", "he")
        for depth in (5, 7)
    ]


@pytest.fixture
def inputs():
    return evenly_spread(load_data("digits"), 6)


def test_rows_are_what_is_measured_and_expected(plan, inputs, tmp_path):
    row = measure_rows(plan, inputs, tmp_path / "rows.json", initialisations=3)[3]
    spec, init = plan[3]
    found = isometry(spec, inputs, initialisations=3, init=init)
    theory = expected_isometry(spec, init, input_mean_square=float(inputs.double().square().mean()))
    assert (row.init, row.depth, row.nn_mass, row.params) == ("he", 7, spec.nn_mass, spec.params)
    assert row.degree == spec.cells[0].average_degree
    assert (row.mean, row.standard_error, row.all_mean) == (found.mean, found.standard_error, found.all_mean)
    assert (row.expected, row.short_form) == (theory.mean, theory.short_form)


def test_what_the_file_has_is_not_measured_again(plan, inputs, tmp_path, monkeypatch):
    path = tmp_path / "rows.json"
    told = []
    first = measure_rows(plan[:2], inputs, path, initialisations=2, progress=lambda *done: told.append(done))
    assert told == [(0, 2), (1, 2), (2, 2)]
    measured = []
    original = rows_module.isometry

    def counted(spec, *args, **options):
        measured.append(spec)
        return original(spec, *args, **options)

    monkeypatch.setattr(rows_module, "isometry", counted)
    again = measure_rows(plan, inputs, path, initialisations=2)
    assert again[:2] == first
    assert measured == [spec for spec, _ in plan[2:]]
    measure_rows(plan[:1], inputs, path, initialisations=3)
    assert measured[-1] == plan[0][0]
    assert len(json.loads(path.read_text())) == 5


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": {"mean": 1}}', '{"a": 3}'])
def test_another_file_is_not_touched(plan, inputs, tmp_path, content):
    path = tmp_path / "rows.json"
    path.write_text(content)
    with pytest.raises(StoreError, match=r"rows\.json does not hold rows of measured isometry .*; move it away"):
        measure_rows(plan, inputs, path, initialisations=2)
    assert path.read_text() == content


def test_inputs_are_spread_over_the_training_part():
    data = load_data("digits")
    found = evenly_spread(data, 3)
    for picked, position in zip(found, (0, 628, 1256), strict=True):
        assert (picked.numpy() == data.train.inputs[position]).all()
    assert len(evenly_spread(data, 10_000)) == len(data.train)


def test_the_mlp_grid(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "MLP_DEPTHS", (5, 8))
    monkeypatch.setattr(experiment, "MLP_SKIPS", (2, 6, 12))
    monkeypatch.setattr(experiment, "MLP_CONDITIONS", (("gaussian:0.3", "linear"), ("default", "elu")))
    found = isometry_mlp(load_data("digits"), tmp_path / "rows.json", initialisations=2)
    assert [condition.name for condition in found.conditions] == ["gaussian:0.3, linear", "default, elu"]
    assert [len(condition.rows) for condition in found.conditions] == [6, 6]
    assert found.to_dict()["inputs"] == 64


def test_cnns_share_their_mass_among_cells(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "CNN_DEPTHS", (4, 6))
    monkeypatch.setattr(experiment, "CNN_WIDTHS", (4, 8))
    monkeypatch.setattr(experiment, "CNN_MASSES", (10, 20, 30))
    monkeypatch.setattr(experiment, "CNN_INITS", ("default",))
    found = isometry_cnn(load_data("digits"), tmp_path / "rows.json", initialisations=2)
    (condition,) = found.conditions
    assert [(row.depth, round(row.nn_mass, -1)) for row in condition.rows] == [
        (depth, mass) for mass in (10, 20, 30) for depth in (4, 6)
    ]


def test_cnns_need_square_images(tmp_path):
    with pytest.raises(DataError, match=r"linear: a DenseCNN reads square images, got inputs of shape \(2,\)"):
        isometry_cnn(load_data("linear"), tmp_path / "rows.json")

import json
import re

import pytest

from nnmass import DenseCNN, DenseMLP

QUICK = ["--inputs", "8", "--initialisations", "2"]


@pytest.fixture
def spec(tmp_path):
    return str(DenseMLP(width=4, depth=6, max_skips=5, in_features=64, num_classes=10).to_json(tmp_path / "mlp.json"))


def test_layers_flags_and_mends_are_shown(nnmass, spec, tmp_path):
    code, out, _ = nnmass(
        "isometry", spec, "--data", "digits", *QUICK, "--out", tmp_path / "out", "--plot", tmp_path / "a.svg"
    )
    assert code == 0
    for text in ("layers.5", "Hidden layers: mean singular value", "theory expects", "What would bring it closer to 1"):
        assert text in out
    assert (tmp_path / "out" / "report.html").exists()
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_json_holds_measured_expected_and_mends(nnmass, spec):
    code, out, _ = nnmass("isometry", spec, *QUICK, "--init", "gaussian:0.3", "--seed", "3", "--json")
    assert code == 0
    values = json.loads(out)
    assert values["measured"]["init"] == "gaussian:0.3"
    assert values["measured"]["mean"] == pytest.approx(values["expected"]["mean"], rel=0.3)
    assert values["mends"][0]["change"]
    assert values["provenance"]["seed"] == 3


def test_where_theory_is_silent_it_says_so(nnmass, tmp_path):
    separable = DenseCNN(widths=(3,), depth=3, max_skips=2, image_size=6, in_channels=1, conv="separable")
    code, out, _ = nnmass("isometry", separable.to_json(tmp_path / "cnn.json"), *QUICK)
    assert code == 0
    assert "No theory: " in out
    assert "cells.0.layers.2" in out
    assert "Not measured: model: adaptive_avg_pool2d mixes positions" in out


def test_steps_and_probes_are_those_of_lanczos(nnmass, tmp_path):
    spec = DenseCNN(widths=(8,), depth=3, max_skips=2, image_size=8, in_channels=1).to_json(tmp_path / "cnn.json")
    code, out, _ = nnmass("isometry", spec, *QUICK, "--steps", "4", "--probes", "3", "--json")
    assert code == 0
    layers = json.loads(out)["measured"]["layers"]
    assert [layer["layer_forwards"] for layer in layers if layer["method"] == "lanczos"] == [2 * 4 * 3] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--init", "xavier"], "initialisation must be one of"),
        (["--init", "gaussian"], 'write "gaussian:0.35"'),
        (["--inputs", "0"], "--inputs"),
        (["--initialisations", "0"], "--initialisations"),
        (["--plot", "a.gif"], "pictures end in .pdf, .png, .svg, got '.gif'"),
        (["--data", "nowhere"], "data 'nowhere' is neither"),
        (["--init", "gaussian:1e300"], "must lie from 1e-15 to 1e+15, got 1e+300"),
        (["--init", "gaussian:1e-300"], "must lie from 1e-15 to 1e+15, got 1e-300"),
        (["--init", "gaussian:1e14"], "must be finite, got NaN or infinity"),
        (["--inputs", "1000000000"], "1,000,000,000 inputs of DenseMLP: needs"),
        (["--data", "digits", "--inputs", "5000"], "--inputs asks for 5,000 inputs, but digits has 1,257 to train on"),
        (["--segments", "5"], "--segments needs --data"),
        (["--data", "digits", "--segments", "5"], "--segments is for linear and circle, not for digits"),
        (["--data-root", "."], "--data-root needs --data"),
        (["--data", "digits", "--data-root", "."], "--data-root is for data in files; digits needs none"),
        (["--steps", "5"], "--steps is not used: no layer of this network needs Lanczos quadrature"),
        (["--probes", "5"], "--probes is not used: no layer of this network needs Lanczos quadrature"),
        (["--data", "linear"], "linear: its inputs have the shape (2,), but the specification reads 64 values"),
    ],
)
def test_mistakes_are_one_line(nnmass, spec, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = nnmass("isometry", spec, *QUICK, *arguments)
    assert code in (1, 2)
    assert message in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_a_missing_specification_is_one_line(nnmass, tmp_path):
    code, _, err = nnmass("isometry", tmp_path / "none.json")
    assert code == 1
    assert "none.json" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("experiment", ["isometry-mlp", "isometry-cnn"])
def test_reproduce(nnmass, tmp_path, experiment, monkeypatch):
    from nnmass.experiments import isometry

    monkeypatch.setattr(isometry, "MLP_DEPTHS", (4, 6))
    monkeypatch.setattr(isometry, "MLP_SKIPS", (1, 3, 8))
    monkeypatch.setattr(isometry, "MLP_CONDITIONS", (("default", "elu"),))
    monkeypatch.setattr(isometry, "CNN_DEPTHS", (4, 5))
    monkeypatch.setattr(isometry, "CNN_WIDTHS", (4, 5))
    monkeypatch.setattr(isometry, "CNN_MASSES", (4, 8, 12))
    monkeypatch.setattr(isometry, "CNN_INITS", ("he",))
    code, out, _ = nnmass("reproduce", experiment, "--data", "digits", "--seeds", "2", "--out", tmp_path)
    assert code == 0
    assert "R² of a cubic" in out
    summary = json.loads((tmp_path / "summary.json").read_text())
    (condition,) = summary["conditions"].values()
    assert condition["networks"] == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["isometry.png", "rows.json", "summary.json"]


@pytest.mark.parametrize("option", ["--probes", "--steps"])
def test_what_no_layer_needs_is_refused_before_measuring(nnmass, spec, monkeypatch, option):
    from nnmass import propagation

    monkeypatch.setattr(propagation, "isometry", lambda *_, **__: pytest.fail("measured"))
    code, _, err = nnmass("isometry", spec, option, "20")
    assert code == 2
    assert f"{option} is not used: no layer of this network needs Lanczos quadrature" in err


def test_a_model_of_a_file_is_measured_as_it_is(nnmass, models, tmp_path):
    source = (f"{models}:Net", "--input-size", "1,8")
    result = nnmass("isometry", *source, "--out", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    values = result.json()
    assert [layer["name"] for layer in values["measured"]["layers"]] == ["a", "b", "c"]
    assert (values["model"], values["expected"]) == (source[0], None)
    assert (tmp_path / "out" / "report.html").exists()
    shown = nnmass("isometry", *source)
    assert "measured as it is, 64 random inputs" in shown.out
    assert "No theory: the model is measured as it is" in shown.out
    assert "made" not in shown.out


def test_a_model_without_a_layer_to_measure_is_one_line(nnmass, tmp_path):
    (tmp_path / "m.py").write_text("from torch import nn\nnet = nn.GRU(8, 4)\n")
    for option in ((), ("--steps", 5)):
        result = nnmass("isometry", f"{tmp_path / 'm.py'}:net", "--input-size", "2,3,8", *option)
        assert result.code in (1, 2)
        assert result.err.count("\n") == 1
        assert "has no layer that can be measured" in result.err or "no layer of this network needs" in result.err


def test_a_model_reads_data_of_its_own_size(nnmass, tmp_path):
    (tmp_path / "m.py").write_text(
        "from torch import nn\nnet = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 3))\n"
    )
    result = nnmass("isometry", f"{tmp_path / 'm.py'}:net", "--data", "digits", "--inputs", 5)
    assert result.code == 0, result.err
    assert "5 inputs of digits" in result.out
    refused = nnmass("isometry", f"{tmp_path / 'm.py'}:net", "--data", "digits", "--input-size", "1,1,9,9")
    assert refused.code == 2
    assert "the inputs of digits are 1,8,8: leave it out" in refused.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--initialisations", 3), "--initialisations is for weights that are drawn"),
        (("--init", "he"), "--init is for weights that are drawn"),
        (("--input-size", "1,8"), "takes 1 input .x., got sizes of 2"),
    ],
)
def test_what_a_model_does_not_use_is_refused(nnmass, models, options, message):
    result = nnmass("isometry", f"{models}:Net", "--input-size", "1,8", *options)
    assert result.code in (1, 2)
    assert re.search(message, result.err)

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from nnmass import CifarResNet, DenseCNN, ResNet, WideResNet, load_spec
from nnmass.sweeps import RunStore

QUICK = ("--epochs", 1, "--workers", 1)


def test_analyze_shows_cells_and_totals(nnmass, reference):
    result = nnmass("analyze", reference)
    assert result.code == 0
    values = nnmass("analyze", reference, "--json").json()
    spec = load_spec(reference)
    assert values["nn_mass"] == spec.nn_mass
    assert values["flops"] == 2 * spec.macs
    assert values["cells"][0]["density"] == spec.cells[0].density


def test_analyze_leaves_an_undefined_density_open(nnmass, tmp_path):
    path = DenseCNN(widths=(4, 8), depth=(2, 5), max_skips=3).to_json(tmp_path / "shallow.json")
    values = nnmass("analyze", path, "--json").json()
    assert values["cells"][0]["density"] is None
    assert nnmass("analyze", path).code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file|No such file"),
        ("{", "not JSON"),
        ("[]", "must be a JSON object, got list"),
        (
            '{"family": "Transformer"}',
            "family must be one of DenseMLP, .*, got 'Transformer'",
        ),
        ('{"family": "DenseMLP", "width": -1, "depth": 0, "max_skips": 1}', "width should be greater than .* got -1"),
        (
            '{"family": "DenseMLP", "width": 2.5, "depth": 4, "max_skips": 1}',
            "width should be a valid integer, got 2.5",
        ),
    ],
)
def test_a_file_that_is_no_specification_is_one_line(nnmass, tmp_path, content, message):
    path = tmp_path / "spec.json"
    if content is not None:
        path.write_text(content)
    result = nnmass("analyze", path)
    assert result.code == 1
    assert re.search(message, result.err)
    assert str(path) in result.err
    assert result.err.count("\n") == 1


def test_train_writes_what_it_learned(nnmass, reference, tmp_path):
    values = nnmass("train", reference, "--out", tmp_path / "run", "--epochs", 2, "--seed", 3, "--json").json()
    assert values["seed"] == 3
    assert len(values["train_loss"]) == 2
    assert values == json.loads((tmp_path / "run" / "result.json").read_text())
    assert load_spec(tmp_path / "run" / "spec.json").links is not None
    assert (tmp_path / "run" / "weights.safetensors").exists()


def test_sweep_and_fit(nnmass, reference, tmp_path):
    store, table, plot = tmp_path / "runs.sqlite", tmp_path / "runs.csv", tmp_path / "fit.svg"
    vary = ("--vary", "depth=6,8,10", "--vary", "max_skips=2,4,8")
    swept = nnmass(
        "sweep", "--base", reference, "--store", store, *vary, "--seeds", 2, *QUICK, "--export", table, "--json"
    )
    assert swept.code == 0, swept.err
    assert swept.json()["runs"] == 18
    assert len(table.read_text().splitlines()) == 19
    fitted = nnmass("fit", store, "--predict", 10, "--plot", plot, "--json").json()
    assert fitted["networks"] == 9
    assert fitted["predictions"][0]["low"] < fitted["predictions"][0]["high"]
    assert plot.read_text().startswith("<?xml")
    assert "log NN-Mass" in nnmass("fit", store).out


def test_fit_takes_one_kind_of_network(nnmass, mixed_store):
    refused = nnmass("fit", mixed_store)
    assert refused.code == 1
    assert "these networks are not alike: they have width 8 or 9. A line holds for one kind" in refused.err
    assert refused.err.count("\n") == 1
    for only in (("--only", "width=8"), ("--only", "width=9", "--only", "data=digits", "--data", "digits")):
        fitted = nnmass("fit", mixed_store, *only, "--predict", 30, "--json").json()
        assert fitted["networks"] == 8
        assert fitted["holds_for"]["traits"]["width"] == int(only[1][-1])
        assert fitted["predictions"][0]["high"] <= 1
    assert "Holds for DenseMLPs of width 8" in nnmass("fit", mixed_store, "--only", "width=8").out


@pytest.mark.parametrize(
    ("only", "code", "message"),
    [
        ("width", 2, "Invalid value for '?--only'?: 'width' is not KEY=VALUE"),
        ("width=", 2, "'width=' is not KEY=VALUE"),
        ("width=7", 1, "no run has width 7, but 8; 9"),
        ("epochs=[1", 1, r"no run has epochs \[1, but 3"),
        ("weight=7", 1, "weight: no run has it, in its specification or its training"),
    ],
)
def test_a_choice_of_runs_that_is_none_is_one_line(nnmass, mixed_store, only, code, message):
    result = nnmass("fit", mixed_store, "--only", only)
    assert result.code == code
    assert re.search(message, result.err)
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("--level", v) for v in ("1.5", "1", "0", "-1", "nan", "x")]
    + [("--predict", v) for v in ("0", "-3", "nan", "inf")],
)
def test_numbers_that_a_prediction_cannot_have_are_one_line(nnmass, mixed_store, option, value):
    result = nnmass("fit", mixed_store, "--only", "width=8", "--predict", 30, option, value)
    assert result.code == 2
    assert re.search(f"{option}.*must be a number above 0 and .*, got '{value}'", result.err)
    assert result.err.count("\n") == 1


def test_fit_refuses_to_extrapolate_unless_told(nnmass, reference, tmp_path):
    store = tmp_path / "runs.sqlite"
    nnmass("sweep", "--base", reference, "--store", store, "--vary", "max_skips=2,4,8,16", "--seeds", 1, *QUICK)
    refused = nnmass("fit", store, "--predict", 5000)
    assert refused.code == 1
    assert "lies too far outside the 4 fitted networks" in refused.err
    assert nnmass("fit", store, "--predict", 5000, "--extrapolate").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("sweep", "--vary", "depth"), 2, "'depth' is not KEY=VALUE"),
        (("sweep", "--vary", "colour=1,2"), 1, "colour extra inputs are not permitted"),
        (("sweep", "--vary", "depth=0"), 1, "depth should be greater than or equal to 2, got 0"),
        (("sweep", "--export", "runs.xlsx"), 2, "must end in .csv or .parquet"),
        (("sweep", "--seeds", "0"), 2, "--seeds"),
    ],
)
def test_a_mistake_in_a_sweep_is_one_clear_line(nnmass, reference, tmp_path, arguments, code, message):
    command, *rest = arguments
    result = nnmass(command, "--base", reference, "--store", tmp_path / "runs.sqlite", *rest)
    assert result.code == code
    assert message in " ".join(result.err.replace("│", " ").split())


def test_fit_names_a_store_that_is_missing_or_empty(nnmass, tmp_path):
    assert "no such run store" in nnmass("fit", tmp_path / "none.sqlite").err
    RunStore(tmp_path / "empty.sqlite")
    assert "no finished runs among 0" in nnmass("fit", tmp_path / "empty.sqlite").err


@pytest.mark.parametrize("experiment", ["mlp-accuracy", "mlp-compression"])
def test_reproduce_writes_runs_summary_and_picture(nnmass, tmp_path, experiment):
    out = tmp_path / "out"
    result = nnmass("reproduce", experiment, "--seeds", 2, *QUICK, "--out", out, "--json")
    assert result.code == 0, result.err
    assert result.json()["provenance"]["command"]
    assert {"runs.csv", "summary.json"} < {path.name for path in out.iterdir()}
    assert len(list(out.glob("*.png"))) == 1


def test_without_a_command_the_commands_are_listed(nnmass):
    assert nnmass().out == nnmass("--help").out


def test_every_command_has_help_with_an_example(nnmass):
    listed = nnmass("--help").out
    for command in ("analyze", "rank", "isometry", "compress", "train", "sweep", "fit", "reproduce"):
        assert command in listed
        assert "Example: nnmass" in nnmass(command, "--help").out


def test_ctrl_c_in_a_sweep_keeps_what_is_finished_and_says_how_to_go_on(reference, tmp_path):
    store = tmp_path / "runs.sqlite"
    command = [sys.executable, "-m", "nnmass", "sweep", "--base", str(reference), "--store", str(store)]
    command += ["--vary", "max_skips=2,4", "--seeds", "6", "--epochs", "12", "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if store.exists() and len(RunStore(store).runs()) >= 2:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    kept = f"{store} keeps the runs that are finished, and the same command goes on from there"
    assert err.splitlines()[-1] == f"nnmass: interrupted; {kept}"
    assert "Traceback" not in err
    kept = len(RunStore(store).runs())
    assert 2 <= kept < 12
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert len(RunStore(store).runs()) == 12


def test_residual_networks_are_analysed_block_by_block(nnmass, tmp_path):
    path = ResNet.of_depth(18).to_json(tmp_path / "resnet18.json")
    found = nnmass("analyze", path, "--json").json()
    assert (found["nn_mass"], found["params"]) == (3392.0, 11_689_512)
    expected = {"widths": [64, 128, 128], "depth": 2, "num_skips": 64, "density": 1.0, "nn_mass": 192.0}
    assert found["cells"][2] == expected
    shown = nnmass("analyze", path)
    assert "64 128 128" in shown.out
    assert "NN-Mass 3392.0000, 11,689,512 params" in shown.out


RESIDUAL = [
    ResNet(block="basic", layers=(1,), image_size=8, num_classes=2),
    CifarResNet(layers=(1, 1), widths=(4, 8), image_size=8),
    WideResNet(depth=10, widen_factor=1, image_size=8),
]


@pytest.mark.parametrize("spec", RESIDUAL, ids=lambda spec: spec.family)
def test_the_cheapest_of_its_mass_says_so(nnmass, tmp_path, spec):
    path = spec.to_json(tmp_path / "spec.json")
    refused = nnmass("compress", path, "--keep-macs", "0.5", "--out", tmp_path / "out")
    assert (refused.code, refused.out) == (1, "")
    assert f"the cheapest has {spec.params:,} params and {spec.macs:,} macs" in refused.err


@pytest.mark.parametrize("spec", RESIDUAL, ids=lambda spec: spec.family)
def test_no_theory_and_no_mends_for_residual_networks(nnmass, tmp_path, spec):
    path = spec.to_json(tmp_path / "small.json")
    shown = nnmass("isometry", path, "--inputs", "4", "--initialisations", "2")
    assert shown.code == 0
    assert f"No theory: the theory covers DenseMLP and DenseCNN, got {spec.family}" in shown.out


RECIPE = {"warmup_epochs": 0.5, "label_smoothing": 0.1, "ema": 0.9, "optimizer": "sgd"}


def test_a_recipe_says_how_to_train(nnmass, reference, tmp_path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(RECIPE))
    out = tmp_path / "out"
    arguments = ("train", reference, "--data", "digits", "--epochs", 1, "--recipe", recipe, "--optimizer", "adam")
    result = nnmass(*arguments, "--tensorboard", "--device", "cpu", "--out", out, "--json")
    assert result.code == 0, result.err
    training = result.json()["training"]
    assert {name: training[name] for name in RECIPE} == {**RECIPE, "optimizer": "adam"}
    assert {path.name for path in out.iterdir()} >= {"metrics.jsonl", "tensorboard", "checkpoint.safetensors"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "recipe.json: cannot be read as JSON (No such file or directory)"),
        ("{", "recipe.json: cannot be read as JSON"),
        ("[1]", "recipe.json: must hold an object, got list"),
        ('{"warmup": 1}', "training: warmup extra inputs are not permitted, got 1"),
    ],
)
def test_a_recipe_that_is_none(nnmass, reference, tmp_path, content, message):
    recipe = tmp_path / "recipe.json"
    if content is not None:
        recipe.write_text(content)
    result = nnmass("train", reference, "--recipe", recipe, "--out", tmp_path / "out")
    assert result.code in (1, 2)
    assert message in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--address", "here:1"), 2, "--address only works with --engine ray"),
        (("--gpus-per-trial", "0.5"), 2, "--gpus-per-trial only works with --engine ray"),
        (("--engine", "ray", "--cpus-per-trial", "0"), 2, "must be a whole number from 1 to 1,024, got '0'"),
        (
            ("--engine", "ray", "--address", "127.0.0.1:1"),
            1,
            "no Ray cluster answers at '127.0.0.1:1' (Connection refused",
        ),
        (("--engine", "slurm"), 2, "'slurm' is not one of"),
    ],
)
def test_a_cluster_that_is_none(nnmass, reference, tmp_path, arguments, code, message):
    result = nnmass("sweep", "--base", reference, "--store", tmp_path / "s", "--epochs", 1, *arguments)
    assert (result.code, message in " ".join(result.err.split())) == (code, True), result.err
    assert result.err.count("\n") == 1

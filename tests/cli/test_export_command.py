import os
import pickle
import re
import struct

import pytest

from nnmass import DenseMLP
from nnmass.training import save_weights

SPEC = DenseMLP(width=4, depth=5, max_skips=3, in_features=6)


@pytest.fixture
def path(tmp_path):
    return SPEC.to_json(tmp_path / "spec.json")


def test_a_network_is_written_in_every_form(nnmass, path, tmp_path):
    save_weights(SPEC.build(seed=4), tmp_path / "w.safetensors")
    result = nnmass("export", path, "--weights", tmp_path / "w.safetensors", "--to", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    files = result.json()["files"]
    assert {row["file"] for row in files.values()} == {file.name for file in (tmp_path / "out").iterdir()}
    assert files["onnx"]["deviation"] <= 1e-4


def test_formats_may_be_chosen_and_are_listed(nnmass, path, tmp_path):
    result = nnmass("export", path, "--to", tmp_path / "out", "--format", "code,json", "--format", "safetensors")
    assert result.code == 0, result.err
    assert "weights: drawn from seed 0" in result.out
    assert len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nowhere.json",), 1, "nowhere.json: cannot be read as a specification"),
        (("SPEC", "--format", "tflite"), 1, "formats must be among json, .* got 'tflite'"),
        (("SPEC", "--weights", "nowhere"), 1, "nowhere: cannot be read"),
        (("SPEC", "--seed", "-1"), 2, "--seed"),
        (("SPEC", "--to", "SPEC/below"), 1, "cannot write to .*/below: not a directory"),
        ((), 2, "Missing argument"),
    ],
)
def test_a_mistake_is_one_clear_line(nnmass, path, tmp_path, arguments, code, message):
    given = [str(a).replace("SPEC", str(path)) for a in arguments]
    if "--to" not in given:
        given += ["--to", tmp_path / "out"]
    result = nnmass("export", *given)
    assert result.code == code
    assert re.search(message, " ".join(result.err.replace("│", " ").split()))
    assert result.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_seed_beside_weights_is_refused(nnmass, reference, tmp_path):
    done = nnmass("export", reference, "--weights", tmp_path / "w.safetensors", "--seed", 3, "--to", tmp_path)
    assert done.code == 2
    assert done.err == "nnmass: --seed draws weights, and --weights gives them\n"


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "text", "header", "pickle"])
def test_weights_that_are_none_are_one_line(nnmass, reference, tmp_path, kind):
    path = tmp_path / "weights.safetensors"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        contents = {"text": b"no weights", "header": struct.pack("<Q", 2**63) + b"{}", "pickle": pickle.dumps({})}
        path.write_bytes(contents[kind])
    done = nnmass("export", reference, "--weights", path, "--to", tmp_path / "out")
    assert done.code == 1
    assert done.err.count("\n") == 1
    said = "cannot be read (is a" if kind in ("folder", "pipe", "device") else "not the weights of this network"
    assert f"weights.safetensors: {said}" in done.err


def test_a_model_of_a_file_is_written_with_its_weights(nnmass, models, tmp_path):
    result = nnmass("export", f"{models}:Net", "--input-size", "1,8", "--to", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    values = result.json()
    assert set(values["files"]) == {"safetensors", "onnx", "pt2"}
    assert {row["file"] for row in values["files"].values()} == {file.name for file in (tmp_path / "out").iterdir()}
    assert values["weights"] == "the model's own"
    again = nnmass("export", tmp_path / "out" / "network.onnx", "--format", "pt2", "--to", tmp_path / "again", "--json")
    assert again.code == 0, again.err
    assert again.json()["files"]["pt2"]["deviation"] <= 1e-4


def test_a_model_of_timm_is_the_specification_that_it_is(nnmass, tmp_path):
    chosen = ("--format", "json,code,safetensors", "--image-size", 32, "--to", tmp_path / "out", "--seed", 3)
    result = nnmass("export", "timm:mobilenetv2_035", *chosen, "--json")
    assert result.code == 0, result.err
    assert result.json()["weights"] == "drawn from seed 3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("MODELS:Net",), "does not say the size of its input: give a size"),
        (("MODELS:Net", "--input-size", "1,9"), "the forward pass fails on inputs of "),
        (("MODELS:Net", "--input-size", "1,8", "--seed", 3), "--seed draws weights, and .*:Net has its own"),
        (("MODELS:Net", "--input-size", "1,8", "--format", "json"), "a Net is a PyTorch model and no specification"),
        (("MODELS:Nut", "--input-size", "1,8"), "has no 'Nut'; it has Net"),
        (("torchvision:densenet121",), "is built without weights, and its weights cannot be drawn"),
        (("SPEC", "--input-size", "1,6"), "a specification knows the size of its input"),
        (("nowhere",), "names no model: expected .*FILE.json"),
    ],
)
def test_models_that_cannot_be_written_are_one_line(nnmass, models, path, tmp_path, arguments, message):
    given = [str(a).replace("SPEC", str(path)).replace("MODELS", str(models)) for a in arguments]
    result = nnmass("export", *given, "--to", tmp_path / "out")
    assert result.code in (1, 2)
    assert re.search(message, result.err)
    assert result.err.replace("made\n", "").count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_commands_of_specifications_say_so(nnmass, models, tmp_path, command):
    source = f"{models}:Net"
    more = {"train": (source,), "sweep": ("--base", source, "--store", tmp_path / "s.sqlite")}
    result = nnmass(command, *more[command])
    assert result.code == 1
    assert "names a PyTorch model, and a specification is needed here: FILE.json or example:NAME" in result.err

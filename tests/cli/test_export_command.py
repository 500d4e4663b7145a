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

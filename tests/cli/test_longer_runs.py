"""Runs, stores and folders that are used again for more."""

import json

import pytest

from nnmass.architectures import DenseCNN
from nnmass.sweeps import RunStore


def test_a_finished_run_is_extended_in_its_folder(nnmass, reference, tmp_path):
    extended, whole = tmp_path / "extended", tmp_path / "whole"
    assert nnmass("train", reference, "--epochs", 2, "--out", extended).code == 0
    assert nnmass("train", reference, "--epochs", 4, "--out", extended).code == 0
    assert nnmass("train", reference, "--epochs", 4, "--out", whole).code == 0
    for name in ("weights.safetensors", "spec.json"):
        assert (extended / name).read_bytes() == (whole / name).read_bytes()
    results = [json.loads((folder / "result.json").read_text()) for folder in (extended, whole)]
    assert results[0] | {"provenance": None} == results[1] | {"provenance": None}
    epochs = [json.loads(line)["epoch"] for line in (extended / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2, 3, 4]


def test_a_run_that_cannot_be_extended_says_why_and_what_can_be_done(nnmass, tmp_path):
    path = DenseCNN(widths=(2,), depth=3, max_skips=1, image_size=8, in_channels=1).to_json(tmp_path / "cnn.json")
    out = tmp_path / "out"
    assert nnmass("train", path, "--epochs", 1, "--out", out).code == 0
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    refused = nnmass("train", path, "--epochs", 2, "--out", out)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        f"nnmass: {out}/checkpoint.safetensors: belongs to a run of 1 epoch, which the schedule cosine trains at other "
        "learning rates than one of 2 epochs; remove it to start afresh, or keep this run elsewhere (with the schedule "
        "constant a run can be extended)\n"
    )
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


@pytest.mark.parametrize(
    ("more", "runs"),
    [
        (("--seeds", 3), 6),
        (("--vary", "max_skips=2,4,6"), 6),
        (("--epochs", 2), 8),
        (("--vary", "max_skips=2"), 4),
    ],
    ids=str,
)
def test_a_store_takes_more(nnmass, reference, tmp_path, more, runs):
    store = tmp_path / "runs.sqlite"
    sweep = ("sweep", "--base", reference, "--store", store, "--workers", 1)
    asked = {"--vary": "max_skips=2,4", "--seeds": 2, "--epochs": 1}

    def arguments(options):
        return [text for option in options.items() for text in option]

    assert nnmass(*sweep, *arguments(asked)).code == 0
    before = RunStore(store).runs()
    assert len(before) == 4
    again = nnmass(*sweep, *arguments(asked | {more[0]: more[1]}), "--json").json()
    assert RunStore(store).runs()[:4] == before
    assert len(RunStore(store).runs()) == runs
    assert set(again["keys"]) <= {run.key for run in RunStore(store).runs()}


def test_a_folder_of_compress_takes_other_budgets_and_epochs(nnmass, tmp_path):
    path = DenseCNN(widths=(4,), depth=12, max_skips=8, image_size=8, in_channels=1).to_json(tmp_path / "cnn.json")
    out = tmp_path / "out"
    options = ("compress", path, "--data", "digits", "--verify", "--seeds", 2, "--workers", 1, "--out", out)
    for further in (("--keep-macs", 0.8, "--epochs", 1), ("--keep-macs", 0.8, "--epochs", 2)):
        assert nnmass(*options, *further).code == 0
    runs = RunStore(out / "runs.sqlite").runs()
    assert len(runs) == 8
    again = nnmass(*options, "--keep-macs", 0.8, "--epochs", 1, "--json")
    assert again.code == 0
    assert again.json()["verification"]["seeds"] == 2
    assert nnmass(*options, "--keep-macs", 0.95, "--epochs", 1).code == 0
    assert RunStore(out / "runs.sqlite").runs()[:8] == runs

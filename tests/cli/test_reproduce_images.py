import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nnmass.experiments import STUDIES

PICTURES = {"accuracy.png", "convergence.png", "difference.png"}


@pytest.mark.parametrize("name", STUDIES)
def test_every_experiment_runs_as_a_try_out(nnmass, tmp_path, name):
    workers = () if name.startswith("isometry") else ("--workers", 1)
    result = nnmass("reproduce", name, "--scale", "smoke", "--out", tmp_path, *workers, "--json")
    assert result.code == 0, result.err
    values = result.json()
    written = {path.name for path in tmp_path.iterdir()}
    assert {"runs.sqlite", "runs.csv", "summary.json"} <= written
    assert len(written & PICTURES) == 1
    assert values == json.loads((tmp_path / "summary.json").read_text())
    assert values["scale"] == "smoke"
    assert values["data"].startswith("digits, ")
    assert values["verdict"]


@pytest.mark.parametrize("name", ["mlp-accuracy", "mlp-compression", "convergence", "isometry-mlp", "isometry-cnn"])
def test_the_other_experiments_have_a_try_out_too(nnmass, tmp_path, name):
    workers = () if name.startswith("isometry") else ("--workers", 1)
    result = nnmass("reproduce", name, "--scale", "smoke", "--out", tmp_path, *workers, "--json")
    assert result.code == 0, result.err
    assert [path.name for path in tmp_path.glob("*.png")]
    assert result.json() == json.loads((tmp_path / "summary.json").read_text())


def test_imagenet_is_streamed_at_full_scale(nnmass, tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 4)):
        for i in range(count):
            path = tmp_path / "imagenet" / part / ("cat", "dog")[i % 2] / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(256, size=(80, 70, 3)).astype(np.uint8)).save(path)
    arguments = ("mobilenet-imagenet", "--scale", "full", "--data-root", tmp_path, "--epochs", 1, "--workers", 1)
    result = nnmass("reproduce", *arguments, "--out", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    values = result.json()
    assert values["data"] == "imagenet (imagenet)"
    assert values["training"]["augment"] == "none"
    assert 0.6 < values["compressions"][0]["table"]["ratio"]["macs"] <= 0.66
    missing = nnmass("reproduce", *arguments[:3], "--data-root", tmp_path / "none", "--out", tmp_path / "other")
    assert missing.code == 1
    assert missing.err.startswith("nnmass: imagenet: no such folder; put it below $NNMASS_DATA as train/CLASS/*.jpg")
    assert missing.err.count("\n") == 1


@pytest.mark.parametrize(("folder", "form", "said"), [("my-jpeg", "jpg", False), ("cifar10", "jpg", True)])
def test_a_jpeg_copy_of_cifar_is_said_to_be_one(nnmass, tmp_path, folder, form, said):
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(60):
        stream = io.BytesIO()
        Image.fromarray(rng.integers(256, size=(8, 8, 3)).astype(np.uint8)).save(stream, "JPEG")
        rows.append({"bytes": stream.getvalue(), "path": None})
    (tmp_path / folder).mkdir()
    for part in ("train", "test"):
        pq.write_table(
            pa.table({"img": rows, "label": [i % 10 for i in range(60)]}), tmp_path / folder / f"{part}.parquet"
        )
    arguments = ("compress-cifar10", "--scale", "smoke", "--data", folder, "--data-root", tmp_path, "--workers", 1)
    result = nnmass("reproduce", *arguments, "--out", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    sentence = "The data is a JPEG re-encoding of CIFAR-10: accuracies lie somewhat below those on the original."
    assert (sentence in result.json()["verdict"]) == said
    assert ("JPEG" in (tmp_path / "out" / "summary.json").read_text()) == said


def test_the_list_says_what_each_costs(nnmass):
    rows = nnmass("reproduce", "list", "--json").json()
    assert {row["name"] for row in rows} == set(STUDIES)
    assert len(rows) == 3 * len(STUDIES)
    for name in STUDIES:
        macs = [float(row["MACs"]) for row in rows if row["name"] == name]
        assert macs == sorted(macs)
    assert all("H100 (assumed)" in row for row in rows)
    assert "cnn-cifar10" in nnmass("reproduce", "list").out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("cnn-cifar10", "--scale", "huge"), 2, "'huge' is not one of"),
        (("cnn-cifar10", "--scale", "smoke", "--data", "nowhere"), 1, "data 'nowhere' is neither one of"),
        (("cnn-cifar10", "--scale", "smoke", "--data", "linear"), 1, "linear: needs square images"),
        (("cnn-cifar100", "--scale", "full", "--data-root", "/nonexistent"), 1, "cs.toronto.edu/~kriz/cifar.html"),
        (("mobilenet-imagenet", "--scale", "small", "--data-root", "/nonexistent"), 1, "tiny-imagenet-200.zip"),
        (
            ("imagenet-published", "--scale", "smoke"),
            2,
            "--scale is for experiments that train; this one reads a table",
        ),
    ],
)
def test_a_mistake_is_one_clear_line(nnmass, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.setenv("HOME", str(tmp_path))
    result = nnmass("reproduce", *arguments, "--out", tmp_path / "out")
    assert result.code == code
    assert message in " ".join(result.err.replace("│", " ").split())
    assert result.err.count("\n") == 1

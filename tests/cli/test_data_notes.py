"""What is left out of data is one line on standard error, once."""

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    for part, count in (("train", 20), ("val", 6)):
        for i in range(count):
            path = tmp_path / "data" / part / ("cat", "dog")[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(i).integers(256, size=(12, 12, 3)).astype(np.uint8)).save(path)
    values = {"family": "DenseCNN", "widths": [8, 8, 8], "depth": 5, "max_skips": [10, 10, 10], "image_size": 12}
    (tmp_path / "spec.json").write_text(json.dumps({**values, "in_channels": 3, "num_classes": 2}))
    return tmp_path


@pytest.mark.parametrize("how", [(), ("--stream",)])
def test_what_is_left_out_is_said_once(nnmass, folder, how):
    for i in range(3):
        (folder / "data" / "train" / "cat" / f"{i}.heic").write_bytes(b"nothing")
    arguments = (
        folder / "spec.json",
        "--data",
        folder / "data",
        "--epochs",
        1,
        "--out",
        folder / "out",
        *how,
        "--json",
    )
    result = nnmass("train", *arguments, "--json")
    assert result.code == 0, result.err
    notes = [line for line in result.err.splitlines() if not line.startswith("note: training on data: 1 of 1 epochs")]
    assert notes == [f"note: {folder / 'data' / 'train'}: 3 files left out, of a kind that is not read (.heic 3)"]
    assert result.json()["data"]


@pytest.mark.parametrize("how", [(), ("--stream",)])
def test_what_is_refused_is_one_line(nnmass, folder, how):
    (folder / "data" / "train" / "cat" / "a.heic").write_bytes(b"nothing")
    (folder / "data" / "train" / "\x1b[2Jant\n").mkdir()
    arguments = (folder / "spec.json", "--data", folder / "data", "--epochs", 1, "--out", folder / "out", *how)
    result = nnmass("train", *arguments)
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert r"class folder '\x1b[2Jant\n' holds no images" in result.err

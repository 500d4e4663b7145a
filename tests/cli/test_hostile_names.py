"""Names of modules, classes, nodes and columns that would change what stands around them on a terminal or page."""

import csv
import json
import os

import numpy as np
import pytest

NAMES = [
    "[/b]",
    "[bold]loud",
    r"$\frac{$",
    "\x1b[2Jgone",
    "a\nnnmass: second line",
    "\u202eright",
    "\ud800",
    "<b>html</b>",
    "=1+1",
    "long " * 400,
]
MODEL = r"""
import torch
from torch import nn
NAME = {name!r}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.add_module(NAME, nn.Conv2d(4, 4, 3, padding=1))
        self.c = nn.Conv2d(4, 4, 3, padding=1)
        self.d = nn.Conv2d(4, 2, 1)
    def forward(self, x):
        y = self.a(x)
        return self.d(self.c(torch.relu(getattr(self, NAME)(y))) + y)
if "\ud800" not in NAME:  # Python itself allows no such class
    Net.__name__ = Net.__qualname__ = NAME
class Attention(Net):
    def forward(self, x):
        y = getattr(self, NAME)(self.a(x))
        return self.d(y * self.c(y))
Attention.__name__ = Net.__name__
def fails():
    raise ValueError(NAME)
"""


@pytest.fixture(params=NAMES, ids=lambda name: ascii(name[:9]))
def name(request):
    return request.param


@pytest.fixture
def models(tmp_path, name):
    path = tmp_path / "models.py"
    path.write_text(MODEL.format(name=name))
    return path


def shown(text: str) -> bool:
    return text.replace("\n", "").isprintable()


def test_analyze(nnmass, models, tmp_path, name):
    size = ("--input-size", "1,3,8,8")
    for kind in ("svg", "png"):
        done = nnmass("analyze", f"{models}:Net", *size, "--by-layer", "--graph", tmp_path / f"graph.{kind}")
        assert (done.code, done.err) == (0, "")
        assert shown(done.out)
    assert shown((tmp_path / "graph.svg").read_text())
    values = nnmass("analyze", f"{models}:Net", *size, "--by-layer", "--json")
    assert shown(values.out)
    assert values.json()["nn_mass"] == 8


@pytest.mark.parametrize("function", ["Attention", "fails"])
def test_what_is_refused_is_one_line(nnmass, models, function, name):
    done = nnmass("analyze", f"{models}:{function}", "--input-size", "1,3,8,8")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert shown(done.err)
    assert len(done.err) < 2100


def test_rank(nnmass, models, tmp_path, name):
    sources = [f"{models}:{function}" for function in ("Net", "Attention", "fails")]
    done = nnmass("rank", *sources, "--image-size", 8, "--workers", 1, "--csv", tmp_path / "rank.csv")
    assert done.code == 0
    assert shown(done.out)
    rows = list(csv.DictReader((tmp_path / "rank.csv").read_text().splitlines()))
    assert sorted(row["outcome"] for row in rows) == ["answered", "failed", "refused"]
    assert not any(value.startswith(("=", "@")) for row in rows for value in row.values())


def test_columns_of_a_csv_file(nnmass, tmp_path, name):
    table = tmp_path / "top1.csv"
    with table.open("w", newline="", encoding="utf-8", errors="replace") as stream:
        csv.writer(stream).writerows([["model", name], ["resnet18", "71"]])
    done = nnmass("rank", "timm:resnet18", "--results", table, "--image-size", 32, "--workers", 1)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert shown(done.err)


def test_keys_of_a_specification(nnmass, tmp_path, name):
    path = tmp_path / "spec.json"
    for values in ({"family": name}, {"family": "DenseMLP", "width": name, name: name}):
        path.write_text(json.dumps(values))
        done = nnmass("analyze", path)
        assert done.code == 1
        assert done.err.count("\n") == 1
        assert shown(done.err)


def test_paths(nnmass, tmp_path, name):
    for arguments in (("fit", f"{tmp_path}/{name}"), ("analyze", f"{name}.json"), ("train", "x.json", "--data", name)):
        done = nnmass(*arguments)
        assert done.code in (1, 2)
        assert done.err.count("\n") == 1
        assert shown(done.err)


def test_data_and_folders_of_names_that_are_no_text(nnmass, reference, tmp_path):
    folder = tmp_path / os.fsdecode(b"d\xff\x1b[2J")
    folder.mkdir()
    drawn = np.random.default_rng(0)
    np.savez(folder / os.fsdecode(b"m\xfe.npz"), x=drawn.random((60, 64), dtype=np.float32), y=np.arange(60) % 10)
    data = ("--data", folder / os.fsdecode(b"m\xfe.npz"), "--epochs", 1)
    store = folder / os.fsdecode(b"s\xfd.sqlite")
    for arguments in (
        (
            "sweep",
            "--base",
            reference,
            "--store",
            store,
            *data,
            "--seeds",
            1,
            "--workers",
            1,
            "--export",
            folder / "r.csv",
        ),
        ("train", reference, *data, "--out", folder / "out"),
    ):
        done = nnmass(*arguments)
        assert done.code == 0, done.err
        assert all(line.startswith(r"note: training on m\udcfe: 1 of 1 epochs, ") for line in done.err.splitlines())
        assert shown(done.out)
        assert not done.err or shown(done.err)

import csv
import json
from pathlib import Path

import pytest

from nnmass import experiments

PUBLISHED = Path(__file__).parents[1] / "published"


@pytest.fixture
def few_groups(monkeypatch, closed_forms, published_groups):
    """The command on the groups that have closed forms."""
    monkeypatch.setattr(experiments, "analyse", closed_forms)
    original = experiments.imagenet_published
    monkeypatch.setattr(
        experiments, "imagenet_published", lambda *args, **given: original(*args, groups=published_groups, **given)
    )


@pytest.mark.usefixtures("few_groups")
def test_published_accuracies_are_ranked_drawn_and_put_into_words(nnmass, tmp_path):
    out = tmp_path / "out"
    result = nnmass("reproduce", "imagenet-published", "--data-root", PUBLISHED, "--workers", 1, "--out", out)
    assert result.code == 0, result.err
    for text in ("torchvision-1", "13 of 15", "NN-Mass is not shown to beat MACs", "has no closed form"):
        assert text in result.out
    assert {path.name for path in out.iterdir()} == {"summary.json", "rows.csv", "accuracy.png"}
    values = json.loads((out / "summary.json").read_text())
    assert values["provenance"]["command"]
    assert values["verdict"][0].startswith("NN-Mass is not shown to beat MACs")
    with (out / "rows.csv").open() as stream:
        assert sum(row["outcome"] == "answered" for row in csv.DictReader(stream)) == 13 + 7 + 6 + 4


@pytest.mark.usefixtures("few_groups")
def test_the_folder_is_named_after_the_experiment(nnmass, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNMASS_DATA", str(PUBLISHED))
    values = nnmass("reproduce", "imagenet-published", "--workers", 1, "--json").json()
    assert values == json.loads((tmp_path / "results" / "imagenet-published" / "summary.json").read_text())


def test_a_missing_table_is_one_line(nnmass, tmp_path):
    result = nnmass("reproduce", "imagenet-published", "--data-root", tmp_path, "--out", tmp_path / "out")
    assert result.code == 1
    assert "timm-results-imagenet.csv: no such file; NNMASS_DATA or --data-root must name" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("given", [("--data", "mnist"), ("--seeds", 3), ("--epochs", 2)])
def test_options_of_training_are_refused(nnmass, tmp_path, given):
    result = nnmass("reproduce", "imagenet-published", *given, "--out", tmp_path / "out")
    assert result.code == 2
    assert f"{given[0]} is for experiments that train; this one reads a table" in result.err

import json
from importlib import import_module
from pathlib import Path

import pytest

from nnmass.experiments import verdict

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    return import_module("imagenet_tables").TABLES


@pytest.fixture
def summary(published_outcome):
    values = {"verdict": verdict(published_outcome), **published_outcome.to_dict()}
    return json.loads(json.dumps(values))


def cells(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_every_table_is_made_of_the_summary(tables, summary):
    for name, fill in tables.items():
        if name != "imagenet-verdict":
            widths = {len(row) for row in cells(fill(summary))}
            assert len(widths) == 1, name


def test_the_verdict_stands_as_a_list(tables, summary):
    assert tables["imagenet-verdict"](summary).startswith("- NN-Mass is not shown to beat MACs")


def test_groups_stand_with_numbers_or_with_the_reason(tables, summary):
    rows = {row[0]: row[1:] for row in cells(tables["imagenet-groups"](summary))}
    assert rows["torchvision-1"][:4] == ["13", "0.89", "0.90", "0.94"]
    assert rows["timm-ra-mobile"] == ["only 4 of 4 models have a mass", "", "", "", "", ""]
    assert rows["**all groups**"][0] == "26"


def test_pairs_show_what_they_share(tables, summary):
    first = cells(tables["imagenet-equal-mass"](summary))[2]
    assert first == [
        "wide_resnet50_2.tv_in1k, resnext50_32x4d",
        "10,883, 10,883",
        "× 2.75",
        "× 2.69",
        "78.49, 77.63",
        "+0.85",
    ]


def test_reasons_are_told_once(tables, summary):
    rows = cells(tables["imagenet-left-out"](summary))
    assert ["uninformative: no cell of depth 2 or more", "2", "vgg16_bn.tv_in1k, vgg11_bn.tv_in1k"] in rows

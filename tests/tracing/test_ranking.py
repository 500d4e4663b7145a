import json
from contextlib import closing

import pytest

from nnmass import DenseMLP, ResNet
from nnmass.errors import DataError, InvalidValueError
from nnmass.tracing import (
    PublishedAccuracies,
    RankedModel,
    measure,
    measure_all,
    of_unknown_cost,
    ranked,
    with_published,
    within,
)
from nnmass.tracing.journal import Journal

FILE = """
import os, signal, sys
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def leaves():
    os._exit(3)

def exits():
    sys.exit("no")

class Broken(nn.Module):
    def forward(self, x):
        raise ZeroDivisionError("half\\nway")
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "models.py"
    path.write_text(FILE)
    return path


@pytest.fixture
def spec(tmp_path):
    mlp = DenseMLP(width=8, depth=16, max_skips=20, in_features=4, num_classes=3)
    return str(mlp.to_json(tmp_path / "mlp.json"))


def test_an_answer_holds_what_is_known_of_a_model():
    row = measure("timm:resnet18", image_size=64)
    assert (row.model, row.outcome, row.image_size, row.reason) == ("timm:resnet18", "answered", 64, "")
    assert (row.nn_mass, row.nn_mass_every_layer, row.density, row.cells) == (3392.0, 3392.0, 1.0, 8)
    assert row.params == 11_689_512
    assert row.to_dict()["flops"] == 2 * row.macs


def test_both_readings_and_the_reading_of_projections():
    densenet = measure("torchvision:densenet121", image_size=64)
    assert (densenet.nn_mass, round(densenet.nn_mass_every_layer, 1)) == (3712.0, 1672.0)
    assert measure("timm:resnet18", image_size=64, projection="zero").nn_mass == 3392.0 - 192 - 384 - 768


def test_specifications_are_measured_as_they_say(spec, tmp_path):
    assert measure(spec).nn_mass == pytest.approx(40.228571428)
    assert measure(spec).image_size is None
    zero = ResNet.of_depth(18, projection="zero", image_size=64).to_json(tmp_path / "zero.json")
    assert measure(str(zero)).nn_mass == 3392.0 - 192 - 384 - 768
    assert measure(str(zero), projection="count").nn_mass == 3392.0


@pytest.mark.parametrize(
    ("source", "outcome", "reason"),
    [
        ("FILE:small", "uninformative", ""),
        ("FILE:Broken", "failed", "the forward pass fails in Broken on (1, 3, 32, 32): ZeroDivisionError: half"),
        ("FILE:exits", "failed", "SystemExit: no"),
        ("FILE:nothing", "failed", "has no 'nothing'"),
        ("timm:resnet81", "failed", "nearest: resnet18"),
        ("none.json", "failed", "none.json: cannot be read"),
        ("timm:vit_tiny_patch16_224", "refused", "blocks.0.attn: product of data with data (attention)"),
    ],
)
def test_what_goes_wrong_is_in_the_row(file, source, outcome, reason):
    source = source.replace("FILE", str(file))
    row = measure(source, image_size=None if "vit" in source else 32)
    assert (row.model, row.outcome) == (source, outcome)
    assert reason in row.reason
    assert "\n" not in row.reason
    assert (row.params is None) == (outcome == "failed")


@pytest.mark.parametrize("workers", [1, 2, None])
def test_every_model_is_a_row(file, workers):
    sources = [f"{file}:small", f"{file}:Broken", "timm:resnet18"]
    rows = {row.model: row.outcome for row in measure_all(sources, image_size=32, workers=workers)}
    assert rows == dict(zip(sources, ["uninformative", "failed", "answered"], strict=True))
    assert list(measure_all([], workers=workers)) == []


def test_a_process_that_dies_costs_its_model_alone(file):
    sources = [f"{file}:{name}" for name in ("killed", "small", "leaves", "small")]
    rows = list(measure_all(sources, image_size=8, workers=2))
    reasons = {row.model.rpartition(":")[2]: row.reason for row in rows}
    assert len(rows) == 4
    assert reasons == {
        "killed": "its process was ended by SIGKILL, as where memory runs out",
        "leaves": "its process ended with exit code 3",
        "small": "",
    }


def test_stopping_early_ends_the_processes(file):
    with closing(measure_all([f"{file}:small"] * 6, image_size=8, workers=2)) as rows:
        assert next(rows).outcome == "uninformative"


def test_fewer_than_one_worker_is_refused():
    with pytest.raises(InvalidValueError, match="workers must be at least 1, got 0"):
        measure_all(["timm:resnet18"], workers=0)


ROWS = [
    RankedModel("a", "answered", nn_mass=10.0, density=0.5, params=300, macs=20),
    RankedModel("b", "failed", reason="why"),
    RankedModel("c", "answered", nn_mass=30.0, density=0.1, params=100, macs=40),
    RankedModel("d", "uninformative", nn_mass=0.0, params=200, macs=30),
]


@pytest.mark.parametrize(
    ("by", "order"), [("nn_mass", "cabd"), ("density", "acbd"), ("params", "cdab"), ("macs", "adcb"), ("top1", "abcd")]
)
def test_ranks_put_the_unknown_last(by, order):
    assert "".join(row.model for row in ranked(ROWS, by)) == order


@pytest.mark.parametrize(
    ("max_macs", "max_params", "kept", "unknown"),
    [(None, None, "abcde", ""), (30, None, "ad", "be"), (30, 299, "d", "be"), (None, 299, "cde", "b")],
)
def test_budgets_keep_what_is_known_to_be_within(max_macs, max_params, kept, unknown):
    rows = [*ROWS, RankedModel("e", "refused", params=5, reason="the forward pass stops")]
    budgets = {"max_macs": max_macs, "max_params": max_params}
    assert "".join(row.model for row in within(rows, **budgets)) == kept
    assert "".join(row.model for row in of_unknown_cost(rows, **budgets)) == unknown


RESULTS = """model,img_size,top1,top1_err
resnet50.fb_swsl_ig1b_ft_in1k,224,81.2,18.8
resnet50.a1_in1k,288,81.2,18.8
resnet50.a1_in1k,224,80.4,19.6
resnet50.tv_in1k,224,76.1,23.9
resnet18d.somebody,224,72.0,28.0
resnet18d.else,224,73.0,27.0
"""


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(RESULTS)
    return PublishedAccuracies.read(path)


@pytest.mark.parametrize(
    ("source", "image_size", "expected"),
    [
        ("timm:resnet50", 224, ("resnet50.a1_in1k", 80.4, 224)),
        ("timm:resnet50", 288, ("resnet50.a1_in1k", 81.2, 288)),
        ("timm:resnet50", 176, ("resnet50.a1_in1k", 81.2, 288)),
        ("timm:resnet50.tv_in1k", None, ("resnet50.tv_in1k", 76.1, 224)),
        ("torchvision:resnet50", 224, ("resnet50.tv_in1k", 76.1, 224)),
        ("timm:resnet18d", 224, ("resnet18d.else", 73.0, 224)),
        ("timm:resnet50.gluon_in1k", 224, None),
        ("timm:resnet34", 224, None),
        ("resnet50.json", None, None),
    ],
)
def test_published_accuracies_are_found_by_architecture_and_tag(published, source, image_size, expected):
    assert published.of(source, image_size=image_size) == expected


def test_published_accuracies_are_added_to_their_models(published):
    rows = with_published([measure("timm:resnet18d"), RankedModel("timm:resnet34", "failed")], published)
    assert (rows[0].top1, rows[0].weights, rows[0].top1_image_size) == (73.0, "resnet18d.else", 224)
    assert rows[1].top1 is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read as CSV"),
        ("name,accuracy\na,1\n", "needs the columns model and top1, got"),
        ("model,top1\na,x\n", r"line 2: top1 and img_size must be numbers, got \('x', None\)"),
        ("model,top1,img_size\na,1.0,big\n", r"line 2: top1 and img_size must be numbers, got \('1.0', 'big'\)"),
    ],
)
def test_other_files_are_no_results(tmp_path, content, message):
    path = tmp_path / "results.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message):
        PublishedAccuracies.read(path)


def test_a_journal_gives_back_the_rows_of_libraries(tmp_path):
    path, options = tmp_path / "folder" / "out.csv.partial", {"image_size": 224}
    first, own = RankedModel("timm:a", "answered", nn_mass=1.5), RankedModel("own.py:make", "answered")
    journal = Journal(path, options)
    journal.add(first)
    journal.add(own)
    assert Journal(path, options).rows == [first]
    Journal(path, options).remove()
    assert Journal(path, options).rows == []


def test_a_journal_of_other_options_is_forgotten(tmp_path):
    path = tmp_path / "out.csv.partial"
    Journal(path, {"image_size": 224}).add(RankedModel("timm:a", "answered"))
    assert Journal(path, {"image_size": 128}).rows == []
    assert Journal(path, {"image_size": 224}).rows == []


def test_half_a_line_is_no_row(tmp_path):
    path = tmp_path / "out.csv.partial"
    journal = Journal(path, {})
    journal.add(RankedModel("timm:a", "answered"))
    with path.open("a") as stream:
        stream.write('{"model": "timm:b", "outc')
    again = Journal(path, {})
    again.add(RankedModel("timm:c", "answered"))
    assert [row.model for row in Journal(path, {}).rows] == ["timm:a", "timm:c"]
    assert all(json.loads(line) for line in path.read_text().splitlines())

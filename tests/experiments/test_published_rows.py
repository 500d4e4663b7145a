import csv
import json

import pytest

from nnmass import ResNet
from nnmass.errors import NNMassError, StoreError
from nnmass.experiments import Analysis, PublishedModel, PublishedRow, published_models, published_rows

RESNET = PublishedModel("resnet18.tv_in1k", "torchvision-1", 224, 69.752, 11.69)


@pytest.fixture
def models(published_groups, request):
    return published_models(request.path.parents[1] / "published", published_groups)


def test_a_row_is_the_published_model_with_its_analysis(closed_forms):
    spec = ResNet.of_depth(18)
    row = PublishedRow.of(RESNET, closed_forms("resnet18", 224))
    assert (row.model, row.architecture, row.group, row.top1) == (RESNET.model, "resnet18", "torchvision-1", 69.752)
    assert (row.outcome, row.reason, row.nn_mass, row.density) == ("answered", "", spec.nn_mass, 1.0)
    assert (row.params, row.macs) == (spec.params, spec.macs)


def test_an_analysis_of_another_network_is_a_refusal(closed_forms):
    row = PublishedRow.of(RESNET, closed_forms("resnet34", 224))
    assert (row.outcome, row.reason) == ("refused", "has 21.80M parameters, but 11.69M are published")
    assert (row.nn_mass, row.macs) == (None, None)


def test_all_models_get_a_row(models, closed_forms, tmp_path):
    rows = published_rows(models, tmp_path / "analyses.json", analyser=closed_forms, workers=1)
    assert [row.model for row in rows] == [model.model for model in models]
    assert {row.model for row in rows if row.outcome == "uninformative"} == {"vgg16_bn.tv_in1k", "vgg11_bn.tv_in1k"}
    assert {row.model for row in rows if row.outcome == "refused"} == {"resnet50d.a1_in1k", "seresnet50.a1_in1k"}


def test_an_architecture_is_analysed_once(models, closed_forms, tmp_path):
    asked, told = [], []

    def analyser(architecture, image_size):
        asked.append((architecture, image_size))
        return closed_forms(architecture, image_size)

    published_rows(models, tmp_path / "a.json", analyser=analyser, workers=1, progress=lambda *done: told.append(done))
    assert len(set(asked)) == len(asked) == len({model.architecture for model in models})
    assert told == [(done, len(asked)) for done in range(len(asked) + 1)]


def test_workers_find_the_same(models, closed_forms, tmp_path):
    alone, together = (
        published_rows(models, tmp_path / "a.json", analyser=closed_forms, workers=workers) for workers in (1, 2)
    )
    assert alone == together


def test_a_stopped_call_goes_on(models, closed_forms, tmp_path):
    path, asked = tmp_path / "analyses.json", []

    def analyser(architecture, image_size):
        if len(asked) == 5:
            raise KeyboardInterrupt
        asked.append(architecture)
        return closed_forms(architecture, image_size)

    with pytest.raises(KeyboardInterrupt):
        published_rows(models, path, analyser=analyser, workers=1)
    assert len(json.loads(path.read_text())) == 5
    again = []

    def rest(architecture, image_size):
        again.append(architecture)
        return closed_forms(architecture, image_size)

    rows = published_rows(models, path, analyser=rest, workers=1)
    assert not set(asked) & set(again)
    assert rows == published_rows(models, path, analyser=closed_forms, workers=1)
    assert not path.exists()


@pytest.mark.parametrize("content", ["{", "[1]", '{"resnet18, 224 pixels": {"mass": 1}}', '{"a": 3}'])
def test_another_file_is_not_touched(models, closed_forms, tmp_path, content):
    path = tmp_path / "analyses.json"
    path.write_text(content)
    with pytest.raises(StoreError, match=r"analyses\.json does not hold analyses of published models .*; move it away"):
        published_rows(models, path, analyser=closed_forms, workers=1)
    assert path.read_text() == content


def failing(architecture, image_size):
    raise NNMassError(f"{architecture} is not known")


def test_errors_of_the_analyser_are_not_hidden(models, tmp_path):
    with pytest.raises(NNMassError, match="is not known"):
        published_rows(models, tmp_path / "a.json", analyser=failing, workers=1)


def test_rows_are_written_as_a_table(published_outcome, published_folder):
    with (published_folder / "rows.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == sum(len(group.rows) for group in published_outcome.groups)
    by_model = {row["model"]: row for row in rows}
    assert by_model["densenet121.tv_in1k"]["nn_mass"] == "3712.0"
    assert by_model["vgg16_bn.tv_in1k"]["outcome"] == "uninformative"
    assert by_model["seresnet50.a1_in1k"]["macs"] == ""


def test_a_refusal_needs_no_numbers():
    row = PublishedRow.of(RESNET, Analysis("refused", "attention at blocks.0"))
    assert (row.outcome, row.reason, row.params) == ("refused", "attention at blocks.0", None)

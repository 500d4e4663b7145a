import os
from pathlib import Path

import pytest

from nnmass.errors import DataError
from nnmass.experiments import RECIPE_GROUPS, published_models
from nnmass.experiments.recipe_groups import FEWEST_MODELS

HEADER = "model,img_size,top1,top1_err,param_count"
needs_data = pytest.mark.skipif("NNMASS_DATA" not in os.environ, reason="NNMASS_DATA names no folder of data sets")


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "imagenet-published" / "timm-results-imagenet.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return tmp_path

    return write


def test_models_stand_with_their_group(table, published_groups):
    root = table(
        f"{HEADER}\nresnet50.tv_in1k,224,76.156,23.844,25.56\nresnet50.tv2_in1k,224,80.846,19.154,25.56\n"
        'regnety_2560.seer_ft_in1k,384,85.144,14.856,"1,282.60"\n'
        "resnet18.a1_in1k,224,71.5,28.5,11.69\nmobilenetv2_100.ra_in1k,224,72.91,27.09,3.5\n"
    )
    found = published_models(root, published_groups)
    assert [model.group for model in found] == ["torchvision-1", "torchvision-2-resnet", "timm-ra-mobile", "timm-a1"]
    first = found[0]
    assert (first.model, first.architecture, first.image_size) == ("resnet50.tv_in1k", "resnet50", 224)
    assert (first.top1, first.params_millions) == (76.156, 25.56)


@pytest.mark.parametrize(
    ("model", "image_size", "inside"),
    [
        ("resnet50.tv_in1k", 224, True),
        ("densenet121.tv_in1k", 224, True),
        ("vgg16_bn.tv_in1k", 224, True),
        ("vgg16.tv_in1k", 224, False),  # another learning rate
        ("inception_v3.tv_in1k", 299, False),
        ("resnet50.tv_in1k", 176, False),
        ("resnet50.tv2_in1k", 224, False),
        ("resnext101_64x4d.tv_in1k", 224, False),  # of the second recipe, whatever its tag says
    ],
)
def test_a_group_holds_one_recipe_at_one_size(model, image_size, inside):
    (group,) = [group for group in RECIPE_GROUPS if group.name == "torchvision-1"]
    assert group.holds(model, image_size) == inside


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has no column model; expected model, img_size, top1, param_count"),
        ("", "has no column model"),
        ("model,img_size,top1\nresnet50.tv_in1k,224,76\n", "has no column param_count"),
        (
            f"{HEADER}\nresnet50.tv_in1k,big,76,24,25.5\n",
            r"line 2: img_size, top1 and param_count must be numbers, got",
        ),
        (f"{HEADER}\nresnet50.tv_in1k,224,76\n", "line 2: img_size, top1 and param_count must be numbers"),
        (f"{HEADER}\nvgg16.tv_in1k,224,71,29,138\n", "has no model of group torchvision-1: tag tv_in1k, 224 pixels"),
    ],
)
def test_another_table_is_refused(table, text, message):
    with pytest.raises(DataError, match=rf"timm-results-imagenet\.csv.*{message}"):
        published_models(table(text))


def test_a_missing_table_is_named_with_what_is_expected(tmp_path):
    with pytest.raises(DataError, match=r"timm-results-imagenet\.csv: no such file; NNMASS_DATA or --data-root must"):
        published_models(tmp_path)


def test_groups_have_names_and_reasons_of_their_own():
    assert len({group.name for group in RECIPE_GROUPS}) == len(RECIPE_GROUPS)
    assert all(len(group.reason) > 20 for group in RECIPE_GROUPS)


@needs_data
def test_every_group_has_models_enough_and_no_model_has_two():
    found = published_models(Path(os.environ["NNMASS_DATA"]))
    sizes = {group.name: sum(model.group == group.name for model in found) for group in RECIPE_GROUPS}
    assert min(sizes.values()) >= FEWEST_MODELS
    assert len({model.model for model in found}) == len(found) >= 170
    for group in RECIPE_GROUPS:
        architectures = [model.architecture for model in found if model.group == group.name]
        assert len(set(architectures)) == len(architectures)

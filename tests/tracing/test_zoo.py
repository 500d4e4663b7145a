import random
import re
import socket

import numpy as np
import pytest
import torch

from nnmass.errors import InvalidValueError, ModelError
from nnmass.tracing.libraries import import_library
from nnmass.tracing.sources import load_model, model_names


def refuse(*_: object) -> None:
    raise AssertionError("the network was asked")


def num_params(source: str, **options: int) -> int:
    return sum(parameter.numel() for parameter in load_model(source, **options).module.parameters())


@pytest.mark.parametrize(
    ("source", "params", "size"),
    [  # parameters as the documentation of timm and torchvision has them
        ("timm:resnet50", 25_557_032, (1, 3, 224, 224)),
        ("timm:mobilenetv2_100", 3_504_872, (1, 3, 224, 224)),
        ("timm:resnet50.a1_in1k", 25_557_032, (1, 3, 224, 224)),
        ("timm:inception_v4", 42_679_816, (1, 3, 299, 299)),
        ("torchvision:densenet121", 7_978_856, (1, 3, 224, 224)),
        ("torchvision:efficientnet_b1", 7_794_184, (1, 3, 240, 240)),
        ("torchvision:vit_b_16", 86_567_656, (1, 3, 224, 224)),
        ("torchvision:googlenet", 13_004_888, (1, 3, 224, 224)),  # with its auxiliary heads
        ("torchvision:vit_h_14", 632_045_800, (1, 3, 224, 224)),  # no weights of torchvision's own recipe
    ],
)
def test_models_are_those_of_the_library(source, params, size):
    model = load_model(source)
    assert model.name == source
    assert model.input_sizes == (size,)
    assert sum(parameter.numel() for parameter in model.module.parameters()) == params
    assert all(parameter.is_meta for parameter in model.module.parameters())


def test_buffers_have_their_values():
    buffers = dict(load_model("timm:resnet18").module.named_buffers())
    assert buffers["bn1.running_var"].tolist() == [1.0] * 64


@pytest.mark.parametrize("source", ["timm:vit_tiny_r_s16_p8_224", "timm:swinv2_tiny_window8_256"])
def test_models_that_compute_while_they_are_built_are_built_too(source):
    assert all(parameter.is_meta for parameter in load_model(source).module.parameters())


@pytest.mark.parametrize("source", ["timm:resnet18", "torchvision:shufflenet_v2_x0_5", "timm:vit_tiny_patch16_224"])
def test_nothing_is_downloaded_and_no_random_number_drawn(source, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    load_model(source)
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


@pytest.mark.parametrize(
    "source",
    [
        "timm:resnet18",
        "timm:vit_tiny_patch16_224",
        "torchvision:vit_b_32",
        "torchvision:maxvit_t",
        "torchvision:alexnet",
    ],
)
def test_image_size_overrides_the_library(source):
    assert load_model(source, image_size=448).input_sizes == ((1, 3, 448, 448),)


def test_models_for_one_size_are_built_for_it():
    assert num_params("timm:vit_tiny_patch16_224", image_size=448) - num_params("timm:vit_tiny_patch16_224") == (
        (28**2 - 14**2) * 192
    )
    assert num_params("torchvision:vit_b_16", image_size=448) - num_params("torchvision:vit_b_16") == (
        (28**2 - 14**2) * 768
    )


@pytest.mark.parametrize(
    ("source", "nearest"),
    [
        ("timm:resnet51", "resnet50"),
        ("timm:resnet50.a1_in", "resnet50.a1_in1k"),
        ("torchvision:densenet12", "densenet121"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(source, nearest):
    zoo, _, name = source.partition(":")
    lists = re.escape(f"nnmass.tracing.model_names('{zoo}:*') lists them")
    with pytest.raises(ModelError, match=rf"^'{name}' is no model of {zoo} \d\S+; nearest: .*{nearest}.*; {lists}$"):
        load_model(source)


@pytest.mark.parametrize("name", ["", "§", "hf-hub:somebody/model", "resnet50."])
def test_what_is_like_no_name_has_no_nearest_or_a_variant(name):
    with pytest.raises(ModelError, match=rf"^'{re.escape(name)}' is no model of timm"):
        load_model(f"timm:{name}")


@pytest.mark.parametrize("source", ["resnet50", "keras:resnet50", "", "notes.txt"])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(ModelError, match=rf"^'{source}' names no model: expected timm:NAME, torchvision:NAME, FILE.py"):
        load_model(source)


def test_sizes_that_do_not_fit_are_told():
    message = "torchvision:vit_b_16 cannot be built for images of 3 × 3: AssertionError: Input shape indivisible"
    with pytest.raises(ModelError, match=message):
        load_model("torchvision:vit_b_16", image_size=3)


def test_what_a_builder_raises_is_told_in_one_line(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ValueError("no such thing\ndetails")

    monkeypatch.setattr(import_library("timm"), "create_model", fail)
    with pytest.raises(ModelError, match=r"^timm:resnet18 cannot be built: ValueError: no such thing$"):
        load_model("timm:resnet18")


def test_image_size_is_positive():
    with pytest.raises(InvalidValueError, match="image_size must be at least 1, got 0"):
        load_model("timm:resnet18", image_size=0)


def test_patterns_give_full_names():
    names = model_names("timm:mobilenetv2_*")
    assert names == sorted(names)
    assert {"timm:mobilenetv2_050", "timm:mobilenetv2_140"} <= set(names)
    assert model_names("torchvision:resnet?*")[-2:] == ["torchvision:resnet34", "torchvision:resnet50"]
    assert "timm:resnet50.a1_in1k" in model_names("timm:resnet50.*")
    assert len(model_names("torchvision:*")) >= 80


@pytest.mark.parametrize(
    "name", ["timm:resnet50", "timm:no_such", "torchvision:resnet18", "folder/*.onnx", "a.py:make"]
)
def test_plain_names_give_themselves(name):
    assert model_names(name) == [name]


def test_patterns_that_match_nothing_are_refused():
    with pytest.raises(
        ModelError, match=r"^no model of timm matches 'no_such_\*'; .*model_names\('timm:\*'\) lists them"
    ):
        model_names("timm:no_such_*")

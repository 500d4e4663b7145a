import pytest
import torch
from torch import nn

from nnmass.errors import ModelError
from nnmass.tracing.parts import part_at, register_tensors, tensors_of


def test_names_become_paths():
    module = nn.Module()
    weight, mean = nn.Parameter(torch.ones(2)), torch.zeros(2)
    names = register_tensors(module, {"block.0.weight": weight, "block.0.mean": mean, "same": weight})
    assert names == {name: name for name in names}
    assert module.get_parameter("block.0.weight") is weight
    assert module.get_buffer("block.0.mean") is mean
    assert {name: id(tensor) for name, tensor in tensors_of(module).items()} == {
        "block.0.weight": id(weight),
        "same": id(weight),
        "block.0.mean": id(mean),
    }


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "forward", "weight.part", "training", "layer.type"])
def test_names_that_pytorch_cannot_use_are_kept_in_another_form(name):
    module = nn.Module()
    tensors = {"weight": torch.zeros(1), name: torch.ones(1)}
    names = register_tensors(module, tensors)
    assert names[name] == "/" + name.replace(".", "/")
    assert tensors_of(module)[names[name]] is tensors[name]
    assert module.training is True


def test_parts_run_functions_where_they_are():
    module, seen = nn.Module(), []
    register_tensors(module, {"block.0.weight": torch.ones(1)})
    part = part_at(module, "block.0")
    assert part is module.get_submodule("block.0")
    assert part_at(module, "block.0") is part
    part.register_forward_hook(lambda module, _, result: seen.append((module, result)))
    assert part(lambda: 3) == 3
    assert seen == [(part, 3)]


@pytest.mark.parametrize("path", ["block..conv", "/a/b.c/", "forward", "", "weight.part"])
def test_any_path_has_a_part(path):
    module = nn.Module()
    register_tensors(module, {"weight": torch.ones(1)})
    part = part_at(module, path)
    assert part is part_at(module, path)
    assert part in set(module.modules())


def test_a_place_is_no_tensor():
    module = nn.Module()
    module.register_buffer("/a//b", torch.ones(1))
    with pytest.raises(ModelError, match=r"'a..b' is both a place and a tensor"):
        part_at(module, "a..b")


def test_names_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ModelError, match=r"two tensors are called 'a..b/c'"):
        register_tensors(nn.Module(), {"a..b.c": torch.zeros(1), "a..b/c": torch.zeros(1)})

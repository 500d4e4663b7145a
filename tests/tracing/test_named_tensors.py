import pytest
import torch
from torch import nn

from nnmass.errors import ModelError
from nnmass.tracing.named_tensors import register_tensors, tensors_of


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


def test_names_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ModelError, match=r"two tensors are called 'a..b/c'"):
        register_tensors(nn.Module(), {"a..b.c": torch.zeros(1), "a..b/c": torch.zeros(1)})

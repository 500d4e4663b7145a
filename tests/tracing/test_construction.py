import random

import numpy as np
import pytest
import torch
from torch import nn

from nnmass.tracing.construction import random_states_kept, without_memory


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.first.bias.requires_grad_(False)
        self.register_buffer("index", torch.tensor([2, 0, 1]))
        self.scale = nn.Parameter(torch.ones(3), requires_grad=False)


class RunsItself(nn.Module):
    """As timm's hybrids do: runs a layer to see what comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)
        self.register_buffer("index", torch.arange(self.layer(torch.zeros(1, 3)).shape[1]))


def test_parameters_are_on_meta_and_buffers_keep_their_values():
    module = without_memory(Tied)
    assert {name: (p.is_meta, p.requires_grad) for name, p in module.named_parameters()} == {
        "first.weight": (True, True),
        "first.bias": (True, False),
        "second.bias": (True, True),
        "scale": (True, False),
    }
    assert module.first.weight is module.second.weight
    assert module.index.tolist() == [2, 0, 1]


def test_a_constructor_that_computes_with_its_parameters_is_built_on_meta():
    module = without_memory(RunsItself)
    assert module.layer.weight.is_meta
    assert module.index.is_meta
    assert module.index.shape == (5,)


def test_afterwards_modules_are_built_as_ever():
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        without_memory(fail)
    without_memory(RunsItself)
    assert nn.Linear(2, 2).weight.device.type == "cpu"


def test_random_states_are_kept():
    def draw() -> tuple[float, float, float]:
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    with random_states_kept():
        expected = draw()
    with pytest.raises(ValueError, match="stopped"), random_states_kept():  # noqa: PT012
        draw()
        raise ValueError("stopped")
    with random_states_kept():
        assert draw() == expected

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import nnmass
from nnmass.tracing import load_model
from nnmass.tracing.report import Report


@pytest.fixture
def analysed() -> Callable[..., Report]:
    """A model of a library, analysed as it is delivered."""

    def analysed(source: str, **options: int) -> Report:
        model = load_model(source, **options)
        return nnmass.analyze(model.module, model.input_sizes[0])

    return analysed


class Written(nn.Module):
    """A module with parts and a forward pass that are given."""

    def __init__(self, forward: Callable[..., Any], parts: dict[str, Any]) -> None:
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            constant = isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter)
            self.register_buffer(name, part) if constant else setattr(self, name, part)

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.run(self, *inputs)


@pytest.fixture
def written() -> Callable[..., nn.Module]:
    """Make a module: its forward pass as a function of itself and its inputs, and its parts by name."""
    return lambda forward, **parts: Written(forward, parts)


@pytest.fixture
def read() -> Callable[..., list[tuple[tuple[int, int, int], ...]]]:
    """What the last layer of a model reads, per operand: node, first channel, and number of channels."""

    def read(model: nn.Module, *sizes: tuple[int, ...]) -> list[tuple[tuple[int, int, int], ...]]:
        layer = nnmass.tracing.trace(model, *(sizes or [(1, 4, 8, 8)])).graph.layers[-1]
        return [operand.channels.runs for operand in layer.operands]

    return read

"""A node of an ONNX graph, and tensors that ONNX stores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from nnmass.errors import ModelError


@dataclass(frozen=True)
class OnnxNode:
    """An operator of the standard ONNX set with its attributes.

    Attributes:
        name: in the file, or made up.
        operator: ``Conv``, ``Add``, ...
        opset: version of the operator set.
        attributes: as Python values; tensors are PyTorch's.
        inputs: names of tensors; empty for one that is left out.
        outputs: names of tensors; empty for one that is not wanted.
    """

    name: str
    operator: str
    opset: int
    attributes: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def get(self, attribute: str, default: Any = None) -> Any:
        """Get an attribute."""
        return self.attributes.get(attribute, default)

    def refused(self, reason: str) -> ModelError:
        """Say that what the node does is not understood."""
        return ModelError(f"{self.operator} (node {self.name}): {reason} is not understood")


Operator: TypeAlias = Callable[..., Tensor | Sequence[Tensor]]
"""Takes a node and its inputs, None for one that is left out."""

DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
"""Types of tensors by ONNX's number."""


def integers(tensor: Tensor | None) -> list[int] | None:
    """Numbers of a tensor of sizes, axes and the like."""
    return None if tensor is None else [int(number) for number in tensor.flatten().tolist()]

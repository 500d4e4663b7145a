"""The graph of an ONNX file as a module."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nnmass.errors import ModelError
from nnmass.tracing.onnx_arithmetic import ARITHMETIC
from nnmass.tracing.onnx_layers import LAYERS
from nnmass.tracing.onnx_node import OnnxNode, Operator
from nnmass.tracing.onnx_resize import RESIZING
from nnmass.tracing.onnx_shapes import SHAPES
from nnmass.tracing.parts import part_at, register_tensors, tensors_of

_OPERATORS: dict[str, Operator] = {**ARITHMETIC, **LAYERS, **RESIZING, **SHAPES}


class OnnxModule(nn.Module):
    """Runs the nodes of an ONNX graph with PyTorch's functions.

    A node is run in the `Part` where its weights are, or in one with its own name.

    Args:
        nodes: in an order in which they can be run.
        tensors: weights and constants by name.
        inputs: names of the inputs.
        outputs: names of the outputs.

    Raises:
        ModelError: an operator is not understood, or reads what no node before it gives.
    """

    def __init__(
        self, nodes: Sequence[OnnxNode], tensors: Mapping[str, Tensor], inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        super().__init__()
        self._check(nodes, {"", *tensors, *inputs}, outputs)
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)
        self._own = register_tensors(self, tensors)
        parameters = {name for name, tensor in tensors.items() if isinstance(tensor, nn.Parameter)}
        self._nodes = [(node, part_at(self, _place(node, parameters))) for node in nodes]

    @staticmethod
    def _check(nodes: Sequence[OnnxNode], known: set[str], outputs: Sequence[str]) -> None:
        for node in nodes:
            if node.operator not in _OPERATORS:
                raise ModelError(f"operator {node.operator} (node {node.name}) is not understood")
            if missing := set(node.inputs) - known:
                raise node.refused(f"input {min(missing)!r}, which no node before it gives,")
            if twice := set(node.outputs) & known - {""}:
                raise node.refused(f"{min(twice)!r}, which is there already,")
            known |= set(node.outputs if node.operator == "Split" else node.outputs[:1])
        if missing := set(outputs) - known:
            raise ModelError(f"output {min(missing)!r}, which no node gives as its first, is not understood")

    def forward(self, *inputs: Tensor) -> Any:
        """Run the graph."""
        if len(inputs) != len(self._inputs):
            raise ModelError(f"the graph takes {len(self._inputs)} tensors, got {len(inputs)}")
        tensors = tensors_of(self)
        values: dict[str, Tensor | None] = {name: tensors[own] for name, own in self._own.items()}
        values |= dict(zip(self._inputs, inputs, strict=True)) | {"": None}
        for node, part in self._nodes:
            result = part(partial(_OPERATORS[node.operator], node, *(values[name] for name in node.inputs)))
            results = [result] if isinstance(result, torch.Tensor) else result
            values |= dict(zip(node.outputs, results, strict=False))
        outputs = tuple(values[name] for name in self._outputs)
        return outputs[0] if len(outputs) == 1 else outputs


def _place(node: OnnxNode, parameters: set[str]) -> str:
    """Where a node belongs: ``features.0`` if it has a parameter ``features.0.weight``."""
    weights = [name.removesuffix(".weight") for name in node.inputs if name in parameters and name.endswith(".weight")]
    return weights[0] if weights else node.name

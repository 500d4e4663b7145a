"""Weights and constants that an ONNX file stores."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnmass.errors import ModelError, first_line
from nnmass.tracing.libraries import import_library
from nnmass.tracing.onnx_node import DTYPES, OnnxNode

_NO_WEIGHTS = {  # inputs that are numbers to go by, or statistics
    "BatchNormalization": {3, 4},
    "Clip": {1, 2},
    "Dropout": {1, 2},
    "Pad": {1, 2, 3},
    "Pow": {1},
    "Range": {0, 1, 2},
    "Resize": {1, 2, 3},
    "Upsample": {1},
}
_PLAIN_CONSTANTS = {
    "value_float": torch.float32,
    "value_floats": torch.float32,
    "value_int": torch.int64,
    "value_ints": torch.int64,
}
_EXTERNAL = 1


def attribute_value(node: str, attribute: Any) -> Any:
    """Read an attribute of a node.

    Raises:
        ModelError: it is a graph: the node is control flow.
    """
    value = import_library("onnx").helper.get_attribute_value(attribute)
    if hasattr(value, "op_type") or hasattr(value, "node"):
        raise ModelError(f"node {node}: control flow is not understood")
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "data_type"):
        return tensor_of(value, Path())
    return list(value) if isinstance(value, Iterable) else value


def tensor_of(stored: Any, folder: Path) -> Tensor:
    """Read a stored tensor; floating-point numbers in another file become a meta tensor.

    Raises:
        ModelError: its type is not understood, or it is incomplete.
    """
    onnx = import_library("onnx")
    if stored.data_type not in DTYPES:
        raise ModelError(f"tensor {stored.name}: type {stored.data_type} is not understood")
    dtype = DTYPES[stored.data_type]
    if stored.data_location == _EXTERNAL and dtype.is_floating_point:
        return torch.empty(list(stored.dims), dtype=dtype, device="meta")
    try:
        array = onnx.numpy_helper.to_array(stored, str(folder))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"tensor {stored.name} cannot be read: {first_line(error)}") from None
    if dtype is torch.bfloat16:
        return torch.from_numpy(array.astype(np.float32)).to(dtype)
    return torch.from_numpy(np.array(array))


class StoredTensors:
    """Weights and constants, each under the name by which the graph shall use it.

    A kernel that several nodes use is shared.  A vector is not: exporters merge the equal ones, such as the
    zero biases of a new network.

    Attributes:
        tensors: those in use; parameters are ``nn.Parameter``.

    Args:
        stored: ``initializer`` of the graph.
        folder: of the file.
    """

    def __init__(self, stored: Iterable[Any], folder: Path) -> None:
        self.folder = folder
        self.tensors: dict[str, Tensor] = {}
        self._stored = {tensor.name: tensor for tensor in stored}
        self._constants: dict[str, Tensor] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._stored or name in self._constants

    def takes(self, node: Any) -> bool:
        """Take over what a node gives, if that is a constant, or a copy of a stored tensor."""
        if node.op_type == "Identity" and node.input[0] in self._stored:
            self._stored[node.output[0]] = self._stored[node.input[0]]
        elif node.op_type == "Constant":
            self._constants[node.output[0]] = self._constant(node)
        return node.output[0] in self

    def _constant(self, node: Any) -> Tensor:
        name = node.name or node.output[0]
        [(kind, value)] = [(attribute.name, attribute_value(name, attribute)) for attribute in node.attribute]
        if kind == "value":
            return value  # type: ignore[no-any-return]
        if kind not in _PLAIN_CONSTANTS:
            raise ModelError(f"Constant (node {name}): {kind} is not understood")
        return torch.tensor(value, dtype=_PLAIN_CONSTANTS[kind])

    def own_inputs(self, node: OnnxNode) -> OnnxNode:
        """Give a node the names of its own tensors."""
        numbers = _NO_WEIGHTS.get(node.operator, set())
        names = [self.own(name, weight=index not in numbers) for index, name in enumerate(node.inputs)]
        return replace(node, inputs=tuple(names))

    def own(self, name: str, *, weight: bool = False) -> str:
        """Name under which a tensor, if it is a stored one, is used by one more node."""
        if name in self._constants:
            self.tensors[name] = self._constants[name]
        elif name in self._stored:
            return self._used(name, weight=weight)
        return name

    def _used(self, name: str, *, weight: bool) -> str:
        known = self.tensors.get(name)
        if known is None:
            known = tensor_of(self._stored[name], self.folder)
            is_parameter = weight and known.is_floating_point() and known.ndim > 0
            self.tensors[name] = nn.Parameter(known) if is_parameter else known
            return name
        if known.ndim != 1 or not known.is_floating_point():
            return name
        count = 2
        while f"{name}#{count}" in self.tensors:
            count += 1
        copy = known.detach().clone()
        self.tensors[f"{name}#{count}"] = nn.Parameter(copy) if weight else copy
        return f"{name}#{count}"

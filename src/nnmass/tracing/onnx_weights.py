"""Weights and constants of an ONNX graph: which stored tensor is what, and who uses it."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnmass.errors import ModelError
from nnmass.tracing.onnx_node import OnnxNode, integers
from nnmass.tracing.onnx_tensors import checked_dims, dense_of, tensor_of

_NO_WEIGHTS = {  # inputs that are numbers to go by, or statistics
    "BatchNormalization": {3, 4},
    "Clip": {1, 2},
    "Dropout": {1, 2},
    "Pow": {1},
    "Range": {0, 1, 2},
    "Resize": {1, 2, 3},
    "Upsample": {1},
}
_OF_LAYERS = {  # inputs that are weights of a layer or norm, whoever gives them
    "BatchNormalization": {1, 2},
    "Conv": {1, 2},
    "ConvTranspose": {1, 2},
    "Einsum": {0, 1},
    "Gemm": {0, 1, 2},
    "GroupNormalization": {1, 2},
    "InstanceNormalization": {1, 2},
    "LayerNormalization": {1, 2},
    "MatMul": {0, 1},
    "PRelu": {1},
}
_MOVES = {  # their other inputs say where to
    *("CastLike", "DequantizeLinear", "Expand", "Gather", "Pad", "QuantizeLinear", "Reshape", "Slice", "Split"),
    *("Squeeze", "Tile", "Unsqueeze"),
}
_PLAIN_CONSTANTS = {
    "value_float": torch.float32,
    "value_floats": torch.float32,
    "value_int": torch.int64,
    "value_ints": torch.int64,
}


class StoredTensors:
    """Weights and constants, each under the name by which the graph shall use it.

    A file keeps weights as initializers, which hold nothing else than weights and statistics, or in Constant nodes,
    beside constants that somebody wrote down.  Of these the weights of layers are told by who uses them, also through
    operators that rearrange them; a file that keeps weights there keeps all of them there.

    A tensor that several nodes use is shared.  A vector of equal numbers is not, unless the same kernel stands beside
    it: exporters merge the equal ones, such as the zero biases of a new network.  Other tensors that are equal were one
    when the exporter wrote a Constant node for each use, or the name of one for that of another.

    Attributes:
        tensors: those in use; parameters are ``nn.Parameter``.

    Args:
        graph: of the file.
        folder: of the file.
    """

    def __init__(self, graph: Any, folder: Path) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._read: dict[str, Callable[[], Tensor]] = {}
        self._read |= {stored.name: partial(tensor_of, stored, folder) for stored in graph.initializer}
        self._read |= {stored.values.name: partial(dense_of, stored, folder) for stored in graph.sparse_initializer}
        self._written: set[str] = set()  # in Constant nodes
        self._original: dict[str, str] = {}  # of names that Identity gives
        self._of_layers: set[str] = set()
        self._owned: dict[tuple[Any, ...], str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._read

    def without_constants(self, nodes: Iterable[OnnxNode]) -> list[OnnxNode]:
        """Take over what only gives a constant, and give the other nodes the names of their own tensors."""
        left = [node for node in nodes if not self._takes(node)]
        left = self._find_weights(left)
        return [self._own_inputs(node) for node in left]

    def own(self, name: str, *, weight: bool = False, kernel: str = "") -> str:
        """Name under which a tensor, if it is a stored one, is used by one more node.

        Args:
            name: its name in the file.
            weight: whether the node uses it as one.
            kernel: name of a matrix that the node uses as well.
        """
        if name not in self._read:
            return name
        tensor = self._read[name]()
        self._read[name] = lambda: tensor
        key = self._identity(name, tensor, kernel)
        if key is not None and key in self._owned:
            return self._owned[key]
        own, count = name, 1
        while own in self.tensors:
            count += 1
            own = f"{name}#{count}"
        if key is not None:
            self._owned[key] = own
        self.tensors[own] = self._as_used(name, tensor, weight=weight)
        return own

    def _identity(self, name: str, tensor: Tensor, kernel: str) -> tuple[Any, ...] | None:
        """What is the same for all uses of a tensor; None for one of which every use has its own."""
        original = self._original.get(name, name)
        if tensor.is_meta or not tensor.is_floating_point() or tensor.ndim == 0:
            return (name,)
        alike = 0 in tensor.stride() or bool((tensor == tensor.flatten()[:1]).all())
        if alike and tensor.ndim > 1:
            return (name,)
        if alike:
            return (tuple(tensor[:1].tolist()), len(tensor), kernel) if kernel else None
        if original not in self._written:
            return (original,)
        content = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        return tensor.dtype, tensor.shape, hashlib.sha256(content).digest()

    def _as_used(self, name: str, tensor: Tensor, *, weight: bool) -> Tensor:
        counts = name in self._of_layers or (tensor.is_floating_point() and self._may_be_weight(name))
        if name in self.tensors and 0 not in tensor.stride():
            tensor = tensor.clone()  # one more of equal numbers
        if weight and counts and tensor.ndim > 0:
            return nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
        return tensor

    def _may_be_weight(self, name: str) -> bool:
        return name not in self._written or not self._written.isdisjoint(self._of_layers)

    def _takes(self, node: OnnxNode) -> bool:
        """Take over what a node gives, if that is a constant, or a copy of a stored tensor."""
        if node.operator == "Identity" and node.inputs and node.inputs[0] in self._read:
            [source, *_], name = node.inputs, node.outputs[0]
            self._read[name], self._original[name] = self._read[source], self._original.get(source, source)
            if source in self._written:
                self._written.add(name)
        elif node.operator == "Constant":
            self._read[node.outputs[0]] = partial(_constant, node)
            self._written.add(node.outputs[0])
        return node.outputs[0] in self._read

    def _find_weights(self, nodes: Sequence[OnnxNode]) -> list[OnnxNode]:
        """Note which stored tensors become weights of layers; a shape that is filled for one becomes such a tensor."""
        filled = {node.outputs[0]: node for node in nodes if self._is_filled(node)}
        origins = {name: {name} for name in (*self._read, *filled)}  # of what depends on nothing else
        for node in nodes:
            if node.outputs[0] not in filled and all(name in origins for name in node.inputs if name):
                data = [name for index, name in enumerate(node.inputs) if name and _holds_data(node, index)]
                origins[node.outputs[0]] = set().union(*(origins[name] for name in data))
            for index, name in enumerate(node.inputs):
                if index in _OF_LAYERS.get(node.operator, ()):
                    self._of_layers |= origins.get(name, set())
        for name in self._of_layers & set(filled):
            self._read[name] = partial(_filled, filled[name], self._read[filled[name].inputs[0]])
        return [node for node in nodes if node.outputs[0] not in self._read]

    def _is_filled(self, node: OnnxNode) -> bool:
        return node.operator == "ConstantOfShape" and bool(node.inputs) and node.inputs[0] in self._read

    def _own_inputs(self, node: OnnxNode) -> OnnxNode:
        matrices = _OF_LAYERS.get(node.operator, set()) & {0, 1}
        names, kernel = [], ""
        for index, name in enumerate(node.inputs):
            own = self.own(name, weight=_holds_data(node, index), kernel=kernel)
            if index in matrices and own in self.tensors and self.tensors[own].ndim > 1:
                kernel = own
            names.append(own)
        return replace(node, inputs=tuple(names))


def _holds_data(node: OnnxNode, index: int) -> bool:
    """Whether an input is more than numbers to go by, or statistics."""
    return index not in _NO_WEIGHTS.get(node.operator, ()) and (index == 0 or node.operator not in _MOVES)


def _constant(node: OnnxNode) -> Tensor:
    if len(node.attributes) != 1:
        raise node.refused(f"a constant of {len(node.attributes)} values")
    [(kind, value)] = node.attributes.items()
    if kind in {"value", "sparse_value"} and isinstance(value, Tensor):
        return value
    if kind not in _PLAIN_CONSTANTS:
        raise node.refused(kind)
    return torch.tensor(value, dtype=_PLAIN_CONSTANTS[kind])


def _filled(node: OnnxNode, read_shape: Any) -> Tensor:
    """One number in every place, without memory for more than one."""
    value: Tensor = node.get("value", torch.zeros(1))
    dims = checked_dims(node.outputs[0], integers(read_shape()) or [])
    if value.numel() != 1:
        raise ModelError(f"ConstantOfShape (node {node.name}): {value.numel()} numbers to fill with are not understood")
    return value.reshape([1] * len(dims)).expand(dims)

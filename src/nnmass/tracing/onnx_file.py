"""ONNX files as modules."""

from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from nnmass.errors import ModelError, first_line
from nnmass.tracing.declared_sizes import closed_sizes
from nnmass.tracing.libraries import import_library
from nnmass.tracing.loaded_model import InputSizes
from nnmass.tracing.onnx_module import OnnxModule
from nnmass.tracing.onnx_node import DTYPES, OnnxNode
from nnmass.tracing.onnx_tensors import StoredTensors, attribute_value

_FIRST_OPSET = 6
_STANDARD = {"", "ai.onnx"}


def read_onnx(path: Path, *, image_size: int | None = None) -> tuple[nn.Module, InputSizes | None]:
    """Read the graph of an ONNX file; nothing of it is executed.

    The parameters are those of the graph: an exporter folds norms into convolutions and leaves out biases of zeros.
    Weights that the file keeps in another file are not read: they become meta tensors.  An open batch size is taken as
    1; other open sizes must be given.

    Raises:
        ModelError: onnx is not installed, the file does not exist or is no ONNX file, it holds operators that are not
            understood, or a graph for images of another size.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    model = _parsed(path)
    try:
        module = _module(model, path.parent)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    stored = {tensor.name for tensor in model.graph.initializer}
    declared = [_declared(value) for value in model.graph.input if value.name not in stored]
    return module, closed_sizes(path, declared, image_size=image_size)


def _parsed(path: Path) -> Any:
    onnx = import_library("onnx")
    decode_error = import_module("google.protobuf.message").DecodeError  # comes with onnx, without types
    try:
        model = onnx.load(path, load_external_data=False)
    except (decode_error, OSError) as error:
        raise ModelError(f"{path} is not an ONNX file ({first_line(error)})") from None
    if not model.opset_import or not model.graph.node:
        raise ModelError(f"{path} is not an ONNX file, or holds no graph")
    return import_library("onnx.inliner").inline_local_functions(model) if model.functions else model


def _module(model: Any, folder: Path) -> OnnxModule:
    graph = model.graph
    if graph.sparse_initializer:
        raise ModelError("sparse tensors are not understood")
    opset = max((entry.version for entry in model.opset_import if entry.domain in _STANDARD), default=0)
    if opset < _FIRST_OPSET:
        raise ModelError(f"operator set {opset} is not understood; {_FIRST_OPSET} and later are")
    tensors = StoredTensors(graph.initializer, folder)
    inputs = [_input_name(value) for value in graph.input if value.name not in tensors]
    nodes = [_node(index, node, opset) for index, node in enumerate(graph.node) if not tensors.takes(node)]
    nodes = [tensors.own_inputs(node) for node in nodes]
    return OnnxModule(nodes, tensors.tensors, inputs, [tensors.own(value.name) for value in graph.output])


def _node(index: int, node: Any, opset: int) -> OnnxNode:
    name = node.name or f"{node.op_type}_{index}"
    if node.domain not in _STANDARD:
        raise ModelError(f"operator {node.domain}.{node.op_type} (node {name}) is not understood")
    attributes = {attribute.name: attribute_value(name, attribute) for attribute in node.attribute}
    if attributes.get("broadcast") and "axis" in attributes:  # until version 6
        raise ModelError(f"{node.op_type} (node {name}): broadcasting from an axis on is not understood")
    return OnnxNode(name, node.op_type, opset, attributes, tuple(node.input), tuple(node.output))


def _input_name(value: Any) -> str:
    kind = value.type.tensor_type.elem_type
    dtype = DTYPES.get(kind)
    if dtype is None or not dtype.is_floating_point:
        held = "no tensor" if not kind else f"type {kind}" if dtype is None else dtype
        raise ModelError(f"input {value.name} holds {held}; only floating-point inputs are understood")
    return str(value.name)


def _declared(value: Any) -> list[int | None]:
    return [dimension.dim_value or None for dimension in value.type.tensor_type.shape.dim]

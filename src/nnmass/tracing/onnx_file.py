"""ONNX files as modules."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnmass.errors import ModelError, first_line
from nnmass.files import read_bytes
from nnmass.memory import require_memory
from nnmass.tracing.declared_sizes import closed_sizes
from nnmass.tracing.libraries import import_library
from nnmass.tracing.loaded_model import InputSizes
from nnmass.tracing.onnx_module import OnnxModule
from nnmass.tracing.onnx_node import DTYPES, OnnxNode
from nnmass.tracing.onnx_tensors import attribute_value
from nnmass.tracing.onnx_weights import StoredTensors

_FIRST_OPSET = 6
_LARGEST_FILE = 2**31  # bytes: protocol buffers know no larger ones
_MOST_NODES = 10**6
_DAMAGED = (ArithmeticError, AttributeError, LookupError, RecursionError, RuntimeError, TypeError, ValueError)
"""What comes of a file that is no such file inside."""
_STANDARD = {"", "ai.onnx"}


def read_onnx(
    path: Path, *, image_size: int | None = None
) -> tuple[nn.Module, InputSizes | None, tuple[torch.dtype, ...]]:
    """Read the graph of an ONNX file; nothing of it is executed.

    The parameters are those of the graph: an exporter folds norms into convolutions and leaves out biases of zeros.
    Weights that the file keeps in another file are not read: they become meta tensors.  An open batch size is taken as
    1; other open sizes must be given.

    Returns:
        a module, and the sizes and types of its inputs.

    Raises:
        ModelError: onnx is not installed, the file does not exist or is no ONNX file, it holds operators that are not
            understood, or a graph for images of another size.
    """
    model = _parsed(path)
    try:
        module, types = _module(model, path.parent)
        stored = {tensor.name for tensor in model.graph.initializer}
        declared = [_declared(value) for value in model.graph.input if value.name not in stored]
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except _DAMAGED as error:
        raise ModelError(f"{path} cannot be read ({type(error).__name__}: {first_line(error)})") from error
    return module, closed_sizes(path, declared, image_size=image_size), types


def _parsed(path: Path) -> Any:
    onnx = import_library("onnx")
    decode_error = import_module("google.protobuf.message").DecodeError  # comes with onnx, without types
    try:
        content = read_bytes(path, limit=_LARGEST_FILE, what="an ONNX file")
        require_memory(3 * len(content), f"{path}")
        model = onnx.load_model_from_string(content)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    except (decode_error, ValueError) as error:
        raise ModelError(f"{path} is not an ONNX file ({first_line(error)})") from None
    if not model.opset_import or not model.graph.node:
        raise ModelError(f"{path} is not an ONNX file, or holds no graph")
    try:
        return _without_functions(model)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except _DAMAGED as error:
        raise ModelError(f"{path} cannot be read ({type(error).__name__}: {first_line(error)})") from error


def _without_functions(model: Any) -> Any:
    """Put the nodes of the file's own functions in the place of their calls."""
    if not model.functions:
        return model
    functions = {(function.domain, function.name): function for function in model.functions}
    counts: dict[tuple[str, str], int] = {}
    for key in _innermost_first(functions):
        counts[key] = sum(counts.get((node.domain, node.op_type), 1) for node in functions[key].node)
    total = sum(counts.get((node.domain, node.op_type), 1) for node in model.graph.node)
    if total > _MOST_NODES:
        raise ModelError(f"functions that make {total:,} nodes are not understood; at most {_MOST_NODES:,} are")
    return import_library("onnx.inliner").inline_local_functions(model)


def _innermost_first(functions: Mapping[tuple[str, str], Any]) -> Iterator[tuple[str, str]]:
    called = {key: {(node.domain, node.op_type) for node in functions[key].node} & set(functions) for key in functions}
    done: set[tuple[str, str]] = set()
    while ready := [key for key, others in called.items() if key not in done and others <= done]:
        done.update(ready)
        yield from ready
    if len(done) < len(called):
        raise ModelError("functions that call themselves are not understood")


def _module(model: Any, folder: Path) -> tuple[OnnxModule, tuple[torch.dtype, ...]]:
    graph = model.graph
    opset = max((entry.version for entry in model.opset_import if entry.domain in _STANDARD), default=0)
    if opset < _FIRST_OPSET:
        raise ModelError(f"operator set {opset} is not understood; {_FIRST_OPSET} and later are")
    tensors = StoredTensors(graph, folder)
    inputs = [value for value in graph.input if value.name not in tensors]
    types = tuple(map(_input_type, inputs))
    nodes = tensors.without_constants([_node(index, node, opset) for index, node in enumerate(graph.node)])
    outputs = [tensors.own(value.name) for value in graph.output]
    return OnnxModule(nodes, tensors.tensors, [str(value.name) for value in inputs], outputs), types


def _node(index: int, node: Any, opset: int) -> OnnxNode:
    name = node.name or f"{node.op_type}_{index}"
    if node.domain not in _STANDARD:
        raise ModelError(f"operator {node.domain}.{node.op_type} (node {name}) is not understood")
    if not node.output or not node.output[0]:
        raise ModelError(f"{node.op_type} (node {name}) gives nothing")
    if node.op_type == "Constant" and not node.name:
        name = node.output[0]
    attributes = {attribute.name: attribute_value(name, attribute) for attribute in node.attribute}
    if attributes.get("broadcast") and "axis" in attributes:  # until version 6
        raise ModelError(f"{node.op_type} (node {name}): broadcasting from an axis on is not understood")
    return OnnxNode(name, node.op_type, opset, attributes, tuple(node.input), tuple(node.output))


def _input_type(value: Any) -> torch.dtype:
    kind = value.type.tensor_type.elem_type
    dtype = DTYPES.get(kind)
    if dtype is None:
        held = f"type {kind}" if kind else "no tensor"
        raise ModelError(f"input {value.name} holds {held}, which is not understood")
    return dtype


def _declared(value: Any) -> list[int | None] | None:
    """Lengths, None for open ones; None where not even their number is said."""
    tensor = value.type.tensor_type
    return [dimension.dim_value or None for dimension in tensor.shape.dim] if tensor.HasField("shape") else None

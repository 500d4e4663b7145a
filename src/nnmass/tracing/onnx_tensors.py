"""Tensors that an ONNX file stores, and attributes of its nodes."""

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnmass.errors import ModelError, first_line
from nnmass.files import open_regular
from nnmass.memory import require_memory
from nnmass.tracing.libraries import import_library
from nnmass.tracing.onnx_node import DTYPES

_EXTERNAL = 1
_LARGEST = 2**40  # numbers of one tensor: more than any file holds


def attribute_value(node: str, attribute: Any) -> Any:
    """Read an attribute of a node.

    Raises:
        ModelError: it is a graph, which makes the node control flow, or is no text where it should be.
    """
    value = import_library("onnx").helper.get_attribute_value(attribute)
    if hasattr(value, "op_type") or hasattr(value, "node"):
        raise ModelError(f"node {node}: control flow is not understood")
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ModelError(f"node {node}: attribute {attribute.name} is not UTF-8 text") from None
    if hasattr(value, "indices") and hasattr(value, "values"):
        return dense_of(value, Path())
    if hasattr(value, "data_type"):
        return tensor_of(value, Path())
    return list(value) if isinstance(value, Iterable) else value


def tensor_of(stored: Any, folder: Path) -> Tensor:
    """Read a stored tensor; floating-point numbers in another file become a meta tensor.

    Raises:
        ModelError: its type is not understood, or it is incomplete, or lies outside the file's folder.
    """
    onnx = import_library("onnx")
    if stored.data_type not in DTYPES:
        raise ModelError(f"tensor {stored.name}: type {stored.data_type} is not understood")
    dtype, dims = DTYPES[stored.data_type], checked_dims(stored.name, stored.dims)
    if stored.data_location == _EXTERNAL:
        return torch.empty(dims, dtype=dtype, device="meta") if dtype.is_floating_point else _external(stored, folder)
    try:
        array = onnx.numpy_helper.to_array(stored)
    except (OSError, ValueError, TypeError, onnx.checker.ValidationError) as error:
        raise ModelError(f"tensor {stored.name} cannot be read: {first_line(error)}") from None
    if dtype is torch.bfloat16:
        return torch.from_numpy(array.astype(np.float32)).to(dtype)
    return torch.from_numpy(np.array(array))


def dense_of(sparse: Any, folder: Path) -> Tensor:
    """Read a sparse tensor, zeros included.

    Raises:
        ModelError: as `tensor_of`, or indices that lie outside it.
        ResourceError: more zeros than there is memory for.
    """
    name = sparse.values.name
    values, indices = tensor_of(sparse.values, folder), tensor_of(sparse.indices, folder)
    dims = checked_dims(name, sparse.dims)
    require_memory(16 * prod(dims), f"the sparse tensor {name}")
    if indices.ndim > 1:
        if indices.shape[1:] != (len(dims),):
            raise ModelError(f"tensor {name} cannot be read: {len(dims)} dimensions, indices for {indices.shape[1]}")
        indices = sum(
            (indices[:, k] * prod(dims[k + 1 :]) for k in range(len(dims))), torch.zeros(1, dtype=torch.int64)
        )
    flat = torch.zeros(prod(dims), dtype=values.dtype)
    if values.ndim != 1 or indices.shape != values.shape or not bool(((indices >= 0) & (indices < len(flat))).all()):
        raise ModelError(f"tensor {name} cannot be read: its indices do not fit")
    return flat.index_put((indices.to(torch.int64),), values).reshape(dims)


def checked_dims(name: str, dims: Iterable[int]) -> list[int]:
    """Return the dimensions of a tensor.

    Raises:
        ModelError: negative ones, or more numbers than any file holds.
    """
    found = list(dims)
    if any(length < 0 for length in found) or prod(found) > _LARGEST:
        raise ModelError(f"tensor {name} cannot be read: it cannot have the dimensions {found[:8]}")
    return found


def _external(stored: Any, folder: Path) -> Tensor:
    """Whole numbers, which tell how to go on, from a file beside the graph."""
    dtype, dims = DTYPES[stored.data_type], list(stored.dims)
    needed = prod(dims) * dtype.itemsize
    place = {entry.key: entry.value for entry in stored.external_data}
    try:
        offset, path = int(place.get("offset") or 0), (folder / place.get("location", "")).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ModelError(f"tensor {stored.name} cannot be read: {place['location']} lies outside the file's folder")
        with open_regular(path) as stream:
            if not 0 <= offset <= path.stat().st_size - needed:
                raise ModelError(f"tensor {stored.name} cannot be read: {path.name} ends before it does")
            stream.seek(offset)
            content = bytearray(stream.read(needed))
    except (OSError, ValueError) as error:
        raise ModelError(f"tensor {stored.name} cannot be read: {first_line(error)}") from None
    return torch.frombuffer(content, dtype=dtype).reshape(dims) if content else torch.empty(dims, dtype=dtype)

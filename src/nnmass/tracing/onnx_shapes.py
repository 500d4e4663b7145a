"""ONNX operators that arrange numbers: shapes, slices, pads and constants."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnmass.tracing.onnx_node import OnnxNode, Operator, integers


def _shape(node: OnnxNode, x: Tensor) -> Tensor:
    return torch.tensor(list(x.shape)[slice(node.get("start", 0), node.get("end"))], dtype=torch.int64)


def _reshape(node: OnnxNode, x: Tensor, shape: Tensor) -> Tensor:
    sizes = integers(shape) or []
    if not node.get("allowzero", 0):
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(node: OnnxNode, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    if axis == 1 and x.ndim > 1:
        return x.flatten(1)
    return x.reshape(x.shape[:axis].numel(), -1)


def _transpose(node: OnnxNode, x: Tensor) -> Tensor:
    return x.permute(node.get("perm", list(reversed(range(x.ndim)))))


def _squeeze(node: OnnxNode, x: Tensor, axes: Tensor | None = None) -> Tensor:
    dims = integers(axes) or node.get("axes")
    return x.squeeze(tuple(range(x.ndim) if dims is None else dims))


def _unsqueeze(node: OnnxNode, x: Tensor, axes: Tensor | None = None) -> Tensor:
    dims = integers(axes) or node.get("axes", [])
    rank = x.ndim + len(dims)
    for dim in sorted(dim % rank for dim in dims):
        x = x.unsqueeze(dim)
    return x


def _concat(node: OnnxNode, *tensors: Tensor) -> Tensor:
    return torch.cat(tensors, node.get("axis", 1))


def _split(node: OnnxNode, x: Tensor, sizes: Tensor | None = None) -> Sequence[Tensor]:
    axis = node.get("axis", 0)
    equal = -(-x.shape[axis] // node.get("num_outputs", len(node.outputs)))
    lengths = integers(sizes) or node.get("split", equal)
    if not isinstance(lengths, list) and -(-x.shape[axis] // lengths) > len(node.outputs):
        raise node.refused(f"a split into more than its {len(node.outputs)} outputs")
    return torch.split(x, lengths, axis)


def _slice(
    node: OnnxNode, x: Tensor, start: Tensor | None = None, end: Tensor | None = None, *more: Tensor | None
) -> Tensor:
    axes, steps = (integers(tensor) for tensor in (*more, None, None)[:2])
    starts, ends = integers(start) or node.get("starts"), integers(end) or node.get("ends")
    axes = axes or node.get("axes") or list(range(len(starts)))
    for axis, first, last, step in zip(axes, starts, ends, steps or [1] * len(axes), strict=True):
        x = _sliced(x, axis, slice(first, last, step))
    return x


def _sliced(x: Tensor, axis: int, part: slice) -> Tensor:
    indices = range(*part.indices(x.shape[axis]))
    if indices.step < 0:
        return x.index_select(axis, torch.tensor(list(indices), dtype=torch.int64, device=x.device))
    stop = max(indices.stop, indices.start)
    return x[(*[slice(None)] * (axis % x.ndim), slice(indices.start, stop, indices.step))]


def _gather(node: OnnxNode, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    if isinstance(x, nn.Parameter) and (axis, x.ndim) == (0, 2) and indices.ndim:  # a table of vectors
        return F.embedding(torch.remainder(indices, x.shape[0]).to(torch.int64), x)
    places = torch.where(indices < 0, indices + x.shape[axis], indices).to(torch.int64)
    if places.ndim == 0:
        return x.select(axis, int(places))
    return x.index_select(axis, places.flatten()).reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def _scatter(node: OnnxNode, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    if node.get("reduction", "none") != "none":
        raise node.refused(f"reduction {node.get('reduction')}")
    return x.index_put(indices.unbind(-1), updates)


def _expand(_: OnnxNode, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(integers(shape) or ())))


def _filled(node: OnnxNode, shape: Tensor) -> Tensor:
    value = node.get("value", torch.zeros(1))
    return torch.full(integers(shape) or [], value.item(), dtype=value.dtype)


def _range(_: OnnxNode, start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    return torch.arange(start.item(), limit.item(), step.item(), dtype=start.dtype)


def _pad(node: OnnxNode, x: Tensor, *more: Tensor | None) -> Tensor:
    pads, value, axes = (*more, None, None, None)[:3]
    amounts = integers(pads) or node.get("pads")
    number = node.get("value", 0.0) if value is None else value.item()
    padded = integers(axes) or list(range(len(amounts) // 2))
    before, after = [0] * x.ndim, [0] * x.ndim
    for index, axis in enumerate(padded):
        before[axis], after[axis] = amounts[index], amounts[index + len(padded)]
    pairs = list(itertools.chain(*zip(reversed(before), reversed(after), strict=True)))
    mode = node.get("mode", "constant")
    if mode == "constant":
        return F.pad(x, pairs, value=number)
    while len(pairs) > 2 and not any(pairs[-2:]):
        del pairs[-2:]  # PyTorch wants padded axes only
    return F.pad(x, pairs, mode={"reflect": "reflect", "edge": "replicate", "wrap": "circular"}[mode])


def _depth_to_space(node: OnnxNode, x: Tensor) -> Tensor:
    block = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, block)
    n, channels, height, width = x.shape
    x = x.reshape(n, block, block, channels // block**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(n, channels // block**2, height * block, width * block)


def _space_to_depth(node: OnnxNode, x: Tensor) -> Tensor:
    block = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_unshuffle(x, block)
    n, channels, height, width = x.shape
    x = x.reshape(n, channels, height // block, block, width // block, block).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(n, channels * block**2, height // block, width // block)


SHAPES: dict[str, Operator] = {
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "ScatterND": _scatter,
    "Shape": _shape,
    "Size": lambda _, x: torch.tensor(x.numel()),
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": lambda _, x, repeats: x.repeat(integers(repeats)),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""Operators by name."""

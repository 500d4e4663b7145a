"""ONNX operators that resize images, as far as PyTorch's interpolation computes the same."""

import math
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from nnmass.tracing.onnx_node import OnnxNode, Operator, integers

_ROUNDING: dict[str, Callable[[float], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
}
_LONGEST = 2**20  # numbers along one axis, which are looked at one by one
_MODES = {("linear", 1): "linear", ("linear", 2): "bilinear", ("linear", 3): "trilinear", ("cubic", 2): "bicubic"}


def _resize(node: OnnxNode, x: Tensor, *more: Tensor | None) -> Tensor:
    scales, sizes = (*(more if _is_old(node) else more[1:]), None, None)[:2]
    axes = [axis % x.ndim for axis in node.get("axes", range(x.ndim))]
    if lengths := integers(sizes):
        factors = [length / x.shape[axis] for axis, length in zip(axes, lengths, strict=True)]
    else:
        factors = node.get("scales") if scales is None else scales.tolist()
    scale = dict(zip(axes, factors, strict=True))
    if any(factor != 1 for axis, factor in scale.items() if axis < 2):
        raise node.refused("resizing channels")
    if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.refused("resizing by aspect ratio")
    spatial = [scale.get(axis, 1.0) for axis in range(2, x.ndim)]
    if node.get("mode", "nearest") == "nearest":
        return F.interpolate(x, _sizes(node, x, spatial), mode=_nearest(node, x, spatial))
    return _smooth(node, x, spatial)


def _sizes(node: OnnxNode, x: Tensor, scales: list[float]) -> list[int]:
    sizes = [math.floor(length * scale + 1e-6) for length, scale in zip(x.shape[2:], scales, strict=True)]
    if max(sizes, default=0) > _LONGEST:
        raise node.refused(f"resizing to {max(sizes):,} numbers")
    return sizes


def _is_old(node: OnnxNode) -> bool:
    """`Upsample` and the first `Resize` take no region of interest and only know one way."""
    return node.operator == "Upsample" or node.opset < 11


def _coordinates(node: OnnxNode) -> str:
    return "asymmetric" if _is_old(node) else str(node.get("coordinate_transformation_mode", "half_pixel"))


def _nearest(node: OnnxNode, x: Tensor, scales: list[float]) -> str:
    """PyTorch's mode that takes the same numbers."""
    where = _coordinates(node)
    rounding = "floor" if _is_old(node) else node.get("nearest_mode", "round_prefer_floor")
    possible = {"nearest", "nearest-exact"}
    for length, scale, size in zip(x.shape[2:], scales, _sizes(node, x, scales), strict=True):
        sources = [_source(where, i, length, scale, size) for i in range(size)]
        if None in sources:
            raise node.refused(f"nearest with {where} coordinates")
        taken = [min(max(_ROUNDING[rounding](source), 0), length - 1) for source in sources if source is not None]
        ratio = length / size
        plain = {"nearest": [math.floor(i * ratio) for i in range(size)]}
        plain["nearest-exact"] = [math.floor((i + 0.5) * ratio) for i in range(size)]
        possible &= {mode for mode, indices in plain.items() if indices == taken}
    if not possible:
        raise node.refused(f"nearest with {where} coordinates and {rounding}")
    return min(possible)


def _source(where: str, i: int, length: int, scale: float, size: int) -> float | None:
    """The coordinate in the input of a number in the output."""
    if where == "asymmetric":
        return i / scale
    if where == "half_pixel" or (where == "pytorch_half_pixel" and size > 1):
        return (i + 0.5) / scale - 0.5
    if where == "align_corners" and size > 1:
        return i * (length - 1) / (size - 1)
    return None


def _smooth(node: OnnxNode, x: Tensor, scales: list[float]) -> Tensor:
    mode, where, sizes = node.get("mode"), _coordinates(node), _sizes(node, x, scales)
    whole = all(abs(n * scale - size) < 1e-6 for n, scale, size in zip(x.shape[2:], scales, sizes, strict=True))
    single = any(size == 1 < length for length, size in zip(x.shape[2:], sizes, strict=True))
    known = {"half_pixel": True, "pytorch_half_pixel": not single, "align_corners": whole and not single}
    special = node.get("antialias", 0) or node.get("exclude_outside", 0) or node.get("cubic_coeff_a", -0.75) != -0.75
    if (mode, len(scales)) not in _MODES or special or not known.get(where, False):
        raise node.refused(f"mode {mode} with {where} coordinates and these options and sizes")
    arguments: dict[str, Any] = {"size": sizes} if whole else {"scale_factor": scales}
    return F.interpolate(x, mode=_MODES[mode, len(scales)], align_corners=where == "align_corners", **arguments)


RESIZING: dict[str, Operator] = {"Resize": _resize, "Upsample": _resize}
"""Operators by name."""

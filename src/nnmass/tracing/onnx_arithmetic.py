"""ONNX operators that work number by number, and reductions."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnmass.tracing.onnx_node import DTYPES, OnnxNode, Operator, integers


def _plain(function: Callable[..., Tensor]) -> Operator:
    """Without attributes."""
    return lambda _, *tensors: function(*tensors)


def _variadic(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    return lambda _, *tensors: reduce(function, tensors)


def _divide(_: OnnxNode, left: Tensor, right: Tensor) -> Tensor:
    whole = not (left.is_floating_point() or right.is_floating_point())
    return torch.div(left, right, rounding_mode="trunc" if whole else None)


def _modulo(node: OnnxNode, left: Tensor, right: Tensor) -> Tensor:
    return torch.fmod(left, right) if node.get("fmod", 0) else torch.remainder(left, right)


def _clip(node: OnnxNode, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    bounds = [node.get(name) if bound is None else bound.item() for name, bound in (("min", low), ("max", high))]
    return x if bounds == [None, None] else torch.clamp(x, *bounds)


def _cast(node: OnnxNode, x: Tensor) -> Tensor:
    if node.get("to") not in DTYPES:
        raise node.refused(f"type {node.get('to')}")
    return x.to(DTYPES[node.get("to")])


def _dropout(node: OnnxNode, x: Tensor, _: Tensor | None = None, training: Tensor | None = None) -> Tensor:
    if training is not None and training.item():
        raise node.refused("training mode")
    return x


def _mean(_: OnnxNode, *tensors: Tensor) -> Tensor:
    return reduce(torch.add, tensors) / len(tensors)


def _prelu(node: OnnxNode, x: Tensor, slope: Tensor) -> Tensor:
    per_channel = x.ndim > 1 and slope.shape[-x.ndim + 1 :] == (x.shape[1], *[1] * (x.ndim - 2))
    if slope.numel() == 1 or node.opset < 7 or (per_channel and slope.numel() == x.shape[1]):
        return F.prelu(x, slope.flatten())
    return torch.where(x >= 0, x, slope * x)


def _softmax(function: Callable[..., Tensor]) -> Operator:
    def run(node: OnnxNode, x: Tensor) -> Tensor:
        if node.opset >= 13:
            return function(x, dim=node.get("axis", -1))
        axis = node.get("axis", 1) % x.ndim  # all axes from this one on together
        return function(x.flatten(axis), dim=axis).reshape(x.shape)

    return run


def _reduction(function: Callable[..., Tensor]) -> Operator:
    def run(node: OnnxNode, x: Tensor, axes: Tensor | None = None) -> Tensor:
        dims = integers(axes) or node.get("axes")
        if dims is None and node.get("noop_with_empty_axes", 0):
            return x
        return function(x, dims or list(range(x.ndim)), bool(node.get("keepdims", 1)))

    return run


def _product(x: Tensor, dims: list[int], keepdim: bool) -> Tensor:
    for dim in sorted((dim % x.ndim for dim in dims), reverse=True):
        x = x.prod(dim, keepdim=keepdim)
    return x


def _elu_like(function: Callable[..., Tensor], **defaults: float) -> Operator:
    """With attributes that are numbers, in the function's order."""
    return lambda node, x: function(x, *(node.get(name, value) for name, value in defaults.items()))


def _selu(node: OnnxNode, x: Tensor) -> Tensor:
    alpha, gamma = node.get("alpha", 1.67326319217681884765625), node.get("gamma", 1.05070102214813232421875)
    out: Tensor = gamma * torch.where(x > 0, x, alpha * torch.expm1(x))
    return out


def _per_axis(node: OnnxNode, x: Tensor, numbers: Tensor) -> Tensor:
    """Scales and zero points: one for all numbers, or one for each place of an axis."""
    if numbers.numel() == 1:
        return numbers.reshape([])
    if numbers.ndim != 1 or node.get("block_size", 0):
        raise node.refused("a scale per block")
    axis = node.get("axis", 1) % x.ndim
    return numbers.reshape([-1 if k == axis else 1 for k in range(x.ndim)])


def _dequantize(node: OnnxNode, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    scale = _per_axis(node, x, scale)
    shifted = x.to(scale.dtype) if zero is None else x.to(scale.dtype) - _per_axis(node, x, zero).to(scale.dtype)
    return shifted * scale


def _quantize(node: OnnxNode, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    kind = DTYPES.get(node.get("output_dtype", 0) or 2) if zero is None else zero.dtype
    if kind is None or kind.is_floating_point or kind is torch.bool:
        raise node.refused(f"type {node.get('output_dtype', kind)}")
    rounded = torch.round(x / _per_axis(node, x, scale).to(x.dtype))
    limits = torch.iinfo(kind)
    shifted = rounded if zero is None else rounded + _per_axis(node, x, zero).to(x.dtype)
    return torch.clamp(shifted, limits.min, limits.max).to(kind)


UNARY: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "HardSwish": F.hardswish,
    "Log": torch.log,
    "Mish": F.mish,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Relu": torch.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
    "Tanh": torch.tanh,
}
BINARY: dict[str, Callable[..., Any]] = {
    "Add": torch.add,
    "And": torch.logical_and,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Mul": torch.mul,
    "Or": torch.logical_or,
    "Sub": torch.sub,
    "Xor": torch.logical_xor,
}
ARITHMETIC: dict[str, Operator] = {
    **{name: _plain(function) for name, function in {**UNARY, **BINARY}.items()},
    "Cast": _cast,
    "CastLike": lambda _, x, like: x.to(like.dtype),
    "Celu": _elu_like(F.celu, alpha=1.0),
    "Clip": _clip,
    "DequantizeLinear": _dequantize,
    "Div": _divide,
    "Dropout": _dropout,
    "Elu": _elu_like(F.elu, alpha=1.0),
    "Gelu": lambda node, x: F.gelu(x, approximate=node.get("approximate", "none")),
    "HardSigmoid": lambda node, x: torch.clamp(node.get("alpha", 0.2) * x + node.get("beta", 0.5), 0, 1),
    "Identity": lambda _, x: x,
    "LeakyRelu": _elu_like(F.leaky_relu, alpha=0.01),
    "LogSoftmax": _softmax(F.log_softmax),
    "Max": _variadic(torch.maximum),
    "Mean": _mean,
    "Min": _variadic(torch.minimum),
    "Mod": _modulo,
    "PRelu": _prelu,
    "Pow": lambda _, base, exponent: torch.pow(base, exponent).to(base.dtype),
    "QuantizeLinear": _quantize,
    "ReduceL2": _reduction(lambda x, dims, keep: torch.linalg.vector_norm(x, dim=dims, keepdim=keep)),
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(torch.mean),
    "ReduceMin": _reduction(torch.amin),
    "ReduceProd": _reduction(_product),
    "ReduceSum": _reduction(torch.sum),
    "ReduceSumSquare": _reduction(lambda x, dims, keep: torch.sum(x * x, dims, keep)),
    "Selu": _selu,
    "Softmax": _softmax(F.softmax),
    "Sum": _variadic(torch.add),
    "Swish": lambda node, x: x * torch.sigmoid(node.get("alpha", 1.0) * x),
    "ThresholdedRelu": lambda node, x: torch.where(x > node.get("alpha", 1.0), x, torch.zeros_like(x)),
    "Where": _plain(torch.where),
}
"""Operators by name."""

"""ONNX operators with weights, norms and pools."""

import itertools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nnmass.tracing.onnx_node import OnnxNode, Operator

_MAX_POOLS: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE_POOLS: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _window(node: OnnxNode, x: Tensor, kernel: Sequence[int]) -> tuple[list[int], list[int], list[int], list[int]]:
    """Strides, dilations, and pads before and after each axis."""
    rank = len(kernel)
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    automatic = node.get("auto_pad", "NOTSET")
    if automatic == "NOTSET":
        pads = node.get("pads", [0] * 2 * rank)
        return strides, dilations, pads[:rank], pads[rank:]
    if automatic == "VALID":
        return strides, dilations, [0] * rank, [0] * rank
    before, after = [], []
    for length, size, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        total = max((-(-length // stride) - 1) * stride + dilation * (size - 1) + 1 - length, 0)
        small, large = total // 2, total - total // 2
        before.append(small if automatic == "SAME_UPPER" else large)
        after.append(large if automatic == "SAME_UPPER" else small)
    return strides, dilations, before, after


def _padded(x: Tensor, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> Tensor:
    pairs = zip(reversed(before), reversed(after), strict=True)
    return F.pad(x, list(itertools.chain(*pairs)), value=value)


def _conv(node: OnnxNode, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    strides, dilations, before, after = _window(node, x, weight.shape[2:])
    if before != after:
        x, before = _padded(x, before, after), [0] * len(before)
    return torch.convolution(
        x, weight, bias, strides, before, dilations, False, [0] * len(before), node.get("group", 1)
    )


def _conv_transpose(node: OnnxNode, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rank = weight.ndim - 2
    if node.get("auto_pad", "NOTSET") not in {"NOTSET", "VALID"} or node.get("output_shape"):
        raise node.refused("an output shape or automatic padding")
    strides, dilations, before, after = _window(node, x, weight.shape[2:])
    extra = node.get("output_padding", [0] * rank)
    cropped = [length - behind for length, behind in zip(extra, after, strict=True)]
    out = torch.convolution(x, weight, bias, strides, [0] * rank, dilations, True, [0] * rank, node.get("group", 1))
    if before == after and not any(before):
        return out if not any(extra) else _padded(out, [0] * rank, extra)
    return _padded(out, [-length for length in before], cropped)


def _gemm(node: OnnxNode, left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    left = left.t() if node.get("transA", 0) else left
    right = right if node.get("transB", 0) else right.t()
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if alpha == 1 and (bias is None or (beta == 1 and bias.ndim == 1)):
        return F.linear(left, right, bias)
    out: Tensor = alpha * F.linear(left, right)
    return out if bias is None else out + beta * bias


def _batch_norm(node: OnnxNode, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    if node.get("training_mode", 0) or (node.opset < 7 and not node.get("is_test", 0)):
        raise node.refused("training mode")
    if not node.get("spatial", 1):
        raise node.refused("a norm of every number, not of channels,")
    return F.batch_norm(x, mean, variance, scale, bias, eps=node.get("epsilon", 1e-5))


def _instance_norm(node: OnnxNode, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


def _layer_norm(node: OnnxNode, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    shape = x.shape[node.get("axis", -1) :]
    return F.layer_norm(
        x, shape, scale.expand(shape), None if bias is None else bias.expand(shape), node.get("epsilon", 1e-5)
    )


def _group_norm(node: OnnxNode, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups = node.get("num_groups")
    if scale.numel() != x.shape[1]:  # one number a group, until version 21
        scale, bias = (tensor.repeat_interleave(x.shape[1] // groups) for tensor in (scale, bias))
    return F.group_norm(x, groups, scale, bias, node.get("epsilon", 1e-5))


def _response_norm(node: OnnxNode, x: Tensor) -> Tensor:
    return F.local_response_norm(
        x, node.get("size"), node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    )


def _max_pool(node: OnnxNode, x: Tensor) -> Tensor:
    kernel = node.get("kernel_shape")
    strides, dilations, before, after = _window(node, x, kernel)
    if before != after or any(2 * pad > size for pad, size in zip(before, kernel, strict=True)):
        x, before = _padded(x, before, after, value=float("-inf")), [0] * len(before)
    return _MAX_POOLS[len(kernel)](x, kernel, strides, before, dilations, bool(node.get("ceil_mode", 0)))


def _average_pool(node: OnnxNode, x: Tensor) -> Tensor:
    kernel = node.get("kernel_shape")
    strides, dilations, before, after = _window(node, x, kernel)
    if any(dilation != 1 for dilation in dilations):
        raise node.refused("dilation")
    ceil, count = bool(node.get("ceil_mode", 0)), bool(node.get("count_include_pad", 0))
    pool = _AVERAGE_POOLS[len(kernel)]
    if before == after and not any(2 * pad > size for pad, size in zip(before, kernel, strict=True)):
        return pool(x, kernel, strides, before, ceil, count)
    total = pool(_padded(x, before, after), kernel, strides, 0, ceil)
    if count:
        return total
    ones = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype)
    return total / pool(_padded(ones, before, after), kernel, strides, 0, ceil).to(total.device)


def _global_pool(reduce: Callable[..., Tensor]) -> Operator:
    return lambda _, x: reduce(x, tuple(range(2, x.ndim)), True)


LAYERS: dict[str, Operator] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Einsum": lambda node, *tensors: torch.einsum(node.get("equation"), *tensors),
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool(torch.mean),
    "GlobalMaxPool": _global_pool(torch.amax),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _response_norm,
    "LayerNormalization": _layer_norm,
    "MatMul": lambda _, left, right: torch.matmul(left, right),
    "MaxPool": _max_pool,
}
"""Operators by name."""

"""Convolutions, linear layers and products of tensors."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnmass.topology.graph import Operand
from nnmass.tracing import reasons
from nnmass.tracing.broadcasting import meet, modulates
from nnmass.tracing.call import Call
from nnmass.tracing.layout import Axis, MixedError, Value, blank, expand, placed, without_channels
from nnmass.tracing.operator_costs import macs_of
from nnmass.tracing.tracer import Tracer, operand
from nnmass.tracing.windows import convolved


def convolution(tracer: Tracer, call: Call) -> Value | None:
    """``aten::convolution``: a layer; with constant weights per channel, a pool."""
    source, weight, out = call["input"], call["weight"], call.out
    transposed, groups = bool(call["transposed"]), int(call["groups"])
    value = tracer.value(source)
    if tracer.value(weight) is not None or tracer.value(call["bias"]) is not None:
        return tracer.refuse(call, reasons.DYNAMIC, out)
    assert value is not None
    dims = convolved(tracer.grids, call, value, tracer.path.name)
    if not tracer.roots(weight) and groups == source.shape[1] == out.shape[1]:
        return replace(value, dims=tuple(dims))
    channels = _contracted(tracer, value, 1)
    if channels is None:
        return tracer.refuse(call, reasons.CONVOLUTION_OVER_POSITIONS, out)
    enlarged = tracer.path.name if transposed and prod(out.shape[2:]) > prod(source.shape[2:]) else None
    costs = {
        "kernel": tuple(weight.shape[2:]),
        "groups": groups,
        "resolution": tuple(out.shape[2:]),
        "params": tracer.new_params(weight, call["bias"]),
        "macs": macs_of(call),
    }
    found = placed(0, dims)
    node = tracer.node("conv", out.shape[1], [channels], **costs, grid=found.grids)
    return replace(placed(node, dims), upsampled=enlarged)


def product_with_matrix(tracer: Tracer, call: Call) -> Value | None:
    """``aten::mm`` and ``aten::addmm``: a linear layer where one factor is constant."""
    left, right = (call["mat1"], call["mat2"]) if call.name == "aten::addmm" else (call["self"], call["mat2"])
    bias = call["self"] if call.name == "aten::addmm" else None
    return _linear(tracer, call, left, right, bias)


def batched_product(tracer: Tracer, call: Call) -> Value | None:
    """``aten::bmm`` and ``aten::baddbmm``: a linear layer where one factor is one constant matrix."""
    left, right = (call["batch1"], call["batch2"]) if call.name == "aten::baddbmm" else (call["self"], call["mat2"])
    bias = call["self"] if call.name == "aten::baddbmm" else None
    known = [tensor for tensor in (left, right) if tracer.value(tensor) is None]
    if not any(tensor.stride(0) == 0 for tensor in known) and _is_per_group(tracer, left, right):
        return tracer.refuse(call, reasons.GROUPED_MATRICES if known else reasons.ATTENTION, call.out)
    return _linear(tracer, call, left, right, bias)


def _is_per_group(tracer: Tracer, left: Tensor, right: Tensor) -> bool:
    """Whether a batch of matrices is more than one for each sample."""
    values = [value for tensor in (left, right) if (value := tracer.value(tensor)) is not None]
    kinds = {axis.kind for value in values for axis in value.dims[0]}
    return left.shape[0] > 1 and (len(values) > 1 or kinds != {"sample"})


def attention(tracer: Tracer, call: Call) -> Sequence[Value]:
    """Scaled dot-product attention."""
    outs = call.out if isinstance(call.out, tuple) else (call.out,)
    return [tracer.refuse(call, reasons.ATTENTION, out) for out in outs if isinstance(out, Tensor)]


def _linear(tracer: Tracer, call: Call, left: Tensor, right: Tensor, bias: Tensor | None) -> Value | None:
    out = call.out
    values = tracer.value(left), tracer.value(right)
    if values[0] is not None and values[1] is not None:
        return tracer.refuse(call, reasons.ATTENTION, out)
    if values[0] is None and values[1] is None:
        return tracer.refuse(call, reasons.CONSTANT_PRODUCT, out)
    if tracer.value(bias) is not None:
        raise MixedError("of several tensors that depend on the input")
    source, weight, dim = (left, right, left.ndim - 1) if values[0] is not None else (right, left, right.ndim - 2)
    value = tracer.value(source)
    assert value is not None
    channels = _contracted(tracer, value, dim)
    if channels is None:
        return tracer.refuse(call, reasons.LINEAR_OVER_POSITIONS, out)
    width_dim = out.ndim - 1 if source is left else out.ndim - 2
    form = [without_channels(axes) for axes in value.dims]
    form[dim] = (Axis("channel", out.shape[width_dim]),)
    found = placed(0, form)
    costs = {
        "resolution": found.positions,
        "grid": found.grids,
        "params": tracer.new_params(weight, bias),
        "macs": macs_of(call),
    }
    node = tracer.node("linear", out.shape[width_dim], [channels], **costs)
    return placed(node, form)


def _contracted(tracer: Tracer, value: Value, dim: int) -> Operand | None:
    """The channels that a layer sums over, if it sums over all of them.

    Raises:
        MixedError: it sums over samples, as it does where an input has no dimension for them.
    """
    if any(axis.kind == "sample" and axis.size > 1 for axis in value.dims[dim]):
        raise MixedError("sums over samples, which come first in every input")
    read = operand(value)
    raw = all(tracer.drafts.nodes[s].kind == "input" for s in read.channels.sources.tolist())
    elsewhere = value.codes.size // value.codes.shape[dim]
    if elsewhere == 1 or raw:
        return read
    return None


def product(tracer: Tracer, call: Call) -> Value | None:
    """``aten::mul`` and ``aten::div``: scaling, masking, gating."""
    left, right, shape = call["self"], call["other"], call.out.shape
    a, b = tracer.value(left), tracer.value(right)
    if a is None or b is None:
        value, constant = (a, right) if a is not None else (b, left)
        assert value is not None
        scaled = expand(value, shape)
        return without_zeros(scaled, constant) if call.name.startswith("aten::mul") else scaled
    met = meet(tracer.grids, [expand(a, shape), expand(b, shape)])
    (first, second), full = met.values, met.full
    alike = all(full) and first.coarse == second.coarse
    if alike and np.array_equal(a.codes.ravel(), b.codes.ravel()):
        return replace(first, linear=False)
    if alike or not any(full):
        coarse = not full[0] or first.coarse
        return replace(
            tracer.refuse(call, reasons.GATED, call.out), dims=tuple(map(without_channels, met.dims)), coarse=coarse
        )
    keeps_first = full[0] if full[0] != full[1] else not first.coarse
    kept, gate = (first, second) if keeps_first else (second, first)
    if tracer.holds(gate, reasons.ATTENTION):
        return tracer.refuse(call, reasons.ATTENTION, call.out)
    tracer.cut_gate()
    return replace(kept, dims=met.dims, weighted=kept.weighted or modulates(tracer.grids, gate, met.dims))


def gated_unit(tracer: Tracer, call: Call) -> Value:
    """``aten::glu``: a half of the channels scales the other."""
    return tracer.refuse(call, reasons.GATED, call.out)


def without_zeros(value: Value, constant: Any) -> Value:
    """A product with constants: a channel that is multiplied by 0 everywhere is one no more."""
    if isinstance(constant, Tensor) and constant.is_meta:
        return value
    return blank(value, np.asarray(torch.as_tensor(constant == 0).cpu()))

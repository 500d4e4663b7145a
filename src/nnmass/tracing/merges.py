"""Sums and concatenations."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from torch import Tensor

from nnmass.topology.graph import CONSTANT, check_channels, decode, encode
from nnmass.tracing import reasons
from nnmass.tracing.broadcasting import meet
from nnmass.tracing.call import Call
from nnmass.tracing.layout import Axis, MixedError, Value, concatenate, drop, expand, insert, resize, take, view
from nnmass.tracing.tracer import Tracer, operand

EXTREMA = {"aten::maximum", "aten::minimum"}


def addition(tracer: Tracer, call: Call) -> Value | None:
    """``aten::add``, ``sub``, ``maximum``: a sum, unless a term is constant or both are the same channels."""
    shape = call.out.shape
    values = [v for name in ("self", "other") if (v := tracer.value(call[name])) is not None]
    if call.name.removesuffix("_") in EXTREMA:
        values = [replace(value, linear=False) for value in values]
    for k, value in enumerate(values):
        if len(values) == 1 or _centres(tracer, call, values[1 - k], value):
            return expand(value, shape)
    return merged_by_sum(tracer, [expand(value, shape) for value in values], shape)


def merged_by_sum(tracer: Tracer, values: Sequence[Value], shape: Sequence[int]) -> Value:
    """Sum of values of one shape, as a node.

    Raises:
        MixedError: their channels lie in different dimensions.
    """
    sizes = {value.codes.shape for value in values if value.codes.size > 1}
    if len(sizes) > 1:
        raise MixedError
    form = sizes.pop() if sizes else values[0].codes.shape
    met = meet(tracer.grids, values)
    values = [replace(value, codes=np.broadcast_to(value.codes, form)) for value in met.values]
    coarse, upsampled = all(v.coarse for v in values), next((v.upsampled for v in values if v.upsampled), None)
    if all(np.array_equal(value.codes, values[0].codes) for value in values):
        first = values[met.full.index(True)] if any(met.full) else values[0]
        return replace(first, dims=met.dims, linear=all(v.linear for v in values), coarse=coarse)
    width, positions = prod(form), Value(values[0].codes, met.dims)
    node = tracer.node("add", width, map(operand, values), resolution=positions.positions, grid=positions.grids)
    return Value(encode(node, width).reshape(form), met.dims, coarse=coarse, upsampled=upsampled)


def _centres(tracer: Tracer, call: Call, value: Value, source: Value) -> bool:
    """Whether a reduction of another value over all its channels is subtracted from it, as norms do."""
    if value.codes.size != 1 or not call.name.startswith("aten::sub"):
        return False
    node = int(decode(value.codes)[0].item())
    where_why = tracer.drafts.refusals.get(node)
    if where_why is None or reasons.OVER_CHANNELS not in where_why[1]:
        return False
    return tracer.drafts.nodes[node].operands[0].channels.contents == operand(source).channels.contents


def concatenation(tracer: Tracer, call: Call) -> Value | None:
    """``aten::cat``: channels side by side; along positions, one tensor beside constants."""
    dim = call["dim"] % call.out.ndim
    return _joined(tracer, call, call["tensors"], dim)


def stack(tracer: Tracer, call: Call) -> Value | None:
    """``aten::stack``: a new dimension of channels."""
    dim = call["dim"] % call.out.ndim
    values = [tracer.value(tensor) for tensor in call["tensors"]]
    if any(value is None for value in values):
        raise MixedError
    return _side_by_side(tracer, [insert(value, dim) for value in values if value is not None], dim)


def _joined(tracer: Tracer, call: Call, tensors: Sequence[Tensor], dim: int) -> Value | None:
    tensors = [tensor for tensor in tensors if tensor.numel()]
    known = [value for tensor in tensors if (value := tracer.value(tensor)) is not None]
    if any(not value.only_channels(dim) for value in known):
        if all(np.array_equal(value.codes, known[0].codes) for value in known):
            return resize(known[0], call.out.shape)
        return tracer.refuse(call, reasons.POSITIONS_JOINED, call.out)
    form = known[0].codes.shape
    values = []
    for tensor in tensors:
        value = tracer.value(tensor)
        if value is None:
            shape = [tensor.shape[k] if k == dim else size for k, size in enumerate(form)]
            check_channels(prod(shape))
            dims = tuple((Axis("channel", shape[k]),) if k == dim else axes for k, axes in enumerate(known[0].dims))
            value = Value(np.full(shape, CONSTANT, dtype=np.int64), dims)
        values.append(value)
    return _side_by_side(tracer, values, dim)


def _side_by_side(tracer: Tracer, values: Sequence[Value], dim: int) -> Value:
    met = meet(tracer.grids, values, besides=dim)
    return concatenate(met.values, dim, met.dims)


LINEAR = {"aten::sum", "aten::mean"}


def extremum(tracer: Tracer, call: Call) -> Sequence[Value] | None:
    """``aten::max`` and ``min``, of which only the values are described, and not where they lie."""
    value = reduction(tracer, call)
    return None if value is None else [value]


def reduction(tracer: Tracer, call: Call) -> Value | None:
    """``aten::sum``, ``mean``, ``amax`` and the like: a pool over positions; over a part of the channels, a sum."""
    source = call["self"]
    before = tracer.value(source)
    assert before is not None
    value = before if call.name in LINEAR else replace(before, linear=False)
    given = call["dim"] if call.has("dim") else None
    dims = [given] if isinstance(given, int) else given
    chosen = sorted({d % source.ndim for d in dims} if dims else range(source.ndim))
    for dim in chosen:
        value = _without(tracer, value, dim)
    if before.weighted and len(value.grids) < len(before.grids):
        return tracer.refuse(call, reasons.ATTENTION, call.out)  # an average with weights that depend on the data
    if call.has("keepdim") and call["keepdim"]:
        return value
    form = [size for k, size in enumerate(value.codes.shape) if k not in chosen]
    kept = tuple(axes for k, axes in enumerate(value.dims) if k not in chosen)
    return replace(value, codes=value.codes.reshape(form), dims=kept)


def pixel_shuffle(tracer: Tracer, call: Call) -> Value:
    """``aten::pixel_shuffle``: one channel of many, each at its own positions; drawn as their sum, in a larger map."""
    (n, channels, height, width), source = call["self"].shape, tracer.value(call["self"])
    assert source is not None
    times, shape = call["upscale_factor"] ** 2, call.out.shape
    parts = view(source, [n, channels // times, times, height, width])
    each = [resize(drop(take(parts, 2, np.array([k])), 2), shape) for k in range(times)]
    return replace(merged_by_sum(tracer, each, shape), coarse=True, upsampled=tracer.path.name)


def _without(tracer: Tracer, value: Value, dim: int) -> Value:
    """Reduce one dimension to size 1."""
    dims = tuple(() if k == dim else axes for k, axes in enumerate(value.dims))
    count = value.codes.shape[dim]
    if count == 1:
        return replace(value, dims=dims)
    if value.codes.size == count:
        raise MixedError(reasons.OVER_CHANNELS)
    if not value.only_channels(dim):
        raise MixedError
    parts = np.split(value.codes, count, axis=dim)
    shape = [axes[0].size if axes else 1 for axes in dims]
    return merged_by_sum(tracer, [replace(value, codes=part, dims=dims) for part in parts], shape)

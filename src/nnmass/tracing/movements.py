"""Operators that move, pool, scale or normalise numbers without summing over channels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nnmass.topology.graph import check_channels
from nnmass.tracing import layout, windows
from nnmass.tracing.call import Call
from nnmass.tracing.grids import Grid
from nnmass.tracing.layout import Axis, MixedError, Value
from nnmass.tracing.tracer import Handler, Tracer


def only_value(tracer: Tracer, call: Call) -> Value:
    """The one tensor among the arguments that depends on the input.

    Raises:
        MixedError: there are several.
    """
    given = [leaf for leaf in call.given if isinstance(leaf, Tensor)]
    values = [value for tensor in given if (value := tracer.value(tensor)) is not None]
    if len(values) != 1:
        raise MixedError("of two tensors that depend on the input")
    return values[0]


def first_value(tracer: Tracer, call: Call) -> Value:
    """What is known of the first argument.

    Raises:
        MixedError: it is constant.
    """
    value = tracer.value(call.given[0])
    if value is None:
        raise MixedError("of a constant with data")
    return value


def unchanged(tracer: Tracer, call: Call) -> Sequence[Value | None]:
    """The channels of the one argument that depends on the input, in the shape of the (first) result."""
    outs = [call.out] if isinstance(call.out, Tensor) else list(call.out)
    return [layout.expand(only_value(tracer, call), outs[0].shape), *([None] * (len(outs) - 1))]


def activation(tracer: Tracer, call: Call) -> Value:
    """An element-wise function."""
    return replace(layout.expand(only_value(tracer, call), call.out.shape), linear=False)


def constant(tracer: Tracer, call: Call) -> Sequence[None]:
    """A result that does not depend on the numbers of its arguments."""
    return [None]


def viewed(tracer: Tracer, call: Call) -> Value:
    """Any reshaping in row-major order; where it repeats positions, that is noted."""
    if call.name == "aten::unsqueeze":
        return layout.insert(first_value(tracer, call), call["dim"] % call.out.ndim)
    value = layout.view(first_value(tracer, call), call.out.shape)
    kinds = [{axis.kind for axis in axes} for axes in value.dims]
    return _enlarged(tracer, value) if {"position", "broadcast"} in kinds else value


def _enlarged(tracer: Tracer, value: Value) -> Value:
    return replace(value, coarse=True, upsampled=tracer.path.name)


def expanded(tracer: Tracer, call: Call) -> Value:
    """``aten::expand``."""
    return layout.expand(first_value(tracer, call), call.out.shape)


def permuted(tracer: Tracer, call: Call) -> Value:
    """``aten::permute``, ``transpose`` and ``t``."""
    value = first_value(tracer, call)
    order = list(range(len(value.dims)))
    if call.name == "aten::permute":
        order = [d % len(order) for d in call["dims"]]
    elif call.name == "aten::transpose":
        a, b = call["dim0"] % len(order), call["dim1"] % len(order)
        order[a], order[b] = order[b], order[a]
    else:
        order.reverse()
    return layout.permute(value, order)


def sliced(tracer: Tracer, call: Call) -> Value:
    """``aten::slice``."""
    source = call["self"]
    dim = call["dim"] % source.ndim
    index = np.arange(source.shape[dim])[slice(call["start"], call["end"], call["step"])]
    return layout.take(first_value(tracer, call), dim, index, step=call["step"])


def selected(tracer: Tracer, call: Call) -> Value:
    """``aten::select``."""
    source = call["self"]
    dim = call["dim"] % source.ndim
    index = np.array([call["index"] % source.shape[dim]])
    return layout.drop(layout.take(first_value(tracer, call), dim, index), dim)


def divided(tracer: Tracer, call: Call) -> Sequence[Value]:
    """``aten::split``, ``split_with_sizes``, ``chunk``, ``tensor_split``; ``unbind`` removes the dimension."""
    value = first_value(tracer, call)
    dim, parts, start = call["dim"] % call["self"].ndim, [], 0
    for out in call.out:
        size = 1 if call.name == "aten::unbind" else out.shape[dim]
        part = layout.take(value, dim, np.arange(start, start + size))
        parts.append(layout.drop(part, dim) if call.name == "aten::unbind" else part)
        start += size
    return parts


def indexed(tracer: Tracer, call: Call) -> Value:
    """``aten::index`` with constants in one dimension, and ``aten::index_select``."""
    value = first_value(tracer, call)
    chosen_by = [call["index"]] if call.name == "aten::index_select" else call["indices"]
    if any(tracer.value(index) is not None for index in chosen_by):
        raise MixedError("chooses by data")
    if call.name == "aten::index_select":
        dim, index = call["dim"] % call["self"].ndim, call["index"]
    else:
        given = [(k, index) for k, index in enumerate(call["indices"]) if index is not None]
        if len(given) != 1 or given[0][1].ndim != 1:
            return _positions_only(tracer, value, call)
        dim, index = given[0]
    if not value.may_hold_channels(dim):
        return resized(tracer, value, call.out.shape)
    if index.is_meta:
        raise MixedError("chooses channels by numbers that are not known")
    chosen = torch.arange(value.codes.shape[dim])[index.cpu()].numpy()
    return layout.take(value, dim, chosen)


def _positions_only(tracer: Tracer, value: Value, call: Call) -> Value:
    """Choosing among positions leaves the channels alone."""
    out = call.out
    if out.ndim == len(value.dims) and all(
        index is None or not value.holds_channels(k) for k, index in enumerate(call["indices"])
    ):
        return resized(tracer, value, out.shape)
    raise MixedError("chooses in several dimensions")


def flipped(tracer: Tracer, call: Call) -> Value:
    """``aten::flip`` and ``aten::roll``."""
    value = first_value(tracer, call)
    shifts = call["shifts"] if call.name == "aten::roll" else [None] * len(call["dims"])
    for dim, shift in zip(call["dims"], shifts, strict=True):
        at = dim % len(value.dims)
        index = np.arange(call.out.shape[at])
        value = layout.take(value, at, index[::-1] if shift is None else np.roll(index, shift))
    return value


def padded(tracer: Tracer, call: Call) -> Value:
    """``aten::constant_pad_nd``."""
    value, pad = first_value(tracer, call), call["pad"]
    for k in range(len(pad) // 2):
        dim, before, after = len(value.dims) - 1 - k, pad[2 * k], pad[2 * k + 1]
        if value.may_hold_channels(dim) and (before or after):
            value = layout.pad_channels(value, dim, before, after)
    return layout.resize(value, call.out.shape, windows.padded(tracer.grids, pad, value))


def pooled(tracer: Tracer, call: Call) -> Sequence[Value]:
    """Pools, and paddings of positions; where a maximum lies is not described."""
    out = call.out if isinstance(call.out, Tensor) else call.out[0]
    value = first_value(tracer, call)
    value = layout.resize(value, out.shape, windows.pooled(tracer.grids, call, value))
    return [replace(value, linear=value.linear and "max" not in call.name)]


def upsampled(tracer: Tracer, call: Call) -> Value:
    """Interpolation."""
    value, shape = first_value(tracer, call), call.out.shape
    return resized(tracer, value, shape, windows.interpolated(tracer.grids, value, shape, tracer.path.name))


def resized(
    tracer: Tracer, value: Value, shape: Sequence[int], grids: Mapping[int, Grid | None] | None = None
) -> Value:
    """Another number of positions; where the map is enlarged, that is noted."""
    found = layout.resize(value, shape, grids)
    return found if found.extent <= value.extent else _enlarged(tracer, found)


def repeated(tracer: Tracer, call: Call) -> Value:
    """``aten::repeat``."""
    value, out = first_value(tracer, call), call.out
    new = out.ndim - len(value.dims)
    codes = value.codes.reshape([1] * new + list(value.codes.shape))
    dims, repeats = [()] * new + list(value.dims), call["repeats"]
    for k, times in enumerate(repeats):
        if times > 1 and any(axis.kind == "channel" for axis in dims[k]):
            if any(axis.kind != "channel" for axis in dims[k] if axis.counts):
                raise MixedError
            check_channels(codes.size * times)
            codes = np.concatenate([codes] * times, axis=k)
            dims[k] = (Axis("channel", codes.shape[k]),)
        elif times > 1:
            dims[k] = (Axis("broadcast", times), *dims[k])
    found = replace(value, codes=codes, dims=tuple(dims), coarse=value.coarse or max(repeats) > 1)
    tiled = any(len({axis.kind for axis in axes} & {"position", "broadcast"}) == 2 for axes in dims)
    return _enlarged(tracer, found) if tiled else found


def shuffled(tracer: Tracer, call: Call) -> Value:
    """``aten::channel_shuffle``."""
    value, (n, channels, *rest) = first_value(tracer, call), call.out.shape
    groups = call["groups"]
    split = layout.view(value, [n, groups, channels // groups, *rest])
    swapped = layout.permute(split, [0, 2, 1, *range(3, 3 + len(rest))])
    return layout.view(swapped, call.out.shape)


def unshuffled(tracer: Tracer, call: Call) -> Value:
    """``aten::pixel_unshuffle``."""
    value, r = first_value(tracer, call), call["downscale_factor"]
    dims: list[tuple[Axis, ...]] = list(value.dims[:-2])
    for size, axes in zip(call["self"].shape[-2:], value.dims[-2:], strict=True):
        axis = axes[0] if len(axes) == 1 else Axis("position", size, Grid.fresh())
        dims += [(part,) for part in layout.parts(axis, r)]
    codes = value.codes.reshape([*value.codes.shape[:-2], 1, 1, 1, 1])
    order = [*range(len(dims) - 4), *(len(dims) - k for k in (3, 1, 4, 2))]
    return layout.view(layout.permute(replace(value, codes=codes, dims=tuple(dims)), order), call.out.shape)


def copied(tracer: Tracer, call: Call) -> Value:
    """``aten::copy``: what is written takes the place of what was there."""
    source = tracer.value(call["src"])
    if source is None:
        raise MixedError("writes constants")
    return layout.expand(source, call.out.shape)


def chosen(tracer: Tracer, call: Call) -> Value:
    """``aten::where`` and ``masked_fill``: between a tensor and constants, by a mask that may be known.

    A mask that depends on other inputs is a gate.
    """
    fills = call.name.startswith("aten::masked_fill")
    mask = call["mask" if fills else "condition"]
    by, given = tracer.value(mask), (call["self"], call["value" if fills else "other"])
    held = [value for tensor in given if (value := tracer.value(tensor)) is not None]
    value = held[0] if len(held) == 1 and by is not None else only_value(tracer, call)
    if by is not None and value is not by and not np.array_equal(by.codes, value.codes):
        tracer.cut_gate()
    value = replace(layout.expand(value, call.out.shape), linear=False)
    if mask.is_meta:
        return value
    kept = fills or tracer.value(call["self"]) is None  # where the mask holds, it is a constant
    return layout.blank(value, (mask if kept else ~mask).cpu().numpy())


ACTIVATIONS = (
    *("_softmax", "_log_softmax", "_prelu_kernel", "prelu", "rrelu_with_noise", "log_sigmoid_forward", "gelu"),
    *("hardswish", "hardsigmoid", "hardtanh", "relu", "relu6", "silu", "mish", "elu", "celu", "selu", "leaky_relu"),
    *("softplus", "threshold", "hardshrink", "softshrink", "sigmoid", "tanh", "clamp"),
)
KEEPING = (
    *("clone", "contiguous", "_to_copy", "alias", "detach", "lift_fresh", "dropout", "native_dropout", "as_strided_"),
    *("neg", "native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "batch_norm"),
    *("cudnn_batch_norm", "_batch_norm_no_update", "native_group_norm", "native_layer_norm", "_fused_rms_norm"),
)
CONSTANTS = ("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "new_zeros", "new_ones")
POOLS = (
    *("max_pool1d", "max_pool2d", "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices", "avg_pool1d"),
    *("avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d"),
    *("adaptive_max_pool2d", "adaptive_max_pool3d", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d"),
    *("replication_pad1d", "replication_pad2d", "replication_pad3d"),
)
INTERPOLATIONS = (
    *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d"),
    *("_upsample_nearest_exact2d", "upsample_linear1d", "upsample_bilinear2d", "_upsample_bilinear2d_aa"),
    *("upsample_bicubic2d", "_upsample_bicubic2d_aa", "upsample_trilinear3d"),
)
VIEWS = (
    "view",
    "_unsafe_view",
    "reshape",
    "_reshape_alias",
    "flatten",
    "unflatten",
    "squeeze",
    "unsqueeze",
    "view_copy",
)

MOVEMENTS: dict[Handler, tuple[str, ...]] = {
    unchanged: KEEPING,
    activation: ACTIVATIONS,
    constant: (*CONSTANTS, "new_full", "new_empty", "new_empty_strided"),
    viewed: VIEWS,
    expanded: ("expand", "expand_copy", "broadcast_to"),
    permuted: ("permute", "transpose", "t"),
    sliced: ("slice",),
    selected: ("select",),
    divided: ("split", "split_with_sizes", "chunk", "tensor_split", "unbind"),
    indexed: ("index", "index_select"),
    flipped: ("flip", "roll"),
    padded: ("constant_pad_nd",),
    pooled: POOLS,
    upsampled: INTERPOLATIONS,
    repeated: ("repeat",),
    shuffled: ("channel_shuffle", "native_channel_shuffle"),
    unshuffled: ("pixel_unshuffle",),
    copied: ("copy",),
    chosen: ("where", "masked_fill"),
}

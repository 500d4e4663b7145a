"""Where the channels of a tensor lie among its dimensions, and what movements do to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nnmass.topology.graph import CONSTANT, Codes, encode


class Axis(NamedTuple):
    """A factor of a dimension: larger than 1, or the only channel.

    Attributes:
        kind: channels, positions, samples, or a broadcast, which holds the same numbers everywhere.
        size: its size.
    """

    kind: Literal["channel", "position", "sample", "broadcast"]
    size: int


@dataclass(frozen=True, eq=False)
class Value:
    """What is known of a tensor that depends on the input.

    Attributes:
        codes: the channels: an array with the tensor's dimensions, of size 1 where a dimension holds no channels.
        dims: axes of each dimension, major first.
        linear: no activation came since the nodes of the channels.
        coarse: it was enlarged by broadcasting or interpolation, or is a product of such.
        upsampled: module in which the map was enlarged, if it was.
        weighted: its positions were scaled by data since then.
    """

    codes: Codes
    dims: tuple[tuple[Axis, ...], ...]
    linear: bool = True
    coarse: bool = False
    upsampled: str | None = None
    weighted: bool = False

    @property
    def extent(self) -> int:
        """Different numbers in one sample."""
        return prod(a.size for axes in self.dims for a in axes if a.kind in ("channel", "position"))

    @property
    def positions(self) -> tuple[int, ...]:
        """Sizes of the dimensions that hold positions."""
        held = (prod(a.size for a in axes if a.kind == "position") for axes in self.dims)
        return tuple(size for size in held if size > 1)

    def holds_channels(self, dim: int) -> bool:
        """Whether a dimension has channels."""
        return any(axis.kind == "channel" for axis in self.dims[dim])

    def may_hold_channels(self, dim: int) -> bool:
        """Whether a dimension has channels, or might have the only one."""
        unknown = not self.dims[dim] and not any(self.holds_channels(k) for k in range(len(self.dims)))
        return unknown or self.holds_channels(dim)

    def only_channels(self, dim: int) -> bool:
        """Whether a dimension has channels, or nothing, and nothing else."""
        return all(axis.kind == "channel" for axis in self.dims[dim])


class MixedError(Exception):
    """A movement that this description cannot follow."""

    def __init__(self, message: str = "mixes channels and positions") -> None:
        super().__init__(message)


def fresh(node: int, shape: Sequence[int], channel_dim: int, *, sample_dim: int | None = 0) -> Value:
    """All channels of a node, in one dimension of a tensor."""
    dims = []
    for k, size in enumerate(shape):
        kind: Literal["channel", "position", "sample"] = "position"
        if k == channel_dim:
            kind = "channel"
        elif k == sample_dim:
            kind = "sample"
        dims.append((Axis(kind, size),) if size > 1 or kind == "channel" else ())
    form = [size if k == channel_dim else 1 for k, size in enumerate(shape)]
    return Value(encode(node, prod(form)).reshape(form), tuple(dims))


def unknown(node: int, shape: Sequence[int]) -> Value:
    """A tensor of which only the node is known."""
    dims = tuple((Axis("position", size),) if size > 1 else () for size in shape)
    return Value(encode(node, 1).reshape([1] * len(shape)), dims)


def view(value: Value, shape: Sequence[int]) -> Value:
    """Reshape: the axes in order, cut or joined into new dimensions.

    Raises:
        MixedError: a new dimension would hold a part of an axis that is no factor of it.
    """
    axes = _joined([axis for dim in value.dims for axis in dim if axis.size > 1])
    dims: list[tuple[Axis, ...]] = []
    for size in shape:
        taken, left = [], size
        while left > 1:
            if not axes:
                raise MixedError
            kind, available = axes.pop(0)
            if left % available == 0:
                taken.append(Axis(kind, available))
                left //= available
            elif available % left == 0:
                taken.append(Axis(kind, left))
                axes.insert(0, Axis(kind, available // left))
                left = 1
            else:
                raise MixedError
        dims.append(tuple(taken))
    return _with_dims(value, tuple(dims))


def _joined(axes: Sequence[Axis]) -> list[Axis]:
    joined: list[Axis] = []
    for axis in axes:
        if joined and joined[-1].kind == axis.kind:
            joined[-1] = Axis(axis.kind, joined[-1].size * axis.size)
        else:
            joined.append(axis)
    return joined


def _with_dims(value: Value, dims: tuple[tuple[Axis, ...], ...]) -> Value:
    form = [prod(a.size for a in axes if a.kind == "channel") for axes in dims]
    return replace(value, codes=value.codes.reshape(form), dims=dims)


def permute(value: Value, order: Sequence[int]) -> Value:
    """Transpose."""
    return replace(value, codes=value.codes.transpose(order), dims=tuple(value.dims[k] for k in order))


def expand(value: Value, shape: Sequence[int]) -> Value:
    """Broadcast to a shape; new or enlarged dimensions hold the same numbers everywhere."""
    new = len(shape) - len(value.dims)
    dims, coarse = [()] * new + list(value.dims), value.coarse
    for k, size in enumerate(shape):
        if prod(a.size for a in dims[k]) == 1 and size > 1:
            dims[k] = (Axis("broadcast", size),)
            coarse = True
    codes = value.codes.reshape([1] * new + list(value.codes.shape))
    return replace(value, codes=codes, dims=tuple(dims), coarse=coarse)


def take(value: Value, dim: int, index: Codes) -> Value:
    """Choose along a dimension.

    Raises:
        MixedError: the dimension holds channels and something else.
    """
    dims = list(value.dims)
    kinds = {axis.kind for axis in dims[dim]}
    if len(kinds) > 1 and "channel" in kinds:
        raise MixedError
    kind = next(iter(kinds)) if len(kinds) == 1 else "position"
    dims[dim] = (Axis(kind, len(index)),) if len(index) > 1 or kind == "channel" else ()
    if kind != "channel":
        return replace(value, dims=tuple(dims))
    return replace(value, codes=np.take(value.codes, index, axis=dim), dims=tuple(dims))


def drop(value: Value, dim: int) -> Value:
    """Remove a dimension of size 1."""
    form = [size for k, size in enumerate(value.codes.shape) if k != dim]
    dims = tuple(axes for k, axes in enumerate(value.dims) if k != dim)
    return replace(value, codes=value.codes.reshape(form), dims=dims)


def insert(value: Value, dim: int) -> Value:
    """Add a dimension of size 1."""
    form = list(value.codes.shape)
    form.insert(dim, 1)
    dims = list(value.dims)
    dims.insert(dim, ())
    return replace(value, codes=value.codes.reshape(form), dims=tuple(dims))


def pool(value: Value, shape: Sequence[int]) -> Value:
    """Change the number of positions.

    Raises:
        MixedError: a dimension that holds channels changes.
    """
    dims = list(value.dims)
    for k, size in enumerate(shape):
        if prod(a.size for a in dims[k]) != size:
            if value.holds_channels(k):
                raise MixedError
            dims[k] = (Axis("position", size),) if size > 1 else ()
    return replace(value, dims=tuple(dims))


def blank(value: Value, where: npt.NDArray[np.bool_]) -> Value:
    """Make constants of the channels that a mask, which is broadcast to the tensor, covers everywhere."""
    mask = where.reshape([1] * (len(value.dims) - where.ndim) + list(where.shape))
    for k, size in enumerate(value.codes.shape):
        if size == 1:
            mask = np.all(mask, axis=k, keepdims=True)
        elif mask.shape[k] not in (1, size) or not value.only_channels(k):
            return value
    return replace(value, codes=np.where(mask, CONSTANT, value.codes))


def pad_channels(value: Value, dim: int, before: int, after: int) -> Value:
    """Add constant channels, or cut some where a number is negative.

    Raises:
        MixedError: the dimension holds something else.
    """
    if not value.only_channels(dim):
        raise MixedError
    start, stop = max(-before, 0), value.codes.shape[dim] - max(-after, 0)
    kept = take(value, dim, np.arange(start, stop))
    widths = [(max(before, 0), max(after, 0)) if k == dim else (0, 0) for k in range(value.codes.ndim)]
    codes = np.pad(kept.codes, widths, constant_values=CONSTANT)
    dims = list(value.dims)
    dims[dim] = (Axis("channel", codes.shape[dim]),)
    return replace(value, codes=codes, dims=tuple(dims))


def concatenate(values: Sequence[Value], dim: int) -> Value:
    """Join along a dimension of channels.

    Raises:
        MixedError: it holds something else in one of them, or their other channels differ.
    """
    if not all(value.only_channels(dim) for value in values):
        raise MixedError
    forms = {value.codes.shape[:dim] + value.codes.shape[dim + 1 :] for value in values}
    if len(forms) > 1:
        raise MixedError
    codes = np.concatenate([value.codes for value in values], axis=dim)
    fullest = max(values, key=lambda value: value.extent / value.codes.shape[dim])
    dims = list(fullest.dims)
    dims[dim] = (Axis("channel", codes.shape[dim]),)
    upsampled = next((value.upsampled for value in values if value.upsampled), None)
    linear, coarse = all(value.linear for value in values), all(value.coarse for value in values)
    return Value(codes, tuple(dims), linear, coarse, upsampled, any(value.weighted for value in values))

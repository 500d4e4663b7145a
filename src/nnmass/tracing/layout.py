"""Where the channels of a tensor lie among its dimensions, and what movements do to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nnmass.topology.graph import CONSTANT, Codes, check_channels, encode
from nnmass.tracing.grids import Grid


class Axis(NamedTuple):
    """A factor of a dimension.  Positions and samples are axes also where there is only one of them.

    Attributes:
        kind: channels, positions, samples, or a broadcast, which holds the same numbers everywhere.
        size: its size.
        grid: of positions, which they are.
    """

    kind: Literal["channel", "position", "sample", "broadcast"]
    size: int
    grid: Grid | None = None

    @property
    def counts(self) -> bool:
        """Whether a dimension that it shares with channels holds something else than channels."""
        return self.kind == "channel" or self.size > 1


@dataclass(frozen=True, eq=False)
class Value:
    """What is known of a tensor that depends on the input.

    Attributes:
        codes: the channels: an array with the tensor's dimensions, of size 1 where a dimension holds no channels.
        dims: axes of each dimension, major first; none where a dimension was inserted, or averaged over.
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

    @property
    def grids(self) -> tuple[Grid, ...]:
        """Grids of the positions."""
        return tuple(axis.grid for axes in self.dims for axis in axes if axis.grid is not None)

    def holds_channels(self, dim: int) -> bool:
        """Whether a dimension has channels."""
        return any(axis.kind == "channel" for axis in self.dims[dim])

    def may_hold_channels(self, dim: int) -> bool:
        """Whether a dimension has channels, or might have the only one."""
        unknown = not self.dims[dim] and not any(self.holds_channels(k) for k in range(len(self.dims)))
        return unknown or self.holds_channels(dim)

    def only_channels(self, dim: int) -> bool:
        """Whether a dimension has channels, or nothing, and nothing else."""
        if not self.holds_channels(dim):
            return not self.dims[dim]
        return all(axis.kind == "channel" for axis in self.dims[dim] if axis.counts)


class MixedError(Exception):
    """A movement that this description cannot follow."""

    def __init__(self, message: str = "mixes channels and positions") -> None:
        super().__init__(message)


def fresh(node: int, shape: Sequence[int], channel_dim: int) -> Value:
    """All channels of a node, in one dimension of a tensor; samples come first, and the rest are positions."""
    dims: list[tuple[Axis, ...]] = [(Axis("position", size, Grid.fresh()),) for size in shape]
    dims[0] = (Axis("sample", shape[0]),)
    dims[channel_dim] = (Axis("channel", shape[channel_dim]),)
    return placed(node, dims)


def placed(node: int, dims: Sequence[tuple[Axis, ...]]) -> Value:
    """All channels of a node, where the dimensions have them."""
    form = [prod(a.size for a in axes if a.kind == "channel") for axes in dims]
    return Value(encode(node, prod(form)).reshape(form), tuple(dims))


def unknown(node: int, shape: Sequence[int], made_of: Sequence[Value] = ()) -> Value:
    """A tensor of which only the node is known: without channels, and with the samples and positions of another."""
    dims: list[tuple[Axis, ...]] = [(Axis("position", size, Grid.fresh()),) if size > 1 else () for size in shape]
    for k, size in enumerate(shape):
        alike = [
            value.dims[k] for value in made_of if k < len(value.dims) and (len(value.dims) == len(shape) or k == 0)
        ]
        found = max((axes for axes in alike if prod(a.size for a in axes) == size), key=len, default=None)
        if found is not None:
            dims[k] = without_channels(found)
    return Value(encode(node, 1).reshape([1] * len(shape)), tuple(dims))


def without_channels(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Axes of a dimension, where channels have become positions."""
    return tuple(Axis("position", a.size, Grid.fresh()) if a.kind == "channel" and a.size > 1 else a for a in axes)


def view(value: Value, shape: Sequence[int]) -> Value:
    """Reshape: the axes in order, cut or joined into new dimensions.

    Raises:
        MixedError: a new dimension would hold a part of an axis that is no factor of it.
    """
    axes = _joined([axis for dim in value.dims for axis in dim if axis.size > 1 or axis.kind != "channel"])
    dims: list[tuple[Axis, ...]] = []
    for k, size in enumerate(shape):
        singles = k + 1 < len(shape) and shape[k + 1] == 1  # which take the single positions that come next
        taken = _taken(axes, size) if size > 1 else _singles(axes, 1 if singles else len(axes))
        if size > 1 and not singles:
            taken += _singles(axes, len(axes))
        dims.append(tuple(taken))
    return _with_dims(value, tuple(dims))


def _taken(axes: list[Axis], size: int) -> list[Axis]:
    """Take the axes of a dimension off a list."""
    taken, left = [], size
    while left > 1:
        if not axes:
            raise MixedError
        axis = axes.pop(0)
        if left % axis.size == 0:
            taken.append(axis)
            left //= axis.size
        elif axis.size % left == 0:
            outer, inner = parts(axis, axis.size // left)
            taken.append(outer)
            axes.insert(0, inner)
            left = 1
        elif axes and axes[0].kind == axis.kind:
            axes[0] = Axis(axis.kind, axis.size * axes[0].size, axis.grid and Grid.fresh())
        else:
            raise MixedError
    return taken


def parts(axis: Axis, inner: int) -> tuple[Axis, Axis]:
    """Groups of neighbours, and the neighbours within each."""
    outer, within = axis.grid.split(inner) if axis.grid is not None else (None, None)
    return Axis(axis.kind, axis.size // inner, outer), Axis(axis.kind, inner, within)


def _singles(axes: list[Axis], most: int) -> list[Axis]:
    """Take axes of size 1 off the front of a list."""
    count = 0
    while count < min(most, len(axes)) and axes[count].size == 1:
        count += 1
    taken, axes[:count] = axes[:count], []
    return taken


def _joined(axes: Sequence[Axis]) -> list[Axis]:
    """Neighbours of one kind as one; of positions those alone that were one before."""
    joined: list[Axis] = []
    for axis in axes:
        whole = axis
        while joined and (one := _as_one(joined[-1], whole)) is not None:
            whole = one
            joined.pop()
        joined.append(whole)
    return joined


def _as_one(major: Axis, minor: Axis) -> Axis | None:
    size = major.size * minor.size
    if major.kind != minor.kind:
        return None
    if major.grid is None or minor.grid is None:
        return Axis(major.kind, size)
    grid = major.grid.joined(minor.grid)
    return None if grid is None else Axis(major.kind, size, grid)


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


def take(value: Value, dim: int, index: Codes, *, step: int = 1) -> Value:
    """Choose along a dimension.

    Args:
        value: the tensor.
        dim: the dimension.
        index: what is chosen.
        step: distance of what is chosen, which tells the positions from those before also where one is left of one.

    Raises:
        MixedError: the dimension holds channels and something else.
    """
    dims, before = list(value.dims), prod(a.size for a in value.dims[dim])
    kinds = {axis.kind for axis in dims[dim] if axis.counts}
    if len(kinds) > 1 and "channel" in kinds:
        raise MixedError
    if "channel" in kinds:
        dims[dim] = (Axis("channel", len(index)),)
        return replace(value, codes=np.take(value.codes, index, axis=dim), dims=tuple(dims))
    if len(index) != before or step != 1:
        dims[dim] = _chosen(dims[dim], len(index), len(index) - before, step)
    return replace(value, dims=tuple(dims))


def _chosen(axes: tuple[Axis, ...], size: int, change: int, step: int) -> tuple[Axis, ...]:
    kinds = {axis.kind for axis in axes}
    if not kinds or kinds != {"position"}:
        kind = next(iter(kinds)) if len(kinds) == 1 else "position"
        return (Axis(kind, size, Grid.fresh() if kind == "position" else None),) if size > 1 or kind == "sample" else ()
    grid = axes[0].grid if len(axes) == 1 else None
    if grid is None:
        return (Axis("position", size, Grid.fresh()),)
    cut = grid.windowed(kernel=1, stride=step, padding=0) if step != 1 else grid.shifted(change)
    return (Axis("position", size, cut),)


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


def resize(value: Value, shape: Sequence[int], grids: Mapping[int, Grid | None] | None = None) -> Value:
    """Change the positions.

    Args:
        value: the tensor.
        shape: its new sizes.
        grids: by dimension, which positions these are now; None: they are averaged over.  Without, positions whose
            number changes are others than any before.

    Raises:
        MixedError: a dimension that holds channels changes.
    """
    dims, grids = list(value.dims), grids or {}
    for k, size in enumerate(shape):
        same = prod(a.size for a in dims[k]) == size
        if same and k not in grids:
            continue
        if value.holds_channels(k):
            if not same:
                raise MixedError
        elif any(axis.kind == "sample" for axis in dims[k]):
            dims[k] = (Axis("sample", size),)
        elif k not in grids:
            dims[k] = (Axis("position", size, Grid.fresh()),)
        else:
            grid = grids[k]
            dims[k] = () if grid is None else (Axis("position", size, grid),)
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
    check_channels(kept.codes.size // max(kept.codes.shape[dim], 1) * (stop - start + max(before, 0) + max(after, 0)))
    widths = [(max(before, 0), max(after, 0)) if k == dim else (0, 0) for k in range(value.codes.ndim)]
    codes = np.pad(kept.codes, widths, constant_values=CONSTANT)
    dims = list(value.dims)
    dims[dim] = (Axis("channel", codes.shape[dim]),)
    return replace(value, codes=codes, dims=tuple(dims))


def concatenate(values: Sequence[Value], dim: int, around: Sequence[tuple[Axis, ...]]) -> Value:
    """Join along a dimension of channels; ``around`` are the axes of the others.

    Raises:
        MixedError: it holds something else in one of them, or their other channels differ.
    """
    if not all(value.only_channels(dim) for value in values):
        raise MixedError
    forms = {value.codes.shape[:dim] + value.codes.shape[dim + 1 :] for value in values}
    if len(forms) > 1:
        raise MixedError
    codes = np.concatenate([value.codes for value in values], axis=dim)
    dims = list(around)
    dims[dim] = (Axis("channel", codes.shape[dim]),)
    upsampled = next((value.upsampled for value in values if value.upsampled), None)
    linear, coarse = all(value.linear for value in values), all(value.coarse for value in values)
    return Value(codes, tuple(dims), linear, coarse, upsampled, any(value.weighted for value in values))

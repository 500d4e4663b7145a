"""What convolutions and pools do to positions."""

from collections.abc import Sequence
from typing import Any

from nnmass.tracing.call import Call
from nnmass.tracing.grids import Grid, Grids
from nnmass.tracing.layout import Axis, Value


def per_dimension(numbers: Any, count: int, default: int) -> list[int]:
    """A number for each of the last dimensions, as PyTorch gives them: none, one for all, or one each."""
    given = list(numbers) if isinstance(numbers, Sequence) else [numbers]
    if not given or given[0] is None:
        return [default] * count
    return [int(number) for number in (given if len(given) == count else given[:1] * count)]


def convolved(grids: Grids, call: Call, value: Value, where: str) -> list[tuple[Axis, ...]]:
    """Axes of what a convolution makes of a tensor."""
    out, kernel = call.out, list(call["weight"].shape[2:])
    count, dims = len(kernel), list(value.dims)
    strides, padding = per_dimension(call["stride"], count, 1), per_dimension(call["padding"], count, 0)
    dilation = per_dimension(call["dilation"], count, 1)
    dims[1] = (Axis("channel", out.shape[1]),)
    for i in range(count):
        step = {"kernel": kernel[i], "stride": strides[i], "padding": 2 * padding[i], "dilation": dilation[i]}
        k = len(dims) - count + i
        if call["transposed"]:
            change = out.shape[k] - call["input"].shape[k]
            dims[k] = _enlarged(grids, dims[k], out.shape[k], where) if strides[i] > 1 or change else dims[k]
        else:
            dims[k] = _windowed(grids, dims[k], out.shape[k], step)
    return dims


def pooled(grids: Grids, call: Call, value: Value) -> dict[int, Grid | None]:
    """The positions after a pool, a padding or an adaptive pool, by dimension, for `layout.resize`."""
    source, out = call["self"], call.out if not isinstance(call.out, tuple) else call.out[0]
    found: dict[int, Grid | None] = {}
    if call.has("output_size"):
        sizes = call["output_size"]
        count = len(sizes) if isinstance(sizes, Sequence) else 1
        for k in range(out.ndim - count, out.ndim):
            found[k] = None if out.shape[k] == 1 else Grid.fresh()
        return found
    if not call.has("kernel_size"):
        return padded(grids, call["padding"], value)
    count = _dimensions(call.name)
    kernel = per_dimension(call["kernel_size"], count, 1)
    padding = per_dimension(call["padding"], count, 0)
    dilation = per_dimension(call["dilation"] if call.has("dilation") else 1, count, 1)
    for i, k in enumerate(range(out.ndim - count, out.ndim)):
        step = {"kernel": kernel[i], "padding": 2 * padding[i], "dilation": dilation[i]}
        step["stride"] = per_dimension(call["stride"], count, kernel[i])[i]
        axes = value.dims[k]
        if kernel[i] == source.shape[k] and not padding[i] and len(axes) == 1 and axes[0].grid is not None:
            found[k] = grids.find(axes[0].grid).reduced()
            continue
        axes = _windowed(grids, axes, out.shape[k], step, ceil=bool(call["ceil_mode"]))
        if len(axes) == 1:
            found[k] = axes[0].grid
    return found


def padded(grids: Grids, padding: Sequence[int], value: Value) -> dict[int, Grid | None]:
    """The positions after some were added on both sides, or cut, by dimension from the last on."""
    found: dict[int, Grid | None] = {}
    for i in range(len(padding) // 2):
        k, change = len(value.dims) - 1 - i, padding[2 * i] + padding[2 * i + 1]
        axes = value.dims[k]
        if change and len(axes) == 1 and axes[0].grid is not None:
            found[k] = grids.find(axes[0].grid).shifted(change)
    return found


def _dimensions(name: str) -> int:
    """Positions that a pool runs over, from its name: ``aten::max_pool2d_with_indices``."""
    return next(n for n in (1, 2, 3) if f"{n}d" in name)


def _windowed(
    grids: Grids, axes: tuple[Axis, ...], size: int, step: dict[str, Any], *, ceil: bool = False
) -> tuple[Axis, ...]:
    """Positions after a window; a dimension without any stays so, but where padding makes some."""
    if len(axes) == 1 and axes[0].grid is not None:
        return (Axis("position", size, grids.find(axes[0].grid).windowed(**step, ceil=ceil)),)
    if not axes and size == 1:
        return ()
    same = step["stride"] == 1 and Grid.fresh().windowed(**step).shift == 0
    kept = same and axes and all(axis.kind == "position" for axis in axes)
    return axes if kept else (Axis("position", size, Grid.fresh()),)


def _enlarged(grids: Grids, axes: tuple[Axis, ...], size: int, where: str) -> tuple[Axis, ...]:
    source = axes[0].grid if len(axes) == 1 else None
    source = grids.find(source) if source is not None else Grid.fresh()
    return (Axis("position", size, Grid.enlarged(where, source)),)


def interpolated(grids: Grids, value: Value, shape: Sequence[int], where: str) -> dict[int, Grid | None]:
    """The positions after an interpolation: of one position to one, nothing tells whether the map is enlarged."""
    found: dict[int, Grid | None] = {}
    for k, size in enumerate(shape):
        axes, held = value.dims[k], value.codes.shape[k]
        if held > 1 or any(axis.kind in ("sample", "channel") for axis in axes):
            continue
        before = max([axis.size for axis in axes], default=1)
        if size != before or size == 1:
            (enlarged,) = _enlarged(grids, axes, size, where)
            found[k] = enlarged.grid
    return found

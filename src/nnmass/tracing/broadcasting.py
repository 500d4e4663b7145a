"""Tensors that meet in a sum, a product or a concatenation: which of them holds how much, whatever the image size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from nnmass.tracing.grids import Grid, Grids
from nnmass.tracing.layout import Axis, Value

_REAL = ("channel", "position")


@dataclass(frozen=True, eq=False)
class Meeting:
    """Tensors of one shape that are combined number by number.

    Attributes:
        values: what is known of them, their enlargements noted.
        dims: axes of the result: of every dimension those of the tensor that holds most along it.
        full: of each tensor, whether it holds as much as the result; one that was pooled does not, also where the
            pool found a single position.
    """

    values: tuple[Value, ...]
    dims: tuple[tuple[Axis, ...], ...]
    full: tuple[bool, ...]


def meet(grids: Grids, values: Sequence[Value], *, besides: int | None = None) -> Meeting:
    """Compare tensors of one shape, and note that the positions of those that hold as much as the result are the same.

    Args:
        grids: where that is noted.
        values: the tensors, broadcast to one shape.
        besides: a dimension along which they are concatenated, and which does not count.
    """
    noted = tuple(_enlarged_into(grids, value, values) for value in values)
    places = range(len(values[0].dims))
    dims = tuple(_most(grids, [value.dims[k] for value in noted]) for k in places)
    counting = [k for k in places if k != besides]
    full = tuple(all(_holds(grids, value.dims[k], dims[k]) for k in counting) for value in noted)
    for value in noted:
        for k in counting:
            if _holds(grids, value.dims[k], dims[k]):
                _unite(grids, value.dims[k], dims[k])
    return Meeting(noted, dims, full)


def modulates(grids: Grids, gate: Value, dims: Sequence[tuple[Axis, ...]]) -> bool:
    """Whether a tensor differs from position to position of another."""
    held = zip(gate.dims, dims, strict=True)
    return any(_positions(mine) and _holds(grids, mine, theirs) for mine, theirs in held if _positions(theirs))


def _most(grids: Grids, candidates: Sequence[tuple[Axis, ...]]) -> tuple[Axis, ...]:
    found = candidates[0]
    for axes in candidates[1:]:
        if not _holds(grids, found, axes) or (not _real(found) and len(axes) > len(found)):
            found = axes
    return found


def _holds(grids: Grids, mine: tuple[Axis, ...], other: tuple[Axis, ...]) -> bool:
    """Whether axes hold as much as others of the same dimension."""
    held, wanted = prod(a.size for a in _real(mine)), prod(a.size for a in _real(other))
    if held != wanted:
        return held > wanted
    if not _positions(other) or held > 1:
        return True
    return bool(_positions(mine)) and not _coarser(grids, mine, other)


def _coarser(grids: Grids, mine: tuple[Axis, ...], other: tuple[Axis, ...]) -> bool:
    """Whether single positions are what is left of others after a pool or strides."""
    pairs = [(grids.find(a), grids.find(b)) for a in _positions(mine) for b in _positions(other)]
    return any(a.comes_from(b) for a, b in pairs)


def _real(axes: tuple[Axis, ...]) -> list[Axis]:
    return [axis for axis in axes if axis.kind in _REAL]


def _positions(axes: tuple[Axis, ...]) -> list[Grid]:
    return [axis.grid for axis in axes if axis.grid is not None]


def _unite(grids: Grids, mine: tuple[Axis, ...], other: tuple[Axis, ...]) -> None:
    pairs = [_positions(mine), _positions(other)]
    if len(pairs[0]) == len(pairs[1]):
        for a, b in zip(*pairs, strict=True):
            grids.unite(b, a)


def _enlarged_into(grids: Grids, value: Value, values: Sequence[Value]) -> Value:
    """Note where a map was enlarged, if that shows only beside another, since all of them have a single position."""
    for k, axes in enumerate(value.dims):
        for grid in _positions(axes):
            if grid.root.enlarged is None or prod(axis.size for axis in axes) > 1:
                continue
            where, source = grid.root.enlarged
            others = [g for other in values if other is not value for g in _positions(other.dims[k]) if g != grid]
            if any(grids.find(g) != grids.find(source) for g in others):
                return replace(value, coarse=True, upsampled=value.upsampled or where)
    return value

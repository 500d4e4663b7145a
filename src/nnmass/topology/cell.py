"""Skips, density, NN-Mass and degree of one cell, in closed form (arXiv:1910.00780, Defs. 1-2, Prop. 1).

A cell has ``depth`` layers, 0 to depth-1, each ``width`` wide.  Layer i >= 2 receives, besides all outputs of
layer i-1, ``min(max_skips, width * (i - 1))`` channels drawn from the outputs of layers 0 to i-2.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from nnmass.errors import InvalidValueError

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
IntLike: TypeAlias = int | npt.NDArray[np.integer]

MIN_DENSITY_DEPTH = 3
"""The smallest depth with a possible skip, hence with a density."""

LARGEST = 1_000_000
"""The largest width and depth; beyond it, 64-bit counts could overflow."""


@overload
def num_skips(width: int, depth: int, max_skips: int) -> int: ...  # type: ignore[overload-overlap]
@overload
def num_skips(width: IntLike, depth: IntLike, max_skips: IntLike) -> IntArray: ...
def num_skips(width: IntLike, depth: IntLike, max_skips: IntLike) -> Any:
    """Count the skip channels that enter the layers of a cell.

    S = sum over i = 2 ... d-1 of min(t, w(i-1)) = w K(K+1)/2 + t (d-2-K), with K = min(d-2, floor(t/w)).

    Source: arXiv:1910.00780, section 3.

    Args:
        width: neurons or channels per layer, w >= 1.
        depth: layers, d >= 1.
        max_skips: maximum number of skip candidates per layer, t >= 0 (t_c in the paper); beyond w(d-2) it saturates.

    Returns:
        An int for integers, else an int64 array of the broadcast shape.

    Raises:
        InvalidValueError: a value is fractional or out of range.

    Examples:
        >>> num_skips(8, 16, 20)  # 8 + 16 + 12 * 20
        264
        >>> num_skips(8, 16, np.array([0, 10, 100]))
        array([  0, 138, 824])
    """
    w, d, t = _checked(width, depth, max_skips)
    return _number(_skips(w, d, t))


@overload
def possible_skips(width: int, depth: int) -> int: ...  # type: ignore[overload-overlap]
@overload
def possible_skips(width: IntLike, depth: IntLike) -> IntArray: ...
def possible_skips(width: IntLike, depth: IntLike) -> Any:
    """Count the skip channels of a fully connected cell: w(d-1)(d-2)/2; 0 below depth 3.

    Source: arXiv:1910.00780, Def. 1.

    Args:
        width: neurons or channels per layer, w >= 1.
        depth: layers, d >= 1.

    Returns:
        An int for integers, else an int64 array of the broadcast shape.

    Raises:
        InvalidValueError: a value is fractional or out of range.

    Examples:
        >>> possible_skips(8, 4)  # layer 2 may take 8, layer 3 may take 16
        24
    """
    w, d, _ = _checked(width, depth, 0)
    return _number(w * ((d - 1) * (d - 2) // 2))


@overload
def cell_density(width: int, depth: int, max_skips: int) -> float: ...  # type: ignore[overload-overlap]
@overload
def cell_density(width: IntLike, depth: IntLike, max_skips: IntLike) -> FloatArray: ...
def cell_density(width: IntLike, depth: IntLike, max_skips: IntLike) -> Any:
    """Share of the possible skips that a cell has: 2S / (w(d-1)(d-2)), in [0, 1].

    Source: arXiv:1910.00780, Def. 1.

    Args:
        width: neurons or channels per layer, w >= 1.
        depth: layers, d >= 3.
        max_skips: maximum number of skip candidates per layer, t >= 0.

    Returns:
        A float for integers, else a float64 array of the broadcast shape.

    Raises:
        InvalidValueError: a value is fractional or out of range; depth below 3, where no skip is possible.

    Examples:
        >>> cell_density(8, 4, 8)  # 16 of 24
        0.6666666666666666
    """
    w, d, t = _checked(width, depth, max_skips)
    if d.min(initial=MIN_DENSITY_DEPTH) < MIN_DENSITY_DEPTH:
        raise InvalidValueError(
            f"depth must be at least {MIN_DENSITY_DEPTH} for a density, got {d.min()}: "
            "a shallower cell has no possible skip"
        )
    return _number(2.0 * _skips(w, d, t) / (w * ((d - 1) * (d - 2))))


@overload
def nn_mass(width: int, depth: int, max_skips: int) -> float: ...  # type: ignore[overload-overlap]
@overload
def nn_mass(width: IntLike, depth: IntLike, max_skips: IntLike) -> FloatArray: ...
def nn_mass(width: IntLike, depth: IntLike, max_skips: IntLike) -> Any:
    """NN-Mass of one cell: width x depth x density = 2 d S / ((d-1)(d-2)); 0 below depth 3.

    The mass of a network is the sum over its cells.  Source: arXiv:1910.00780, Def. 2.

    Args:
        width: neurons or channels per layer, w >= 1.
        depth: layers, d >= 1.
        max_skips: maximum number of skip candidates per layer, t >= 0.

    Returns:
        A float for integers, else a float64 array of the broadcast shape.

    Raises:
        InvalidValueError: a value is fractional or out of range.

    Examples:
        >>> round(nn_mass(8, 16, 20), 4)  # 2 * 16 * 264 / (15 * 14)
        40.2286
    """
    w, d, t = _checked(width, depth, max_skips)
    return _number(_mass(w, d, t))


@overload
def average_degree(width: int, depth: int, max_skips: int) -> float: ...  # type: ignore[overload-overlap]
@overload
def average_degree(width: IntLike, depth: IntLike, max_skips: IntLike) -> FloatArray: ...
def average_degree(width: IntLike, depth: IntLike, max_skips: IntLike) -> Any:
    """Links per neuron or channel of a cell: w(d-1)/d + m(d-1)(d-2)/(2d²), which tends to w + m/2 with depth.

    Source: arXiv:1910.00780, Prop. 1, without its approximation for deep cells.

    Args:
        width: neurons or channels per layer, w >= 1.
        depth: layers, d >= 1.
        max_skips: maximum number of skip candidates per layer, t >= 0.

    Returns:
        A float for integers, else a float64 array of the broadcast shape.

    Raises:
        InvalidValueError: a value is fractional or out of range.

    Examples:
        >>> average_degree(8, 4, 8)  # (3 * 8 * 8 + 16 * 8) links / 32 neurons
        10.0
    """
    w, d, t = _checked(width, depth, max_skips)
    return _number((w * (d - 1) + _skips(w, d, t)) / d)


@dataclass(frozen=True)
class Cell:
    """One cell: ``depth`` layers of ``width`` neurons or channels with at most ``max_skips`` skips each.

    Examples:
        >>> Cell(width=8, depth=16, max_skips=20).num_skips
        264
    """

    width: int
    depth: int
    max_skips: int

    def __post_init__(self) -> None:
        _checked(self.width, self.depth, self.max_skips)
        for name in ("width", "depth", "max_skips"):
            value = getattr(self, name)
            if np.ndim(value):
                raise InvalidValueError(f"{name} of a cell must be one number, got {value!r}")
            object.__setattr__(self, name, int(value))

    @property
    def num_skips(self) -> int:
        """Skip channels in all layers, S."""
        return num_skips(self.width, self.depth, self.max_skips)

    @property
    def density(self) -> float:
        """Share of the possible skips; an `InvalidValueError` below depth 3, where none is possible."""
        return cell_density(self.width, self.depth, self.max_skips)

    @property
    def nn_mass(self) -> float:
        """NN-Mass of this cell."""
        return nn_mass(self.width, self.depth, self.max_skips)

    @property
    def average_degree(self) -> float:
        """Links per neuron or channel."""
        return average_degree(self.width, self.depth, self.max_skips)

    @property
    def layer_skips(self) -> tuple[int, ...]:
        """Skip channels entering each layer 0 ... depth-1: min(t, w(i-1)), and 0 for layers 0 and 1."""
        return tuple(min(self.max_skips, self.width * max(i - 1, 0)) for i in range(self.depth))


def _skips(w: IntArray, d: IntArray, t: IntArray) -> IntArray:
    full = np.minimum(t // w, np.maximum(d - 2, 0))  # layers that take every candidate
    skips: IntArray = w * (full * (full + 1) // 2) + t * (np.maximum(d - 2, 0) - full)
    return skips


def _mass(w: IntArray, d: IntArray, t: IntArray) -> FloatArray:
    mass: FloatArray = 2.0 * d * _skips(w, d, t) / np.maximum((d - 1) * (d - 2), 1)
    return mass


def _checked(width: IntLike, depth: IntLike, max_skips: IntLike) -> tuple[IntArray, IntArray, IntArray]:
    return (
        whole_numbers("width", width, minimum=1),
        whole_numbers("depth", depth, minimum=1),
        whole_numbers("max_skips", max_skips, minimum=0, maximum=np.iinfo(np.int64).max),
    )


def whole_numbers(name: str, value: IntLike, *, minimum: int, maximum: int = LARGEST) -> IntArray:
    """Check that a value, or every value of an array, is a whole number in range.

    Returns:
        int64, of no dimension for a single number.

    Raises:
        InvalidValueError: it is not; names the value and what is allowed.
    """
    array = np.asarray(value)
    if (array.dtype.kind not in "iu" and not isinstance(value, int)) or array.dtype.kind == "b":
        raise InvalidValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    if array.size and array.min() < minimum:
        raise InvalidValueError(f"{name} must be at least {minimum}, got {array.min()}")
    if array.size and array.max() > maximum:
        raise InvalidValueError(f"{name} must be at most {maximum}, got {array.max()}")
    return array.astype(np.int64, copy=False)


def _number(value: npt.NDArray[Any]) -> Any:
    """Give a single number as Python's own."""
    return value.item() if np.ndim(value) == 0 else value

"""Mass, parameters and MACs of many networks at once, in closed form.

Everything is a NumPy expression over whole arrays: a million three-cell networks take about a second.  The
specifications call the same functions with single numbers.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from nnmass.errors import InvalidValueError
from nnmass.topology import nn_mass, num_skips, whole_numbers

Convolution: TypeAlias = Literal["regular", "separable"]
Numbers: TypeAlias = Any
"""A number, or a NumPy array of numbers: one per network."""

POOLED = 4
"""Side of the feature map that a DenseCNN's classifier reads."""


class Costs(NamedTuple):
    """Mass and costs of networks: three arrays of one shape, or three numbers."""

    nn_mass: Numbers
    params: Numbers
    macs: Numbers
    """Multiply-accumulates of one input; FLOPs are twice as many."""


class CellCosts(NamedTuple):
    """Costs of one cell as ``constant + per_layer * (depth - 1) + per_skip * num_skips``.

    The constant belongs to layer 0, which reads the previous cell; everything else is linear in depth and skips.
    """

    constant: Numbers
    per_layer: Numbers
    per_skip: Numbers

    def __call__(self, depth: Numbers, skips: Numbers) -> Numbers:
        """Cost of a cell of this depth with this many skips."""
        return self.constant + self.per_layer * (depth - 1) + self.per_skip * skips


def dense_mlp_costs(width: Numbers, depth: Numbers, max_skips: Numbers, *, in_features: int, num_classes: int) -> Costs:
    """Mass and costs of DenseMLPs (layer form: `nnmass.DenseMLP`).

    Args:
        width: neurons per layer; this and the next two are numbers or arrays that broadcast.
        depth: layers, at least 2.
        max_skips: maximum number of skip candidates per layer.
        in_features: inputs.
        num_classes: outputs of the last layer.

    Raises:
        InvalidValueError: a value is fractional or out of range.

    Examples:
        >>> dense_mlp_costs(8, 16, 20, in_features=64, num_classes=10)
        Costs(nn_mass=40.22857142857143, params=3770, macs=3640)
    """
    whole_numbers("depth", depth, minimum=2)
    for name, value in (("in_features", in_features), ("num_classes", num_classes)):
        whole_numbers(name, value, minimum=1)
    mass, skips = nn_mass(width, depth, max_skips), num_skips(width, depth, max_skips)
    width, depth = _integers(width), _integers(depth)
    last = np.minimum(_integers(max_skips), width * (depth - 2))
    hidden = width * (width * (depth - 2) + skips - last)
    macs = in_features * width + hidden + (width + last) * num_classes
    params = macs + width * (depth - 1) + num_classes
    return Costs(mass, _plain(params), _plain(macs))


def dense_cnn_costs(
    widths: Sequence[Numbers],
    depths: Sequence[Numbers],
    max_skips: Sequence[Numbers],
    *,
    conv: Convolution = "regular",
    image_size: int = 32,
    in_channels: int = 3,
    num_classes: int = 10,
) -> Costs:
    """Mass and costs of DenseCNNs, summed over their cells (layer form: `nnmass.DenseCNN`).

    Args:
        widths: one entry per cell, its channels: a number, or an array with one value per network.
        depths: one entry per cell, its layers; broadcasts with the widths.
        max_skips: one entry per cell, its maximum number of skip candidates; broadcasts likewise.
        conv: ``"regular"`` or ``"separable"``.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.
        num_classes: outputs of the classifier.

    Raises:
        InvalidValueError: a value is fractional or out of range, or the three sequences differ in length.

    Examples:
        >>> dense_cnn_costs((32, 64, 128), (8, 8, 8), (10, 20, 40)).nn_mass
        160.0
    """
    if not len(widths) == len(depths) == len(max_skips) >= 1:
        lengths = f"{len(widths)}, {len(depths)} and {len(max_skips)}"
        raise InvalidValueError(f"widths, depths and max_skips need one entry per cell each, got {lengths} entries")
    whole_numbers("num_classes", num_classes, minimum=1)
    cells = cell_costs(widths, conv=conv, image_size=image_size, in_channels=in_channels)
    mass, params, macs = 0.0, 0, 0
    for (cell_params, cell_macs), width, depth, candidates in zip(cells, widths, depths, max_skips, strict=True):
        skips = num_skips(width, depth, candidates)
        mass = mass + nn_mass(width, depth, candidates)
        params = params + cell_params(_integers(depth), skips)
        macs = macs + cell_macs(_integers(depth), skips)
    head_params, head_macs = head_costs(_integers(widths[-1]), num_classes)
    return Costs(mass, _plain(params + head_params), _plain(macs + head_macs))


def cell_costs(
    widths: Sequence[Numbers], *, conv: Convolution, image_size: int, in_channels: int
) -> list[tuple[CellCosts, CellCosts]]:
    """Parameters and MACs of every cell of a DenseCNN as linear functions of its depth and skips.

    Args:
        widths: per cell its channels, numbers or arrays.
        conv: ``"regular"`` or ``"separable"``.
        image_size: side of the square input, in pixels.
        in_channels: channels of the input.

    Raises:
        InvalidValueError: an unknown convolution, or a size that is not a positive whole number.
    """
    if conv not in get_args(Convolution):
        raise InvalidValueError(f"conv must be one of {', '.join(get_args(Convolution))}, got {conv!r}")
    for name, value in (("image_size", image_size), ("in_channels", in_channels)):
        whole_numbers(name, value, minimum=1)
    regular = conv == "regular"
    costs = []
    previous: Numbers = in_channels
    entering = image_size
    for k, (width, side) in enumerate(
        zip(map(_integers, widths), cell_resolutions(image_size, len(widths)), strict=True)
    ):
        stem = _regular_stem if regular or k == 0 else _separable_stem
        body = _regular_body if regular else _separable_body
        (stem_params, stem_macs), (body_params, body_macs) = stem(width, previous, side, entering), body(width, side)
        costs.append((CellCosts(stem_params, *body_params), CellCosts(stem_macs, *body_macs)))
        previous, entering = width, side
    return costs


def cell_values(width: Numbers, depth: Numbers, max_skips: Numbers, side: int = 1) -> Numbers:
    """Numbers that are alive at the last layer of a cell with skips: the most of all its layers but the first.

    All outputs of the cell, what the last layer reads, gathered, and what it writes; without skips, two outputs.

    Args:
        width: channels; this and the next two are numbers or arrays that broadcast.
        depth: layers.
        max_skips: maximum number of skip candidates per layer.
        side: of the map, in pixels.

    Examples:
        >>> cell_values(8, 4, 10), cell_values(8, 4, 0)  # 3 outputs held, 8 + 10 read, 8 written
        (50, 16)
    """
    skips = np.minimum(max_skips, width * np.maximum(np.asarray(depth) - 2, 0))
    return _plain(np.where(skips > 0, width * (np.asarray(depth) + 1) + skips, 2 * width) * side**2)


def head_costs(width: Numbers, num_classes: int) -> tuple[Numbers, Numbers]:
    """Parameters and MACs of a DenseCNN's classifier, which reads a 4 x 4 map of ``width`` channels."""
    weights = POOLED**2 * width * num_classes
    return weights + num_classes, weights


def cell_resolutions(image_size: int, num_cells: int) -> list[int]:
    """Side of each cell's feature maps: the input's, then halved (rounded up) from cell to cell.

    Examples:
        >>> cell_resolutions(30, 3)
        [30, 15, 8]
    """
    sides = [image_size]
    while len(sides) < num_cells:
        sides.append((sides[-1] + 1) // 2)
    return sides


def _regular_stem(width: Numbers, previous: Numbers, side: int, entering: int) -> tuple[Numbers, Numbers]:
    weights = 9 * previous * width
    return weights + 2 * width, weights * side**2


def _separable_stem(width: Numbers, previous: Numbers, side: int, entering: int) -> tuple[Numbers, Numbers]:
    params = previous * width + width * width + 17 * width  # 9 w depthwise, four batch norms
    macs = previous * width * entering**2 + (9 * width + width * width) * side**2
    return params, macs


def _regular_body(width: Numbers, side: int) -> tuple[tuple[Numbers, Numbers], tuple[Numbers, Numbers]]:
    per_skip = 9 * width + 2
    return (per_skip * width, per_skip), (9 * width * width * side**2, 9 * width * side**2)


def _separable_body(width: Numbers, side: int) -> tuple[tuple[Numbers, Numbers], tuple[Numbers, Numbers]]:
    params = ((width + 2) * width + width * width + 15 * width, width + 2)  # 9 w depthwise, three batch norms
    macs = ((2 * width * width + 9 * width) * side**2, width * side**2)
    return params, macs


def _integers(value: Numbers) -> Numbers:
    """Give lists as arrays and NumPy numbers as 64-bit ones, so that products do not overflow."""
    return value if isinstance(value, int) else np.asarray(value).astype(np.int64, copy=False)


def _plain(value: npt.ArrayLike) -> Numbers:
    array = np.asarray(value)
    return array.item() if array.ndim == 0 else array


def halved(side: int) -> int:
    """Side of a map after a convolution or pool of stride 2 that pads.

    Examples:
        >>> halved(8), halved(7)
        (4, 4)
    """
    return -(-side // 2)

"""Expected singular values of a `DenseCNN` of regular convolutions."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nnmass.architectures import POOLED, DenseCNN
from nnmass.errors import InvalidValueError
from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.theory.activations import FloatArray
from nnmass.propagation.theory.columns import Columns
from nnmass.propagation.theory.expectation import ExpectedLayer
from nnmass.propagation.theory.layer import Weights, expected_layer
from nnmass.propagation.theory.random_matrix import mean_masked_orthogonal, mean_singular_value
from nnmass.topology import Cell

_AREA = 9
_EPSILON = 1e-5  # of PyTorch's batch norm


@dataclass(frozen=True)
class Moments:
    """Second moment of a channel over data and positions, and the square of its mean; both expected over networks."""

    square: float
    squared_mean: float


@dataclass(frozen=True)
class Inputs:
    """What a convolution reads.

    Attributes:
        channels: how many.
        moments: of each, as the convolution reads it.
        active: share of the values that the activation lets through.
        scales: mean squares by which leading batch norm scales them, and how many channels each is for.
    """

    channels: int
    moments: Moments
    active: float = 1.0
    scales: tuple[tuple[float, ...], tuple[float, ...]] = ((1.0,), (1.0,))


def cnn_layers(
    spec: DenseCNN, init: Initialisation, activation: str, *, input_mean_square: float
) -> Iterator[ExpectedLayer]:
    """Expect the layers one by one; layers 1 ... depth-1 of every cell are hidden.

    With circular padding a convolution splits into one matrix per frequency, out × in, whose entries are sums of the
    k² taps: complex, of variance k²·q.  A ReLU after batch norm lets half of the inputs through.  Batch norm, frozen,
    scales rows or columns by 1/√(variance + ε).  A zero border takes taps away: ((3r-2)/(3r))² of them are left on an
    r × r map, and singular values shrink by the root of that.  At stride 2 each output frequency sees 4 aliases of
    each input; the taps fall on the four phases of the map, 1, 2, 2 and 4 on each, and these are the columns.

    A channel's variance after a convolution is q · Σ_inputs Σ_taps (p E[x²] - p² (E x)²), p being the tap's share of
    positions inside the image.

    How near it comes to measurement is in docs/measurements.md (``nnmass reproduce isometry-cnn``).  Batch norms'
    variances, which fluctuate from channel to channel with the images, are known by their expectation only.

    Raises:
        InvalidValueError: separable convolutions.
    """
    if spec.conv != "regular":
        raise InvalidValueError(f'the theory covers conv="regular" only, got conv="{spec.conv}"')
    entering = Inputs(spec.in_channels, Moments(input_mean_square, 0.0))
    resolution = spec.image_size
    for k, (cell, side) in enumerate(zip(spec.cells, spec.resolutions, strict=True)):
        theory = _CellTheory(cell, init, f"cells.{k}.layers.", side, linear=activation == "linear")
        layers, signal = theory.layers(entering, resolution, stride=1 if k == 0 else 2)
        yield from layers
        entering, resolution = Inputs(cell.width, signal), side
    pooled = POOLED**2 * entering.channels
    weights = Weights.of(init, pooled, spec.num_classes)
    yield expected_layer("classifier", spec.num_classes, Columns.plain(pooled), weights, hidden=False)


@dataclass(frozen=True)
class _CellTheory:
    """Theory of one cell.

    Attributes:
        cell: its topology.
        init: its weights.
        path: module path of a layer, without its number.
        side: of its maps.
        linear: without ReLU.
    """

    cell: Cell
    init: Initialisation
    path: str
    side: int
    linear: bool

    def layers(self, entering: Inputs, resolution: int, *, stride: int) -> tuple[list[ExpectedLayer], Moments]:
        """Every layer, and the moments of the last one's output."""
        layers, width = [self._stem(entering, resolution, stride)], self.cell.width
        signal = Moments(1.0, 0.0)
        if self.cell.depth > 1:
            layers.append(self._later(1, self._activated(width), trailing_norm=True))
        scales = [1.0, 1.0]  # of layers 0, 1, ...: 1 / variance of their outputs
        for i, skips in enumerate(self.cell.layer_skips[2:], start=2):
            channels = (skips / (i - 1),) * (i - 1) + (float(width),)  # skips come evenly from layers 0 ... i-2
            inputs = self._activated(width + skips, (tuple(scales), channels))
            layers.append(self._later(i, inputs))
            signal = convolved(self._weights(inputs).variance, tap_shares(self.side), inputs)
            scales.append(_inverse_variance(signal))
        return layers, signal

    def _activated(self, channels: int, scales: tuple[tuple[float, ...], tuple[float, ...]] | None = None) -> Inputs:
        """Channels of N(0, 1), which batch norm made them, after the activation."""
        moments = Moments(1.0, 0.0) if self.linear else Moments(0.5, 1 / (2 * math.pi))
        return Inputs(channels, moments, 1.0 if self.linear else 0.5, scales or ((1.0,), (float(channels),)))

    def _weights(self, inputs: Inputs) -> Weights:
        return Weights.of(self.init, inputs.channels, self.cell.width, kernel_area=_AREA)

    def _stem(self, inputs: Inputs, resolution: int, stride: int) -> ExpectedLayer:
        """Layer 0: convolution of the raw input and batch norm."""
        taps, weights, channels = tap_shares(resolution, stride), self._weights(inputs), inputs.channels
        scale = _inverse_variance(convolved(weights.variance, taps, inputs))
        of_axis = np.array([taps[1], taps[0] + taps[2]]) if stride == 2 else taps.sum(keepdims=True)
        phases = np.outer(of_axis, of_axis).ravel()
        columns = Columns.expected(channels * phases.size, phases * scale, channels)
        count = min(self.cell.width * self.side**2, channels * resolution**2)
        return self._layer(0, columns, weights, phases, count)

    def _later(self, i: int, inputs: Inputs, *, trailing_norm: bool = False) -> ExpectedLayer:
        """Layer i >= 1: batch norm before or after a convolution of what the activation lets through."""
        taps, weights = tap_shares(self.side), self._weights(inputs)
        survivors = taps.sum(keepdims=True) ** 2
        scale = _inverse_variance(convolved(weights.variance, taps, inputs)) if trailing_norm else 1.0
        squares, channels = (np.array(values) for values in inputs.scales)
        columns = Columns.expected(inputs.channels, survivors * scale * squares, inputs.active * channels)
        return self._layer(i, columns, weights, survivors, min(self.cell.width, inputs.channels) * self.side**2)

    def _layer(self, i: int, columns: Columns, weights: Weights, taps: FloatArray, count: int) -> ExpectedLayer:
        """Expect layer i; a column's entries are sums of as many taps, which brings their excess kurtosis down."""
        return expected_layer(
            f"{self.path}{i}",
            self.cell.width,
            columns,
            weights,
            hidden=i > 0,
            count=count,
            symmetry="complex",
            excess_kurtosis=weights.excess_kurtosis * float(taps.sum() / (taps**2).sum()),
        )


def tap_shares(resolution: int, stride: int = 1) -> FloatArray:
    """Share of output positions at which each of the 3 taps of one axis lies inside the image, padding 1.

    Examples:
        >>> tap_shares(8).tolist(), tap_shares(8, stride=2).tolist()  # the first of 4 windows begins outside
        ([0.875, 1.0, 0.875], [0.75, 1.0, 1.0])
    """
    positions = -(-resolution // stride)
    outside = (positions - 1) / positions
    return np.array([outside, 1.0, 1.0 if stride * (positions - 1) + 1 < resolution else outside])


def convolved(variance: float, taps: FloatArray, inputs: Inputs) -> Moments:
    """Moments of a 3 × 3 convolution's output, by its weights' variance and `tap_shares`."""
    weight = variance * inputs.channels
    return Moments(
        weight * taps.sum() ** 2 * inputs.moments.square,
        weight * (taps**2).sum() ** 2 * inputs.moments.squared_mean,
    )


def _inverse_variance(signal: Moments) -> float:
    return float(1 / (signal.square - signal.squared_mean + _EPSILON))


def cnn_short_form(spec: DenseCNN, init: Initialisation) -> float | None:
    """Paper's short form, per frequency, and averaged over the cells' hidden singular values.

    f(w, w + m/2) with the mass m of the cell, times √(k² · weight variance at that fan-in).
    """
    hidden = [(cell, side) for cell, side in zip(spec.cells, spec.resolutions, strict=True) if cell.depth > 1]
    if not hidden:
        return None
    counts = [(cell.depth - 1) * cell.width * side**2 for cell, side in hidden]
    return float(np.average([_short_form(cell, init) for cell, _ in hidden], weights=counts))


def _short_form(cell: Cell, init: Initialisation) -> float:
    columns = cell.width + cell.nn_mass / 2
    if init.kind == "orthogonal":
        return 3 * mean_masked_orthogonal(cell.width, _AREA * columns, columns, symmetry="complex")
    variance = init.weight_variance(_AREA * columns, _AREA * cell.width, kernel_area=_AREA)
    return math.sqrt(_AREA * variance) * mean_singular_value(cell.width, columns, symmetry="complex")

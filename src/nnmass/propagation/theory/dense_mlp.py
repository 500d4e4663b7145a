"""Expected singular values of a `DenseMLP`."""

import math
from collections.abc import Iterator

import numpy as np

from nnmass.architectures import DenseMLP
from nnmass.errors import InvalidValueError
from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.theory.activations import ACTIVATIONS, FloatArray
from nnmass.propagation.theory.columns import Columns
from nnmass.propagation.theory.expectation import ExpectedLayer
from nnmass.propagation.theory.layer import Weights, expected_layer
from nnmass.propagation.theory.random_matrix import mean_singular_value

_NEURONS = 4096
_FEWEST_SAMPLES = 32


def mlp_layers(
    spec: DenseMLP, init: Initialisation, activation: str, *, input_mean_square: float, seed: int
) -> Iterator[ExpectedLayer]:
    """Expect the layers one by one; layers 1 ... depth-2 are hidden.

    A layer's weights are independent of its inputs, so that given these J = W·diag(g) has independent columns of scale
    g = φ′.  The g are drawn from their exact law for one input and normal weights, without data and without weights:
    given the layer's input its outputs are independent N(0, variance · Σφ² + bias variance), and so on, layer by layer.
    That keeps the fluctuation from network to network, which a mean field leaves out.  How near it comes to measurement
    is in docs/measurements.md (``nnmass reproduce isometry-mlp``); what is drawn adds a scatter of its own.
    """
    cell = spec.cells[0]
    widths = [spec.in_features] + [spec.width + skips for skips in cell.layer_skips[1:]]
    outputs = [spec.width] * (spec.depth - 1) + [spec.num_classes]
    weights = [Weights.of(init, columns, rows) for columns, rows in zip(widths, outputs, strict=True)]
    if activation == "linear":
        columns = [Columns.plain(width) for width in widths]
    else:
        columns = [Columns.plain(widths[0])]
        columns += sampled_columns(spec, weights, activation, spec.in_features * input_mean_square, seed)
    for i, (rows, scales, law) in enumerate(zip(outputs, columns, weights, strict=True)):
        yield expected_layer(f"layers.{i}", rows, scales, law, hidden=1 <= i <= spec.depth - 2)


def sampled_columns(
    spec: DenseMLP, weights: list[Weights], activation: str, input_square: float, seed: int
) -> Iterator[Columns]:
    """Scales of the columns of layers 1 ... depth-1, in networks drawn independently."""
    function, generator = ACTIVATIONS[activation], np.random.default_rng(seed)
    samples = max(_FEWEST_SAMPLES, _NEURONS // spec.width)
    squared_norm = np.full(samples, input_square)
    earlier = np.empty((samples, 0))
    for i, skips in enumerate(spec.cells[0].layer_skips[1:], start=1):
        with np.errstate(over="ignore"):
            last = _outputs(squared_norm, spec.width, weights[i - 1], generator)
            z = np.concatenate([last, _drawn(earlier, skips, generator)], axis=1)
            squared_norm = (function.value(z) ** 2).sum(1)
        if not np.isfinite(squared_norm).all():
            raise InvalidValueError(f"no theory: the activations before layer {i} leave double precision")
        earlier = np.concatenate([earlier, last], axis=1)
        yield Columns.sampled(function.slope(z) ** 2)


def _outputs(squared_norm: FloatArray, width: int, weights: Weights, generator: np.random.Generator) -> FloatArray:
    """Outputs of a layer whose input has this squared norm: shape (samples, width)."""
    z = generator.standard_normal((len(squared_norm), width))
    if weights.orthogonal_columns is None:
        std: FloatArray = np.sqrt(weights.variance * squared_norm + weights.bias_variance)
    else:  # part of a uniform direction in as many dimensions as the larger side has
        others = max(weights.orthogonal_columns - width, 0)
        rest = generator.chisquare(others, len(z)) if others else 0.0
        std = np.sqrt(squared_norm / ((z**2).sum(1) + rest))
    outputs: FloatArray = z * std[:, None]
    return outputs


def _drawn(earlier: FloatArray, skips: int, generator: np.random.Generator) -> FloatArray:
    """Draw as many of the earlier outputs, without replacement, anew in every sample."""
    if skips >= earlier.shape[1]:
        return earlier
    chosen = np.argpartition(generator.random(earlier.shape), skips, axis=1)[:, :skips]
    return np.take_along_axis(earlier, chosen, axis=1)


def mlp_short_form(spec: DenseMLP, init: Initialisation) -> float | None:
    """Paper's short form: f(w, w + m/2) times the weights' standard deviation at that fan-in."""
    if spec.depth < 3:
        return None
    columns = spec.width + spec.nn_mass / 2
    std = math.sqrt(init.weight_variance(columns, spec.width))
    if init.kind == "orthogonal":
        return 1.0
    return std * mean_singular_value(spec.width, columns)

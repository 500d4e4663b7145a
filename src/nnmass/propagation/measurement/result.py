"""What a measurement of gradient propagation gave."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmass.propagation.measurement.recording import Skipped
from nnmass.representation import brief

FloatArray = npt.NDArray[np.float64]

DEAD = 0.01
"""A direction is dead where its singular value is at most this share of the layer's mean."""
_NUMERICAL_ZERO = 1e-7  # Gram matrices resolve no smaller ratio
_SHOWN = 0.0005, 1e5  # between these three decimals are shown
_ZERO_NODE = 1e-3  # the node that Lanczos quadrature puts at 0, to rounding in single precision


@dataclass(frozen=True, eq=False)
class LayerIsometry:
    """Singular values of one layer's Jacobians J = P W diag(φ′).

    Attributes:
        name: module path.
        hidden: whether the layer counts for the hidden-only figures.
        rows: size of one output.
        columns: size of one input.
        reads: what lies between the last node of the network and the layer, e.g. ``"batch_norm, relu"``.
        method: ``"gram"``, ``"dense"``, ``"fourier"`` (exact) or ``"lanczos"`` (estimated).
        singular_values: (inputs, min(rows, columns)), descending; after several initialisations (initialisations,
            inputs, ...).  With Lanczos (..., probes, nodes) of a quadrature.
        weights: of the nodes, same shape; None where every singular value is there.
        error: standard error of the mean by probes and steps of Lanczos; 0 where every singular value is there.
        forwards: applications of the layer, or of its transpose, to one input, for one network; 0 where none was made.
    """

    __repr__ = brief

    name: str
    hidden: bool
    rows: int
    columns: int
    reads: str
    method: str
    singular_values: FloatArray
    weights: FloatArray | None
    error: float
    forwards: int

    @property
    def count(self) -> int:
        """Singular values of one Jacobian."""
        return min(self.rows, self.columns)

    @property
    def mean(self) -> float:
        """Mean singular value over directions, inputs and initialisations."""
        return float(self.network_means.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the same."""
        return _std(self.mean_square, self.mean)

    @property
    def mean_square(self) -> float:
        """Mean squared singular value, ‖J‖² / count: how the layer scales the energy of a random gradient."""
        return float(self._average(self.singular_values**2).mean())

    @property
    def condition(self) -> float:
        """Median over Jacobians of largest / smallest singular value; infinite where a direction is numerically zero.

        With Lanczos the smallest is the smallest node above 0, so that this is a lower bound.
        """
        values, largest = self.singular_values, self.singular_values.max(-1)
        if self.weights is not None:
            values = np.where(values > _ZERO_NODE * largest[..., None], values, math.inf)
        smallest = values.min(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(smallest > _NUMERICAL_ZERO * largest, largest / smallest, math.inf)
        return float(np.median(ratio))

    @property
    def dead(self) -> float:
        """Share of directions whose singular value is at most a hundredth of the layer's mean.

        With Lanczos an upper bound: the node at 0 also stands for values near it.
        """
        return float(self._average((self.singular_values <= DEAD * self.mean).astype(float)).mean())

    @property
    def network_means(self) -> FloatArray:
        """Mean singular value of each network: (initialisations,), or (1,) for a model as it is."""
        return np.atleast_1d(self._average(self.singular_values))

    def _average(self, values: FloatArray) -> FloatArray:
        """Average over directions and inputs."""
        weighted = values.mean(-1) if self.weights is None else (values * self.weights).sum(-1)
        average: FloatArray = weighted.mean(-1)
        return average

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the singular values."""
        return {
            "name": self.name,
            "hidden": self.hidden,
            "rows": self.rows,
            "columns": self.columns,
            "reads": self.reads,
            "method": self.method,
            "mean": self.mean,
            "std": self.std,
            "error": self.error,
            "condition": self.condition if math.isfinite(self.condition) else None,
            "dead": self.dead,
            "layer_forwards": self.forwards,
        }


@dataclass(frozen=True, eq=False)
class Isometry:
    """Layerwise singular values of a network, or of several initialisations of a specification.

    Figures without prefix are pooled over the singular values of all hidden layers, those with ``all_`` over every
    measured layer.

    Attributes:
        layers: in the order in which they run.
        skipped: weighted layers that were not measured, and steps that belong to no layer; with the reason.
        inputs: how many inputs.
        initialisations: how many networks; 1 for a model as it is.
        init: the initialisation; ``"as given"`` for a model as it is.
    """

    __repr__ = brief

    layers: tuple[LayerIsometry, ...]
    skipped: tuple[Skipped, ...]
    inputs: int
    initialisations: int
    init: str

    @property
    def mean(self) -> float | None:
        """Mean singular value of the hidden layers; None where there is none."""
        return _pooled_mean(self._hidden)

    @property
    def std(self) -> float | None:
        """Standard deviation of the hidden layers' singular values; None where there is no hidden layer."""
        return _pooled_std(self._hidden)

    @property
    def standard_error(self) -> float | None:
        """Standard error of ``mean`` over initialisations; None for a single network."""
        return _standard_error(self._hidden)

    @property
    def error(self) -> float | None:
        """Standard error of ``mean`` by Lanczos quadrature, within the networks and inputs that were measured."""
        return _pooled_error(self._hidden)

    @property
    def all_mean(self) -> float | None:
        """Mean singular value of all layers."""
        return _pooled_mean(self.layers)

    @property
    def all_std(self) -> float | None:
        """Standard deviation of all layers' singular values."""
        return _pooled_std(self.layers)

    @property
    def all_standard_error(self) -> float | None:
        """Standard error of ``all_mean`` over initialisations; None for a single network."""
        return _standard_error(self.layers)

    @property
    def _hidden(self) -> Sequence[LayerIsometry]:
        return [layer for layer in self.layers if layer.hidden]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the singular values."""
        return {
            "mean": self.mean,
            "std": self.std,
            "standard_error": self.standard_error,
            "error": self.error,
            "all_mean": self.all_mean,
            "all_std": self.all_std,
            "all_standard_error": self.all_standard_error,
            "inputs": self.inputs,
            "initialisations": self.initialisations,
            "init": self.init,
            "layers": [layer.to_dict() for layer in self.layers],
            "skipped": [{"name": skipped.name, "reason": skipped.reason} for skipped in self.skipped],
        }

    def __str__(self) -> str:
        lines = [f"{'layer':<28}{'shape':>16}{'mean':>9}{'std':>9}{'condition':>11}{'dead':>8}  method, layer-forwards"]
        for layer in self.layers:
            shape = f"{layer.rows} × {layer.columns}"
            least, most = ("≥ ", "≤ ") if layer.weights is not None else ("", "")
            lines.append(
                f"{layer.name:<28}{shape:>16}{figure(layer.mean):>9}{figure(layer.std):>9}{f'{least}{layer.condition:.3g}':>11}"
                f"{f'{most}{layer.dead:.1%}':>8}  {layer.method}, {layer.forwards:,}"
            )
        if self.mean is not None:
            spread = f" ± {figure(self.standard_error)}" if self.standard_error is not None else ""
            lines.append(
                f"hidden layers: mean singular value {figure(self.mean)}{spread}, std {figure(self.std or 0.0)}"
            )
        lines += [f"skipped {skipped.name}: {skipped.reason}" for skipped in self.skipped]
        return "\n".join(lines)


def figure(value: float) -> str:
    """Show a singular value: three decimals where they tell something.

    Examples:
        >>> figure(0.5), figure(1.2e-9)
        ('0.500', '1.20e-09')
    """
    return f"{value:.3f}" if value == 0 or _SHOWN[0] <= abs(value) < _SHOWN[1] else f"{value:.2e}"


def _pooled_mean(layers: Sequence[LayerIsometry]) -> float | None:
    return float(_network_means(layers).mean()) if layers else None


def _pooled_std(layers: Sequence[LayerIsometry]) -> float | None:
    if not layers:
        return None
    squares = np.average([layer.mean_square for layer in layers], weights=[layer.count for layer in layers])
    return _std(float(squares), float(_network_means(layers).mean()))


def _standard_error(layers: Sequence[LayerIsometry]) -> float | None:
    if not layers or len(layers[0].network_means) < 2:
        return None
    means = _network_means(layers)
    return float(means.std(ddof=1) / math.sqrt(len(means)))


def _pooled_error(layers: Sequence[LayerIsometry]) -> float | None:
    if not layers:
        return None
    total = sum(layer.count for layer in layers)
    return math.sqrt(sum((layer.count * layer.error / total) ** 2 for layer in layers))


def _network_means(layers: Sequence[LayerIsometry]) -> FloatArray:
    means: FloatArray = np.average(
        [layer.network_means for layer in layers], axis=0, weights=[layer.count for layer in layers]
    )
    return means


def _std(mean_square: float, mean: float) -> float:
    return math.sqrt(max(mean_square - mean**2, 0.0))

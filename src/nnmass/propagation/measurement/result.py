"""What a measurement of gradient propagation gave."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmass.propagation.measurement.intervals import Scatter, of_networks, of_probes
from nnmass.propagation.measurement.lanczos import DEAD
from nnmass.propagation.measurement.recording import Skipped
from nnmass.representation import brief

FloatArray = npt.NDArray[np.float64]

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
        gap: bound of what the steps of Lanczos leave out above the mean; 0 where every singular value is there.
        dead_bounds: (networks, probes, 2) least and largest share of dead directions; None where every one is there.
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
    gap: float
    dead_bounds: FloatArray | None
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
    def interval(self) -> tuple[float, float]:
        """95 % interval of ``mean`` by the choice of probes, and what the steps of Lanczos may leave above it.

        Of the networks that were measured, at the inputs; where every singular value is there it is the mean itself.
        """
        scatter = self._scatter
        half = scatter.half_width if scatter else 0.0
        return max(self.mean - half, 0.0), self.mean + self.gap + half

    @property
    def error(self) -> float:
        """Standard error of the mean by probes and steps of Lanczos; 0 where every singular value is there."""
        scatter = self._scatter
        return math.hypot(scatter.standard_error, self.gap / 2) if scatter else 0.0

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

        With Lanczos an upper bound: `dead_interval`'s end.
        """
        return self.dead_interval[1]

    @property
    def dead_interval(self) -> tuple[float, float]:
        """Where the share of dead directions lies: with Lanczos by bounds of each probe's share, at 95 %."""
        if self.dead_bounds is None:
            share = float(self._average((self.singular_values <= DEAD * self.mean).astype(float)).mean())
            return share, share
        least, most = (self.dead_bounds[..., end] for end in (0, 1))
        low, high = least.mean() - of_probes(least).half_width, most.mean() + of_probes(most).half_width
        return max(float(low), 0.0), min(float(high), 1.0)

    @property
    def network_means(self) -> FloatArray:
        """Mean singular value of each network: (initialisations,), or (1,) for a model as it is."""
        return np.atleast_1d(self._average(self.singular_values))

    @property
    def probe_means(self) -> FloatArray | None:
        """Mean singular value that each probe sees, (networks, probes); None where every singular value is there."""
        if self.weights is None:
            return None
        means: FloatArray = np.atleast_2d((self.singular_values * self.weights).sum(-1))
        return means

    @property
    def _scatter(self) -> Scatter | None:
        return None if self.probe_means is None else of_probes(self.probe_means)

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
            "interval": self.interval,
            "condition": self.condition if math.isfinite(self.condition) else None,
            "dead": self.dead,
            "dead_at_least": self.dead_interval[0],
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
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of ``mean``: over initialisations, or, of a single network, by Lanczos quadrature.

        None where a single network was measured exactly, or where there is no hidden layer.
        """
        return _pooled_interval(self._hidden)

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
    def all_interval(self) -> tuple[float, float] | None:
        """The same of ``all_mean``."""
        return _pooled_interval(self.layers)

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
            "interval": self.interval,
            "all_mean": self.all_mean,
            "all_std": self.all_std,
            "all_standard_error": self.all_standard_error,
            "all_interval": self.all_interval,
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
            lines.append(
                f"hidden layers: mean singular value {shown(self.mean, self.interval)}, std {figure(self.std or 0.0)}"
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


def shown(mean: float, interval: tuple[float, float] | None) -> str:
    """Show a mean, and its interval where there is one.

    Examples:
        >>> shown(0.5, (0.42, 0.58)), shown(0.5, None), shown(0.5, (0.5, 0.5))
        ('0.500 [0.420, 0.580]', '0.500', '0.500')
    """
    if interval is None or interval[0] == interval[1]:
        return figure(mean)
    return f"{figure(mean)} [{figure(interval[0])}, {figure(interval[1])}]"


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
    return of_networks(_network_means(layers)).standard_error


def _pooled_interval(layers: Sequence[LayerIsometry]) -> tuple[float, float] | None:
    if not layers:
        return None
    means, counts = _network_means(layers), np.array([layer.count for layer in layers], dtype=np.float64)
    shares, gap = counts / counts.sum(), float(counts @ [layer.gap for layer in layers] / counts.sum())
    seen = [(share, layer.probe_means) for share, layer in zip(shares, layers, strict=True)]
    probed = [share * of_layer for share, of_layer in seen if of_layer is not None]
    if len(means) > 1:
        half = of_networks(means).half_width
    elif probed:  # a probe's vectors share their input: they are added before their scatter is taken
        half = of_probes(np.sum(probed, axis=0)).half_width
    else:
        return None
    return max(float(means.mean()) - half, 0.0), float(means.mean()) + gap + half


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

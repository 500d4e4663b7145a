"""NN-Mass beside plain parameter and MAC counts, on the same networks."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.errors import FitError
from nnmass.prediction.predictor import LogFit, MassPredictor
from nnmass.representation import brief

FloatArray: TypeAlias = npt.NDArray[np.float64]

QUANTITIES = ("nn_mass", "params", "macs")
_RESAMPLES = 2_000
_LEVEL = 0.95


@dataclass(frozen=True)
class Network:
    """One network and what was measured of it.

    Attributes:
        nn_mass: NN-Mass.
        params: trainable parameters.
        macs: multiply-accumulates of one input.
        accuracy: mean over its seeds.
        seeds: how many.
        accuracy_std: standard deviation over the seeds; 0 for one seed.
        group: what may be left out as a whole, e.g. its depth.
    """

    __repr__ = brief

    nn_mass: float
    params: int
    macs: int
    accuracy: float
    seeds: int
    accuracy_std: float
    group: Hashable


@dataclass(frozen=True)
class QuantityFit:
    """How well the logarithm of one quantity predicts accuracy, or whatever else was measured.

    Attributes:
        fit: the line through all networks.
        r2_interval: 95 % percentile bootstrap over networks.
        r2_lead: the R² of log NN-Mass minus this one.
        r2_lead_interval: its 95 % percentile bootstrap, both fitted to the same resampled networks.
        group_errors: per group the root mean square error of predicting it from the other groups' line.
    """

    __repr__ = brief

    fit: LogFit
    r2_interval: tuple[float, float]
    r2_lead: float
    r2_lead_interval: tuple[float, float]
    group_errors: dict[Hashable, float]

    @property
    def group_error(self) -> float | None:
        """Root mean square of the errors of left-out groups; None with fewer than two groups."""
        errors = list(self.group_errors.values())
        return float(np.sqrt(np.mean(np.square(errors)))) if errors else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        line = self.fit
        return {
            "slope": line.slope,
            "intercept": line.intercept,
            "r2": line.r2,
            "r2_interval_95": list(self.r2_interval),
            "r2_lead_of_mass": self.r2_lead,
            "r2_lead_of_mass_interval_95": list(self.r2_lead_interval),
            "loo_error": line.loo_error,
            "residual_std": line.residual_std,
            "n": line.n,
            "range": list(line.range),
            "left_out_group_errors": {str(group): error for group, error in self.group_errors.items()},
            "left_out_group_error": self.group_error,
        }


@dataclass(frozen=True)
class Comparison:
    """Fits of accuracy on log NN-Mass, log params and log MACs, on the same networks.

    Attributes:
        fits: by quantity.
        networks: what was fitted.
        left_out: networks of mass 0, whose logarithm does not exist; they are left out of every fit.
    """

    __repr__ = brief

    fits: dict[str, QuantityFit]
    networks: tuple[Network, ...]
    left_out: int

    @property
    def mass(self) -> MassPredictor:
        """The line in log NN-Mass."""
        fit = self.fits["nn_mass"].fit
        assert isinstance(fit, MassPredictor)
        return fit

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "networks": len(self.networks),
            "seeds": sorted({network.seeds for network in self.networks}),
            "left_out_without_mass": self.left_out,
            "fits": {quantity: fit.to_dict() for quantity, fit in self.fits.items()},
        }


def compare(networks: Sequence[Network], *, seed: int = 0) -> Comparison:
    """Fit accuracy on the logarithm of mass, params and MACs.

    Args:
        networks: seed means of networks trained alike.
        seed: of the bootstrap.

    Raises:
        FitError: fewer than three networks with a mass, or all alike.
    """
    kept = tuple(network for network in networks if network.nn_mass > 0)
    fits = fit_quantities(
        {quantity: np.array([getattr(network, quantity) for network in kept], float) for quantity in QUANTITIES},
        np.array([network.accuracy for network in kept]),
        [network.group for network in kept],
        seed=seed,
    )
    return Comparison(fits, kept, len(networks) - len(kept))


def fit_quantities(
    quantities: Mapping[str, FloatArray],
    outcome: FloatArray,
    groups: Sequence[Hashable],
    *,
    name: str = "accuracy",
    seed: int = 0,
) -> dict[str, QuantityFit]:
    """Fit one outcome on the logarithm of several quantities, each compared with that of ``"nn_mass"``.

    Args:
        quantities: by name, ``"nn_mass"`` first; (n,) positive values each.
        outcome: (n,) what is to be explained, e.g. mean accuracies, or the logarithms of mean losses.
        groups: (n,) what is left out together.
        name: of the outcome, for messages.
        seed: of the bootstrap; all quantities see the same resampled networks.

    Raises:
        FitError: fewer than three networks, or all alike.
    """
    fits: dict[str, QuantityFit] = {}
    resampled: dict[str, FloatArray] = {}
    for quantity, values in quantities.items():
        kind = MassPredictor if quantity == "nn_mass" else LogFit
        fit = kind.fit(values, outcome, quantity=quantity, outcome=name)
        resampled[quantity] = _resampled_r2(np.log(values), outcome, np.random.default_rng(seed))
        fits[quantity] = QuantityFit(
            fit=fit,
            r2_interval=_interval(resampled[quantity]),
            r2_lead=(fits["nn_mass"].fit if fits else fit).r2 - fit.r2,
            r2_lead_interval=_interval(resampled["nn_mass"] - resampled[quantity]),
            group_errors=_group_errors(values, outcome, groups, quantity),
        )
    return fits


def _resampled_r2(x: FloatArray, y: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Squared correlations of resampled networks; the same resamples for each quantity, given the same seed."""
    picks = generator.integers(len(x), size=(_RESAMPLES, len(x)))
    x, y = (v[picks] - v[picks].mean(1, keepdims=True) for v in (x, y))
    scale = (x**2).sum(1) * (y**2).sum(1)
    r2: FloatArray = np.divide((x * y).sum(1) ** 2, scale, out=np.zeros(len(picks)), where=scale > 0)
    return np.minimum(r2, 1.0)


def _interval(values: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _group_errors(values: Any, outcome: Any, groups: Sequence[Hashable], quantity: str) -> dict[Hashable, float]:
    names = sorted(set(groups), key=str)
    if len(names) < 2:
        return {}
    errors: dict[Hashable, float] = {}
    for name in names:
        out = np.array([group == name for group in groups])
        try:
            rest = LogFit.fit(values[~out], outcome[~out], quantity=quantity)
        except FitError:
            continue  # the other groups alone make no line: nothing can be said of this one
        predicted = rest.predict(values[out], extrapolate=True).mean
        errors[name] = float(np.sqrt(np.mean((predicted - outcome[out]) ** 2)))
    return errors

"""NN-Mass beside plain parameter and MAC counts, on the same networks."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.errors import FitError
from nnmass.prediction.kind import Described, Kind, Origin
from nnmass.prediction.predictor import LogFit, MassPredictor, Prediction
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
        origin: what was trained, on what and how; None where that is not known, and then no fit of it predicts others.
    """

    __repr__ = brief

    nn_mass: float
    params: int
    macs: int
    accuracy: float
    seeds: int
    accuracy_std: float
    group: Hashable
    origin: Origin | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without its origin."""
        return {name: value for name, value in vars(self).items() if name != "origin"}


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
            "curvature_p": line.curvature,
            "misfit": line.misfit or None,
            "scatter_upper_to_lower_end": line.scatter.ratio,
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
        kind: what the fits hold for; None where the networks do not say what was trained.
    """

    __repr__ = brief

    fits: dict[str, QuantityFit]
    networks: tuple[Network, ...]
    left_out: int
    kind: Kind | None

    @property
    def mass(self) -> MassPredictor:
        """The line in log NN-Mass."""
        fit = self.fits["nn_mass"].fit
        assert isinstance(fit, MassPredictor)
        return fit

    def predict(
        self, spec: Described, *, quantity: str = "nn_mass", level: float = _LEVEL, extrapolate: bool = False
    ) -> Prediction:
        """Predict the accuracy of a specification, if it is of the kind that was fitted.

        Args:
            spec: the network; it is taken to be trained as the fitted ones were, on the same data.
            quantity: what it is predicted from.
            level: of the interval.
            extrapolate: predict any distance beyond the fitted range; never beyond the kind.

        Raises:
            ExtrapolationError: it is of another kind, or too far outside the fitted range.
            FitError: nothing is known of the fitted networks, or nothing of their scatter.
        """
        self.known_kind().require(spec)
        return self.at(getattr(spec, quantity), quantity=quantity, level=level, extrapolate=extrapolate)

    def at(
        self, value: float, *, quantity: str = "nn_mass", level: float = _LEVEL, extrapolate: bool = False
    ) -> Prediction:
        """Predict the accuracy of a network of this kind from its mass, params or MACs alone; see `predict`."""
        fit = self.fits[quantity].fit
        if fit.scatter.absent:
            raise FitError(
                f"the {fit.n} networks lie exactly on a line in log {quantity}: nothing tells how far others would lie "
                "from it; fit more networks, with several seeds"
            )
        return fit.predict(value, level=level, extrapolate=extrapolate)

    def known_kind(self) -> Kind:
        """The kind of networks that were fitted.

        Raises:
            FitError: they do not say what was trained.
        """
        if self.kind is None:
            raise FitError(
                "the fitted networks do not say what they are, so that no other can be told to be like them: give "
                "each an origin, as seed_means does"
            )
        return self.kind

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "networks": len(self.networks),
            "holds_for": None if self.kind is None else self.kind.to_dict(),
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
        FitError: fewer than three networks with a mass, or all alike; networks of several kinds.
    """
    kept = tuple(network for network in networks if network.nn_mass > 0)
    origins = [network.origin for network in kept if network.origin is not None]
    kind = Kind.of(origins) if origins and len(origins) == len(kept) else None
    fits = fit_quantities(
        {quantity: np.array([getattr(network, quantity) for network in kept], float) for quantity in QUANTITIES},
        np.array([network.accuracy for network in kept]),
        [network.group for network in kept],
        noise=_seed_noise(kept),
        seed=seed,
    )
    return Comparison(fits, kept, len(networks) - len(kept), kind)


def _seed_noise(networks: Sequence[Network]) -> FloatArray:
    """Variance of each mean over seeds, from the spread of seeds pooled over the networks; 0 where all have one."""
    seeds = np.array([network.seeds for network in networks])
    squares = sum((network.seeds - 1) * network.accuracy_std**2 for network in networks)
    pooled: FloatArray = squares / max(int((seeds - 1).sum()), 1) / seeds
    return pooled


def fit_quantities(
    quantities: Mapping[str, FloatArray],
    outcome: FloatArray,
    groups: Sequence[Hashable],
    *,
    noise: FloatArray | float = 0.0,
    name: str = "accuracy",
    seed: int = 0,
) -> dict[str, QuantityFit]:
    """Fit one outcome on the logarithm of several quantities, each compared with that of ``"nn_mass"``.

    Args:
        quantities: by name, ``"nn_mass"`` first; (n,) positive values each.
        outcome: (n,) what is to be explained, e.g. mean accuracies, or the logarithms of mean losses.
        groups: (n,) what is left out together.
        noise: (n,) what of the variance of each outcome is known; see `LogFit.fit`.
        name: of the outcome, for messages.
        seed: of the bootstrap; all quantities see the same resampled networks.

    Raises:
        FitError: fewer than three networks, or all alike.
    """
    fits: dict[str, QuantityFit] = {}
    resampled: dict[str, FloatArray] = {}
    for quantity, values in quantities.items():
        kind = MassPredictor if quantity == "nn_mass" else LogFit
        fit = kind.fit(values, outcome, noise=noise, quantity=quantity, outcome=name)
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
        predicted = rest.line(values[out])
        errors[name] = float(np.sqrt(np.mean((predicted - outcome[out]) ** 2)))
    return errors

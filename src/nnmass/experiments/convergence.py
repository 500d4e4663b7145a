"""Training loss of networks of equal NN-Mass but different depth (arXiv:1910.00780, section 5)."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from nnmass.architectures import DenseMLP, LinkedSpecification, Specification
from nnmass.data import Data
from nnmass.errors import InvalidValueError
from nnmass.experiments.mlp_accuracy import DEPTHS, WIDTH
from nnmass.experiments.spread import Spread, spread_of_means
from nnmass.prediction import QUANTITIES, Estimate, QuantityFit, fit_quantities
from nnmass.representation import brief
from nnmass.sweeps import RunStore, StoredRun, SweepProgress, run_sweep
from nnmass.training import TrainingConfig, default_config
from nnmass.verification import FEWEST_SEEDS, sign, skips_of_mass, with_interval

MASSES = (10, 40, 120)
MEASURES = ("mean_loss", "final_loss")


@dataclass(frozen=True)
class LossCurve:
    """Training loss of one network, epoch by epoch, for several seeds.

    Attributes:
        target_mass: the mass that was wanted; the network's own comes nearest among all numbers of skips.
        spec: the network, all of whose cells have one depth.
        losses: per seed the mean training loss (cross entropy, nats) within each epoch.
    """

    __repr__ = brief

    target_mass: int
    spec: LinkedSpecification
    losses: tuple[tuple[float, ...], ...]

    @property
    def depth(self) -> int:
        """Layers of each cell."""
        return self.spec.cells[0].depth

    @cached_property
    def mean(self) -> tuple[float, ...]:
        """Mean over seeds, per epoch."""
        return tuple(np.mean(self.losses, axis=0).tolist())

    @cached_property
    def std(self) -> tuple[float, ...]:
        """Standard deviation over seeds with n-1 degrees of freedom, per epoch."""
        return tuple(np.std(self.losses, axis=0, ddof=1).tolist())

    @property
    def mean_loss(self) -> tuple[float, ...]:
        """Per seed the mean over all epochs, the area under the curve: small where training converges fast."""
        return tuple(np.mean(self.losses, axis=1).tolist())

    @property
    def final_loss(self) -> tuple[float, ...]:
        """Per seed the loss within the last epoch."""
        return tuple(seed[-1] for seed in self.losses)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "target_mass": self.target_mass,
            "depth": self.depth,
            **{name: getattr(self.spec, name) for name in ("max_skips", *QUANTITIES)},
            "seeds": len(self.losses),
            **{
                measure: {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1))}
                for measure in MEASURES
                for values in (getattr(self, measure),)
            },
            "train_loss": {"mean": list(self.mean), "std": list(self.std)},
        }


@dataclass(frozen=True)
class Convergence:
    """The experiment's outcome.

    Attributes:
        curves: per network.
        config: how the networks were trained.
        runs: networks × seeds.
        diverged: runs whose loss was not finite; they are in no mean.
        left_out: networks of which fewer than two seeds did not diverge; they are in no curve.
        at_equal_mass: by target mass and measure, the spread between depths.
        at_equal_depth: by depth and measure, the spread between masses.
        fits: by measure and quantity, how well the quantity's logarithm explains that of the seed-mean loss.
    """

    __repr__ = brief

    curves: tuple[LossCurve, ...]
    config: TrainingConfig
    runs: int
    diverged: int
    left_out: int
    at_equal_mass: dict[int, dict[str, Spread]] = field(init=False)
    at_equal_depth: dict[int, dict[str, Spread]] = field(init=False)
    fits: dict[str, dict[str, QuantityFit]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "at_equal_mass", _spreads(self.curves, lambda curve: curve.target_mass))
        object.__setattr__(self, "at_equal_depth", _spreads(self.curves, lambda curve: curve.depth))
        object.__setattr__(self, "fits", {measure: _fits(self.curves, measure) for measure in MEASURES})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "runs": self.runs,
            "diverged": self.diverged,
            "left_out": self.left_out,
            "at_equal_mass": _plain(self.at_equal_mass),
            "at_equal_depth": _plain(self.at_equal_depth),
            "fits": _plain(self.fits),
            "networks": [curve.to_dict() for curve in self.curves],
            "verdict": self.verdict(),
        }

    def verdict(self) -> list[str]:
        """Say in plain sentences what is shown, and what is not."""
        at_equal = [found["mean_loss"] for found in self.at_equal_mass.values()]
        between_depths = ", ".join(f"{spread.spread:.3f}" for spread in at_equal)
        between_masses = ", ".join(f"{found['mean_loss'].spread:.3f}" for found in self.at_equal_depth.values())
        said = [
            f"At equal mass the loss, averaged over training, differs between depths by {between_depths}"
            f"{self._beyond_seeds(at_equal)}; at equal depth, between masses, by {between_masses}."
        ]
        fits = self.fits["mean_loss"]
        mass = fits["nn_mass"].fit.r2
        for rival, name in (("params", "parameters"), ("macs", "MACs")):
            lead, other = Estimate(fits[rival].r2_lead, fits[rival].r2_lead_interval), fits[rival].fit.r2
            claim = {"above": "more than", "below": "less than", "open": "not shown to be more or less than"}[
                sign(lead.interval, units=len(self.curves))
            ]
            said.append(
                f"Log NN-Mass explains {mass:.2f} of the variance of the logarithm of that loss, {claim} log {name} "
                f"({other:.2f}; difference {with_interval(lead)}, {len(self.curves)} networks)."
            )
        return said

    def _beyond_seeds(self, spreads: Sequence[Spread]) -> str:
        """At how many masses a spread is more than that of seeds; nothing where these are too few to know theirs."""
        if min(len(curve.losses) for curve in self.curves) < FEWEST_SEEDS:
            return f" (of fewer than {FEWEST_SEEDS} seeds it is not said whether seeds alone would make it)"
        apart = sum(spread.spread > spread.noise_95 for spread in spreads)
        return f", at {apart} of {len(spreads)} masses by more than seeds alone would make it"


def convergence_grid(
    data: Data, *, masses: Sequence[int] = MASSES, depths: Sequence[int] = DEPTHS
) -> list[tuple[int, LinkedSpecification]]:
    """At every target mass a DenseMLP of every depth, with the number of skips whose mass comes nearest."""
    in_features = int(np.prod(data.input_shape))
    return [
        (
            mass,
            DenseMLP(
                width=WIDTH,
                depth=depth,
                max_skips=skips_of_mass(WIDTH, depth, mass),
                in_features=in_features,
                num_classes=data.num_classes,
            ),
        )
        for mass in masses
        for depth in depths
    ]


def convergence(
    data: Data,
    store: RunStore,
    *,
    networks: Sequence[tuple[int, LinkedSpecification]] | None = None,
    config: TrainingConfig | None = None,
    seeds: int = 5,
    workers: int | None = None,
    progress: SweepProgress | None = None,
) -> Convergence:
    """Train networks of several depths at each of several masses, and compare their training losses.

    Args:
        data: what to learn.
        store: takes the runs, and has those of an interrupted call.
        networks: with the mass that each is meant to have; by default DenseMLPs of width 8, depths 16 to 32, at three.
        config: how to train; by default as `default_config` says.
        seeds: per network; at least 2.
        workers: processes.
        progress: told of finished epochs.

    Raises:
        InvalidValueError: fewer than two seeds.
        FitError: fewer than three networks of which two seeds did not diverge.
    """
    if seeds < 2:
        raise InvalidValueError(f"seeds must be at least 2 for a spread over seeds, got {seeds}")
    networks = networks or convergence_grid(data)
    specs = [spec for _, spec in networks]
    config = config or default_config(specs[0], data)
    runs = run_sweep(specs, data, store, config, seeds=range(seeds), workers=workers, progress=progress)
    rows = {row.key: row for row in store.runs()}
    losses: dict[Specification, list[tuple[float, ...]]] = {spec: [] for spec in specs}
    for run in runs:
        if rows[run.key].status == "finished":
            losses[run.spec].append(_losses(rows[run.key]))
    curves = tuple(LossCurve(mass, spec, tuple(losses[spec])) for mass, spec in networks if len(losses[spec]) > 1)
    return Convergence(
        curves=curves,
        config=config,
        runs=len(runs),
        diverged=sum(rows[run.key].status == "diverged" for run in runs),
        left_out=len(networks) - len(curves),
    )


def _losses(row: StoredRun) -> tuple[float, ...]:
    return tuple(json.loads(row.train_loss))


def _spreads(curves: Sequence[LossCurve], key: Callable[[LossCurve], int]) -> dict[int, dict[str, Spread]]:
    """Group the curves; a group of one has no spread."""
    sizes = Counter(map(key, curves))
    return {
        group: {
            measure: spread_of_means([getattr(curve, measure) for curve in curves if key(curve) == group])
            for measure in MEASURES
        }
        for group in sizes
        if sizes[group] > 1
    }


def _fits(curves: Sequence[LossCurve], measure: str) -> dict[str, QuantityFit]:
    """Fit the logarithm of the seed-mean loss; errors are then relative, and left-out groups are depths."""
    return fit_quantities(
        {name: np.array([getattr(curve.spec, name) for curve in curves], float) for name in QUANTITIES},
        np.log([np.mean(getattr(curve, measure)) for curve in curves]),
        [curve.depth for curve in curves],
        name=f"log {measure}",
    )


def _plain(nested: dict[Any, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(key): {name: value.to_dict() for name, value in inner.items()} for key, inner in nested.items()}

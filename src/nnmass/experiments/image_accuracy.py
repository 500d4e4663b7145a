"""Test accuracy of convolutional networks against NN-Mass, parameters and MACs (arXiv:1910.00780, section 5.2)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnmass.architectures import Specification
from nnmass.data import Data, largest_share
from nnmass.errors import FitError
from nnmass.prediction import QUANTITIES, Comparison, LogFit, Network, PairComparison, Sample, compare, compare_pairs
from nnmass.representation import brief
from nnmass.sweeps import RunStore, StoredRun, SweepProgress, run_sweep, seed_means
from nnmass.training import TrainingConfig
from nnmass.verification import TOO_FEW_PAIRS, accuracy_interval, better, sign, with_interval

_NAMES = {"nn_mass": "NN-Mass", "params": "parameters", "macs": "MACs"}


@dataclass(frozen=True)
class Pair:
    """Two networks of equal mass and very different cost."""

    __repr__ = brief

    cheap: Network
    dear: Network


@dataclass(frozen=True)
class ImageAccuracy:
    """The outcome of such an experiment, of networks that mass may be compared among.

    Attributes:
        part: which of the experiment's networks these are; empty: all.
        comparison: fits on the seed means of all networks.
        unseen: depths that were predicted from a line through the others; empty where none were set apart.
        unseen_errors: by quantity, the root mean square error of that prediction, in accuracy; None where the other
            depths make no line.
        seed_std: standard deviation over seeds, pooled over the networks; None where none has two.
        chance: share of the test part's largest class.
        at_chance: networks that are not shown to be above it; those of fewer than `FEWEST_SEEDS` do not count.
        pair_comparison: networks equal in one quantity and far apart in others; None where there are too few.
        pairs: of equal mass (within 5 %) and at least 1.5 times apart in MACs; those furthest apart come first.
        config: how the networks were trained.
        runs: networks × seeds.
        diverged: runs whose loss was not finite; they are in no mean.
    """

    __repr__ = brief

    part: str
    comparison: Comparison
    unseen: tuple[str, ...]
    unseen_errors: dict[str, float | None]
    seed_std: float | None
    chance: float
    at_chance: int
    pair_comparison: PairComparison | None
    pairs: tuple[Pair, ...]
    config: TrainingConfig
    runs: int
    diverged: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "part": self.part,
            "runs": self.runs,
            "diverged": self.diverged,
            "seed_std": self.seed_std,
            "chance": self.chance,
            "at_chance": self.at_chance,
            "unseen": list(self.unseen),
            "unseen_errors": self.unseen_errors,
            "pair_comparison": self.pair_comparison and self.pair_comparison.to_dict(),
            "pairs": [{"cheap": pair.cheap.to_dict(), "dear": pair.dear.to_dict()} for pair in self.pairs],
            "verdict": self.verdict(),
            **self.comparison.to_dict(),
        }

    def verdict(self) -> list[str]:
        """Say in plain sentences what is shown, and what is not."""
        return [
            *(self._against(rival) for rival in ("params", "macs")),
            self._predicted(),
            self._equal(),
            *self._chance(),
        ]

    def _against(self, rival: str) -> str:
        fits, name = self.comparison.fits, _NAMES[rival]
        mass, other = fits["nn_mass"].fit.r2, fits[rival].fit.r2
        low, high = interval = fits[rival].r2_lead_interval
        networks = len(self.comparison.networks)
        falling = "; accuracy falls where NN-Mass grows" if fits["nn_mass"].fit.slope < 0 else ""
        claim = {
            "above": f"NN-Mass explains more of the accuracy than {name}",
            "below": f"{name[0].upper()}{name[1:]} explain more of the accuracy than NN-Mass",
            "open": f"NN-Mass is not shown to explain more of the accuracy than {name}, nor less",
        }[sign(interval, units=networks)]
        return (
            f"{claim}: R² {mass:.2f} and {other:.2f}, a difference of {mass - other:+.2f} [{low:+.2f}, {high:+.2f}] "
            f"({networks} networks{falling})."
        )

    def _predicted(self) -> str:
        found = {name: error for name, error in self.unseen_errors.items() if error is not None}
        if not found:
            return "No depth was predicted from others."
        errors = ", ".join(f"{100 * error:.2f} points from {_NAMES[name]}" for name, error in found.items())
        return (
            f"Depths {', '.join(self.unseen)}, which no line had seen, are predicted with a root mean square error of "
            f"{errors}; {self._scatter()}."
        )

    def _scatter(self) -> str:
        if self.seed_std is None:
            return "how far seeds scatter is not known from one of each network"
        return f"the seeds of one network scatter by {100 * self.seed_std:.2f} points"

    def _chance(self) -> list[str]:
        if not self.at_chance:
            return []
        return [
            f"{self.at_chance} of {len(self.comparison.networks)} networks are not shown to be above chance, "
            f"{100 * self.chance:.2f} %: what they have learned says little of their topology."
        ]

    def _equal(self) -> str:
        found = self.pair_comparison
        if found is None or not found.equal["nn_mass"].pairs:
            return "No two networks have equal mass and very different cost."
        equal, every = found.equal["nn_mass"], found.every
        said = f"{len(equal.pairs)} pairs have equal mass (within 5 %) and differ by at least 1.5 times in cost"
        if equal.difference is None:
            return f"{said}: {TOO_FEW_PAIRS}."
        return (
            f"{said}; their accuracies differ by {with_interval(equal.difference)} points on average, those of any two "
            f"networks by {every.value:.2f}; the one with more MACs is {better(equal.gains['macs'])}."
        )


def image_accuracy(
    specs: Sequence[Specification],
    data: Data,
    store: RunStore,
    config: TrainingConfig,
    *,
    unseen: Sequence[str] = (),
    part: Callable[[Specification], str] = lambda _: "",
    seeds: int = 3,
    workers: int | None = None,
    progress: SweepProgress | None = None,
) -> tuple[ImageAccuracy, ...]:
    """Train networks, fit their mean accuracies, and predict depths that were set apart.

    Args:
        specs: the networks.
        data: what to learn.
        store: takes the runs, and has those of an interrupted call.
        config: how to train.
        unseen: depths, as the store names them, to predict from a line through the others.
        part: names the networks that each is compared with; an outcome for each such name.
        seeds: per network.
        workers: processes.
        progress: told of finished epochs.

    Raises:
        FitError: a part has fewer than three networks that finished and have a mass.
    """
    runs = run_sweep(specs, data, store, config, seeds=range(seeds), workers=workers, progress=progress)
    parts: dict[str, set[str]] = {}
    for run in runs:
        parts.setdefault(part(run.spec), set()).add(run.key)
    rows = store.runs()
    return tuple(
        _analysed(name, [row for row in rows if row.key in keys], tuple(unseen), config, data)
        for name, keys in parts.items()
    )


def _analysed(
    part: str, rows: Sequence[StoredRun], unseen: tuple[str, ...], config: TrainingConfig, data: Data
) -> ImageAccuracy:
    comparison = compare(seed_means(rows))
    networks = comparison.networks
    found = _pair_comparison(networks)
    chance = largest_share(data.test.labels)
    intervals = [accuracy_interval(n.accuracy, n.accuracy_std, n.seeds, len(data.test)) for n in networks]
    return ImageAccuracy(
        part=part,
        comparison=comparison,
        unseen=unseen,
        unseen_errors={quantity: unseen_error(networks, unseen, quantity) for quantity in QUANTITIES},
        seed_std=_pooled_std([network.accuracy_std for network in networks if network.seeds > 1]),
        chance=chance,
        at_chance=sum(interval is not None and interval[0] <= chance for interval in intervals),
        pair_comparison=found,
        pairs=_pairs(networks, found.equal["nn_mass"].pairs if found else ()),
        config=config,
        runs=len(rows),
        diverged=sum(row.status == "diverged" for row in rows),
    )


def _pooled_std(stds: Sequence[float]) -> float | None:
    return math.sqrt(float(np.mean(np.square(stds)))) if stds else None


def unseen_error(networks: Sequence[Network], unseen: Sequence[str], quantity: str) -> float | None:
    """Root mean square error of predicting some groups from a line through the others; None where there is none."""
    seen = [network for network in networks if network.group not in unseen]
    rest = [network for network in networks if network.group in unseen]
    if not rest:
        return None
    try:
        fit = LogFit.fit([getattr(n, quantity) for n in seen], [n.accuracy for n in seen], quantity=quantity)
    except FitError:
        return None
    predicted = fit.line(np.array([getattr(n, quantity) for n in rest], float))
    return float(np.sqrt(np.mean((predicted - np.array([n.accuracy for n in rest])) ** 2)))


def _pair_comparison(networks: Sequence[Network]) -> PairComparison | None:
    quantities = {name: np.array([getattr(network, name) for network in networks], float) for name in QUANTITIES}
    points = np.array([100 * network.accuracy for network in networks])
    try:
        return compare_pairs(Sample(quantities, points, ["alike"] * len(networks), range(len(networks))))
    except FitError:
        return None


def _pairs(networks: Sequence[Network], positions: Sequence[tuple[int, int]]) -> tuple[Pair, ...]:
    found = []
    for i, j in positions:
        cheap, dear = sorted((networks[i], networks[j]), key=lambda network: network.macs)
        if dear.macs >= 1.5 * cheap.macs:
            found.append(Pair(cheap, dear))
    return tuple(sorted(found, key=lambda pair: pair.cheap.macs / pair.dear.macs))

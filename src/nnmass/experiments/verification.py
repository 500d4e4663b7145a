"""Reference and compressed network trained alike: the measured difference, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from nnmass.architectures import Specification
from nnmass.data import Data
from nnmass.designing import Compression
from nnmass.errors import FitError
from nnmass.sweeps import RunStore, SweepProgress, data_label, plan_runs, run_sweep
from nnmass.training import TrainingConfig


@dataclass(frozen=True)
class Measured:
    """Test accuracies of one specification over seeds, in [0, 1]."""

    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.accuracies))

    @property
    def std(self) -> float:
        """Standard deviation over the seeds, with n-1 degrees of freedom."""
        return float(np.std(self.accuracies, ddof=1))


@dataclass(frozen=True)
class Verification:
    """What training both networks showed.

    Attributes:
        reference: its accuracies, one per seed.
        compressed: likewise, in the same order of seeds.
        difference: mean of compressed minus reference, seed by seed.
        low: lower end of the 95 % interval of that mean (Student's t on the differences).
        high: upper end.
        seeds: how many.
    """

    reference: Measured
    compressed: Measured
    difference: float
    low: float
    high: float
    seeds: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "seeds": self.seeds,
            **{
                name: {"mean": m.mean, "std": m.std, "accuracies": list(m.accuracies)}
                for name, m in (("reference", self.reference), ("compressed", self.compressed))
            },
            "difference": {"mean": self.difference, "interval_95": [self.low, self.high]},
        }


def verify(
    compression: Compression,
    data: Data,
    store: RunStore,
    config: TrainingConfig,
    *,
    seeds: int = 5,
    workers: int | None = None,
    progress: SweepProgress | None = None,
) -> Verification:
    """Train reference and compressed with the same seeds, data and configuration, and compare test accuracies.

    Seed k draws links, weights and batches of both; the difference is taken seed by seed.

    Args:
        compression: both specifications.
        data: what to learn.
        store: takes the runs, and has those of an interrupted call.
        config: how to train.
        seeds: at least 2.
        workers: processes.
        progress: told of finished epochs.

    Raises:
        FitError: fewer than two seeds for which neither network diverged.
    """
    specs = [compression.reference, compression.spec]
    run_sweep(specs, data, store, config, seeds=range(seeds), workers=workers, progress=progress)
    reference, compressed = (_accuracies(spec, data, store, config, seeds) for spec in specs)
    pairs = [(a, b) for a, b in zip(reference, compressed, strict=True) if a is not None and b is not None]
    if len(pairs) < 2:
        raise FitError(f"a comparison needs at least 2 seeds that did not diverge, got {len(pairs)} of {seeds}")
    differences = np.array([b - a for a, b in pairs])
    mean = float(differences.mean())
    half = float(stdtrit(len(pairs) - 1, 0.975) * differences.std(ddof=1) / np.sqrt(len(pairs)))
    return Verification(
        reference=Measured(tuple(a for a, _ in pairs)),
        compressed=Measured(tuple(b for _, b in pairs)),
        difference=mean,
        low=mean - half,
        high=mean + half,
        seeds=len(pairs),
    )


def _accuracies(
    spec: Specification, data: Data, store: RunStore, config: TrainingConfig, seeds: int
) -> Sequence[float | None]:
    rows = {row.key: row.test_accuracy for row in store.runs()}
    return [rows[run.key] for run in plan_runs([spec], seeds=range(seeds), data=data_label(data), config=config)]

"""Test accuracies of the same networks trained by our sweep and by the published loop."""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnmass.architectures import DenseMLP
from nnmass.data import Dataset
from nnmass.sweeps import RunStore, run_sweep
from nnmass.training import TrainingConfig
from published_mlp import Trained
from published_pool import Job, PublishedPool

DIFFERENCES = (
    "both: the same 55,000 images, Adam at 1e-3, batches of 64, the same epochs; links, weights and batches are drawn "
    "differently; ours applies the activation once to the input of every layer but the first, the published forward "
    "twice to skips from layer 0 and not at all before the classifier"
)


def compare_accuracies(
    specs: Sequence[DenseMLP], data: Dataset, config: TrainingConfig, *, seeds: int, pool: PublishedPool
) -> dict[str, Any]:
    """Train every network with both, and compare the mean test accuracies.

    Args:
        specs: the networks.
        data: MNIST.
        config: how ours are trained; the published loop takes its epochs.
        seeds: trainings per network and side, at least 2.
        pool: does the published trainings.

    Returns:
        Per network the mean accuracies; over networks the mean difference (ours - published) with its standard error
        over seeds; the seconds of the published trainings.
    """
    ours = _ours(specs, data, config, seeds, pool.processes)
    jobs = [Job(s.width, s.depth, s.max_skips, seed, config.epochs) for s in specs for seed in range(seeds)]
    trained = pool.share(jobs)
    published = [[run.test_accuracy for run in trained[i : i + seeds]] for i in range(0, len(trained), seeds)]
    rows: list[dict[str, Any]] = [
        {"depth": s.depth, "max_skips": s.max_skips, "nn_mass": s.nn_mass, "ours": _mean(a), "published": _mean(b)}
        for s, a, b in zip(specs, ours, published, strict=True)
    ]
    variances = [statistics.variance(values) / seeds for values in (*ours, *published)]
    return {
        "trained": DIFFERENCES,
        "epochs": config.epochs,
        "networks": rows,
        "mean_difference": statistics.mean(row["ours"]["mean"] - row["published"]["mean"] for row in rows),
        "standard_error": sum(variances) ** 0.5 / len(rows),
        "published_seconds": [run.train_seconds + run.test_seconds for run in trained],
        "published_models_per_hour": models_per_hour(trained, pool.processes),
    }


def models_per_hour(trained: Sequence[Trained], processes: int) -> float:
    """Rate of processes that share whole trainings."""
    return 3600 * processes / statistics.mean(run.train_seconds + run.test_seconds for run in trained)


def _ours(
    specs: Sequence[DenseMLP], data: Dataset, config: TrainingConfig, seeds: int, workers: int
) -> list[list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs.sqlite")
        runs = run_sweep(specs, data, store, config, seeds=range(seeds), workers=workers)
        rows = {row.key: row for row in store.runs()}
    diverged = [run for run in runs if rows[run.key].test_accuracy is None]
    if diverged:
        raise SystemExit(f"{len(diverged)} of our trainings diverged; there is nothing to compare")
    return [[float(rows[run.key].test_accuracy or 0) for run in runs if run.spec == spec] for spec in specs]


def _mean(values: Sequence[float]) -> dict[str, Any]:
    error = statistics.stdev(values) / len(values) ** 0.5
    return {"mean": statistics.mean(values), "standard_error": error, "values": list(values)}

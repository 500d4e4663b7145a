"""Test accuracy of DenseMLPs against NN-Mass, params and MACs (arXiv:1910.00780, section 5.1 and figure 4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnmass.architectures import DenseMLP
from nnmass.data import Dataset
from nnmass.prediction import Comparison, compare
from nnmass.representation import brief
from nnmass.sweeps import RunStore, SweepProgress, run_sweep, seed_means
from nnmass.training import TrainingConfig, default_config

WIDTH = 8
DEPTHS = (16, 20, 24, 28, 32)
SKIPS = (1, 2, 3, 5, 8, 12, 18, 28, 42, 64, 96, 144, 200)


@dataclass(frozen=True)
class MLPAccuracy:
    """The experiment's outcome.

    Attributes:
        comparison: fits on the seed means.
        config: how the networks were trained.
        runs: networks × seeds.
        diverged: runs whose loss was not finite; they are in no mean.
    """

    __repr__ = brief

    comparison: Comparison
    config: TrainingConfig
    runs: int
    diverged: int


def mlp_grid(data: Dataset, *, depths: Sequence[int] = DEPTHS, skips: Sequence[int] = SKIPS) -> list[DenseMLP]:
    """Every depth with every number of skips up to the one that saturates it, which is always included."""
    in_features = int(np.prod(data.input_shape))
    return [
        DenseMLP(width=WIDTH, depth=d, max_skips=t, in_features=in_features, num_classes=data.num_classes)
        for d in depths
        for t in [*(t for t in skips if t < WIDTH * (d - 2)), WIDTH * (d - 2)]
    ]


def mlp_accuracy(
    data: Dataset,
    store: RunStore,
    *,
    config: TrainingConfig | None = None,
    seeds: int = 5,
    workers: int | None = None,
    progress: SweepProgress | None = None,
) -> MLPAccuracy:
    """Train width 8, depths 16 to 32, a dozen numbers of skips each, and fit the mean accuracies.

    Args:
        data: what to learn.
        store: takes the runs, and has those of an interrupted call.
        config: how to train; by default as `default_config` says.
        seeds: per network.
        workers: processes.
        progress: told of finished epochs.
    """
    specs = mlp_grid(data)
    config = config or default_config(specs[0], data)
    runs = run_sweep(specs, data, store, config, seeds=range(seeds), workers=workers, progress=progress)
    keys = {run.key for run in runs}
    rows = [row for row in store.runs() if row.key in keys]
    return MLPAccuracy(
        comparison=compare(seed_means(rows)),
        config=config,
        runs=len(rows),
        diverged=sum(row.status == "diverged" for row in rows),
    )

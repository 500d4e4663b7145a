"""Compressing a deep DenseMLP at several masses: predicted and measured (arXiv:1910.00780, section 5.3)."""

import contextlib
from collections.abc import Sequence

import numpy as np

from nnmass.architectures import DenseMLP
from nnmass.data import Dataset
from nnmass.designing import compress
from nnmass.experiments.mlp_accuracy import WIDTH
from nnmass.sweeps import RunStore, run_sweep
from nnmass.training import TrainingConfig, default_config
from nnmass.verification import Bar, CompressionOutcome, calibration_grid, measure_compression

DEPTH = 32
SKIPS = (5, 20, 80)
CALIBRATION_SEEDS = 5


def mlp_references(data: Dataset, skips: Sequence[int] = SKIPS) -> list[DenseMLP]:
    """DenseMLPs of width 8 and depth 32 with few, some and many skips."""
    features = int(np.prod(data.input_shape))
    return [
        DenseMLP(width=WIDTH, depth=DEPTH, max_skips=t, in_features=features, num_classes=data.num_classes)
        for t in skips
    ]


def mlp_compression(
    data: Dataset,
    store: RunStore,
    bar: Bar,
    *,
    config: TrainingConfig | None = None,
    seeds: int = 10,
    workers: int | None = None,
) -> list[CompressionOutcome]:
    """Compress each reference, predict both networks from smaller ones, and train both with several seeds.

    Args:
        data: what to learn.
        store: takes the runs, and has those of an interrupted call.
        bar: shows progress.
        config: how to train; by default as `default_config` says.
        seeds: of reference and compressed; the smaller networks have five.
        workers: processes.
    """
    references = mlp_references(data)
    config = config or default_config(references[0], data)
    compressions = [compress(reference) for reference in references]
    both = [spec for compression in compressions for spec in (compression.reference, compression.spec)]
    smaller = [spec for compression in compressions for spec in calibration_grid(compression)]
    # Trained together first: stacks are the cheaper the more networks they hold.
    for title, specs, count in (("smaller networks", smaller, CALIBRATION_SEEDS), ("both networks", both, seeds)):
        with bar(title) as progress:
            run_sweep(specs, data, store, config, seeds=range(count), workers=workers, progress=progress)
    return [
        measure_compression(
            compression,
            data,
            store,
            config,
            lambda _: contextlib.nullcontext(lambda done, total: None),
            calibrate=True,
            verify=True,
            seeds=seeds,
            calibration_seeds=CALIBRATION_SEEDS,
            workers=workers,
        )
        for compression in compressions
    ]

"""Compressing a network and measuring what came of it, end to end."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from nnmass.architectures import DenseMLP
from nnmass.data import Data
from nnmass.designing import Compression
from nnmass.networks import Network
from nnmass.sweeps import Run, RunStore, SweepProgress, data_label, stored_run
from nnmass.training import TrainingConfig, train
from nnmass.verification.calibration import calibrate as fit_small_networks
from nnmass.verification.compression_outcome import CompressionOutcome
from nnmass.verification.verify import verify as compare_both

_KEY = 12  # characters of a run's key, in the name of its checkpoint

Bar = Callable[[str], AbstractContextManager[SweepProgress]]
"""Given a title, shows progress while the context lasts."""


def measure_compression(
    compression: Compression,
    data: Data,
    store: RunStore,
    config: TrainingConfig,
    bar: Bar,
    *,
    calibrate: bool | None = None,
    verify: bool = False,
    seeds: int = 5,
    calibration_seeds: int | None = None,
    workers: int | None = None,
) -> CompressionOutcome:
    """Predict the accuracy of reference and compressed from smaller networks, and train both.

    Args:
        compression: both specifications.
        data: what to learn.
        store: takes all runs, and has those of an interrupted call.
        config: how everything is trained.
        bar: shows progress.
        calibrate: whether to train networks to predict from; None: for a DenseMLP, which is cheap.
        verify: whether to train reference and compressed.
        seeds: of reference and compressed.
        calibration_seeds: of the networks to predict from; None: as many.
        workers: processes.
    """
    comparison = verification = None
    if calibrate if calibrate is not None else isinstance(compression.reference, DenseMLP):
        with bar("networks to predict from") as progress:
            comparison = fit_small_networks(
                compression,
                data,
                store,
                config,
                seeds=calibration_seeds or seeds,
                workers=workers,
                progress=progress,
            )
    if verify:
        with bar("reference and compressed") as progress:
            verification = compare_both(
                compression, data, store, config, seeds=seeds, workers=workers, progress=progress
            )
    return CompressionOutcome(compression, data.name, comparison, verification)


def train_compressed(
    compression: Compression,
    data: Data,
    store: RunStore,
    config: TrainingConfig,
    bar: Bar,
    *,
    checkpoints: str | os.PathLike[str],
) -> Network:
    """Train the compressed network with seed 0 to keep its weights; its row goes to the store.

    Args:
        compression: its ``spec`` is trained.
        data: what to learn.
        store: takes the row, so that a verification does not train this seed again.
        config: how.
        bar: shows progress.
        checkpoints: folder of the files to resume from, one per run.
    """
    run = Run(compression.spec, 0, data_label(data), config)
    kept = Path(checkpoints) / f"checkpoint-{run.key[:_KEY]}.safetensors"
    with bar("compressed network, seed 0") as progress:
        done = 0

        def advance(epochs: int) -> None:
            nonlocal done
            done += epochs
            progress(done, config.epochs)

        result = train(compression.spec, data, config, seed=0, checkpoint=kept, progress=advance)
    figures = result.train_loss, result.validation_accuracy[-1], result.test_accuracy, result.answers
    store.add([stored_run(run, *figures)])
    return result.model

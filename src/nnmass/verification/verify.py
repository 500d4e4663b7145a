"""Training reference and compressed network alike, to measure their difference."""

from collections.abc import Sequence

import numpy as np

from nnmass.data import Data, largest_share
from nnmass.designing import Compression
from nnmass.errors import FitError
from nnmass.sweeps import RunStore, StoredRun, SweepProgress, data_label, plan_runs, run_sweep
from nnmass.training import TrainingConfig
from nnmass.verification.measured_difference import BoolArray, Measured, MeasuredDifference


def verify(
    compression: Compression,
    data: Data,
    store: RunStore,
    config: TrainingConfig,
    *,
    seeds: int = 5,
    workers: int | None = None,
    progress: SweepProgress | None = None,
) -> MeasuredDifference:
    """Train reference and compressed with the same seeds, data and configuration, and compare test accuracies.

    Seed k draws links, weights and batches of both; the difference is taken seed by seed, and sample by sample where
    the store holds which samples each run classified rightly.

    Args:
        compression: both specifications.
        data: what to learn.
        store: takes the runs, and has those of an interrupted call.
        config: how to train.
        seeds: fewer than `FEWEST_SEEDS` give means, but no interval and no verdict.
        workers: processes.
        progress: told of finished epochs.

    Raises:
        FitError: there is no seed with which neither network diverged.
    """
    specs = [compression.reference, compression.spec]
    run_sweep(specs, data, store, config, seeds=range(seeds), workers=workers, progress=progress)
    held = {row.key: row for row in store.runs()}
    label = data_label(data)
    reference, compressed = (
        [held[run.key] for run in plan_runs([spec], seeds=range(seeds), data=label, config=config)] for spec in specs
    )
    finished = [k for k in range(seeds) if reference[k].status == compressed[k].status == "finished"]
    if not finished:
        raise FitError(
            f"a comparison needs a seed with which neither network diverged, got none of {seeds}: the reference "
            f"diverged in {_diverged(reference)}, the compressed network in {_diverged(compressed)}"
        )
    chance = largest_share(data.test.labels)
    kept = [[rows[k] for k in finished] for rows in (reference, compressed)]
    of_reference, of_compressed = (
        Measured(tuple(row.test_accuracy for row in rows if row.test_accuracy is not None), len(data.test), chance)
        for rows in kept
    )
    return MeasuredDifference(
        of_reference, of_compressed, answers=_answers(store, kept), left_out=seeds - len(finished)
    )


def _diverged(rows: Sequence[StoredRun]) -> int:
    return sum(row.status == "diverged" for row in rows)


def _answers(store: RunStore, both: Sequence[Sequence[StoredRun]]) -> tuple[BoolArray, BoolArray] | None:
    """Which samples each network classified rightly, by seed; None where a run lacks them."""
    found = store.answers([row.key for rows in both for row in rows])
    if any(row.key not in found for rows in both for row in rows):
        return None
    reference, compressed = (np.stack([found[row.key] for row in rows]) for rows in both)
    return reference, compressed

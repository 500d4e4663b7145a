"""Small networks to predict from: accuracy fitted on networks like a reference, but not on it."""

from collections.abc import Sequence

import numpy as np

from nnmass.architectures import LinkedSpecification, Specification
from nnmass.data import Data
from nnmass.designing import Compression
from nnmass.designing.domain import respecified
from nnmass.errors import InvalidValueError
from nnmass.prediction import Comparison, compare
from nnmass.sweeps import RunStore, SweepProgress, run_sweep, seed_means
from nnmass.topology import nn_mass
from nnmass.training import TrainingConfig

_SPAN = 4.0
_MASSES = 8
_DEPTHS = 3


def calibration_grid(compression: Compression) -> list[Specification]:
    """Networks to fit on: three depths from the compressed one's up, eight masses around the reference's each.

    The masses run from a quarter to four times that of the reference, as far as the depth allows; skips are scaled
    alike in all cells.  Depths stay below the reference's where they can.  Reference and compressed are not among them,
    so that both are predicted, never fitted.

    Raises:
        InvalidValueError: a reference without concatenation skips.
    """
    reference, compressed = compression.reference, compression.spec.without_links()
    if not isinstance(reference, LinkedSpecification):
        raise InvalidValueError(f"networks to predict from are those of a DenseMLP or DenseCNN, got {reference.family}")
    lowest = np.array([cell.depth for cell in compressed.cells])
    highest = np.array([cell.depth for cell in reference.cells])
    excluded = {reference.without_links(), compressed}
    specs = []
    for k in range(_DEPTHS):
        depths = tuple(int(d) for d in lowest + (highest - lowest) * k // (_DEPTHS + 1))
        for factor in np.geomspace(1 / _SPAN, _SPAN, _MASSES):
            skips = tuple(
                skips_of_mass(cell.width, depth, factor * cell.nn_mass)
                for cell, depth in zip(reference.cells, depths, strict=True)
            )
            specs.append(respecified(reference, depths, skips))
    return [spec for spec in dict.fromkeys(specs) if spec not in excluded and spec.nn_mass > 0]


def calibrate(
    compression: Compression,
    data: Data,
    store: RunStore,
    config: TrainingConfig,
    *,
    seeds: int = 5,
    workers: int | None = None,
    progress: SweepProgress | None = None,
) -> Comparison:
    """Train the calibration grid and fit its mean accuracies.

    Args:
        compression: what will be predicted.
        data: what to learn.
        store: takes the runs.
        config: how to train; as reference and compressed will be.
        seeds: per network.
        workers: processes.
        progress: told of finished epochs.
    """
    specs = calibration_grid(compression)
    runs = run_sweep(specs, data, store, config, seeds=range(seeds), workers=workers, progress=progress)
    return _fit(store, [run.key for run in runs])


def skips_of_mass(width: int, depth: int, mass: float) -> int:
    """The number of skips whose mass comes nearest.

    Examples:
        >>> skips_of_mass(8, 16, 40), skips_of_mass(8, 32, 40)  # masses 40.23 and 40.19
        (20, 20)
    """
    choices = np.arange(width * max(depth - 2, 0) + 1)
    return int(np.abs(nn_mass(width, depth, choices) - mass).argmin())


def _fit(store: RunStore, keys: Sequence[str]) -> Comparison:
    wanted = set(keys)
    return compare(seed_means([row for row in store.runs() if row.key in wanted]))

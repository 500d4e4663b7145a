"""The paper's synthetic two-class sets: a line and rings, cut into segments of alternating label."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.data.dataset import Dataset, Split
from nnmass.errors import DataError

FloatArray: TypeAlias = npt.NDArray[np.float64]
_Points: TypeAlias = Callable[[FloatArray, np.random.Generator], FloatArray]

TRAIN, VALIDATION, TEST = 12_000, 1_200, 1_200
_STRATA = 120  # as in the published code, every 120th of the range holds equally many points


def linear(*, num_segments: int = 20, seed: int = 0) -> Dataset:
    """Points (x, x) of the unit interval; the label alternates between ``num_segments`` equal pieces.

    Source: arXiv:1910.00780, section 5.1.  12,000 training, 1,200 validation and 1,200 test points, evenly spread.

    Args:
        num_segments: pieces, at least 2.
        seed: draws the points.

    Raises:
        DataError: fewer than 2 segments, or more than training points.
    """

    def points(positions: FloatArray, _: np.random.Generator) -> FloatArray:
        return np.stack([positions, positions], 1)

    return _dataset("linear", points, num_segments, seed)


def circle(*, num_segments: int = 20, seed: int = 0) -> Dataset:
    """Points of the unit disk at random angles; the label alternates between ``num_segments`` rings.

    Source: arXiv:1910.00780, section 5.1.  12,000 training, 1,200 validation and 1,200 test points, radii
    evenly spread; the rings are equally broad.

    Note:
        The published code draws each radius from a truncated normal around the middle of its 120th of the range; here
        it is uniform within that 120th.

    Args:
        num_segments: rings, at least 2.
        seed: draws the points.

    Raises:
        DataError: fewer than 2 segments, or more than training points.
    """

    def points(radii: FloatArray, generator: np.random.Generator) -> FloatArray:
        angles = generator.uniform(0, 2 * np.pi, len(radii))
        return np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)

    return _dataset("circle", points, num_segments, seed)


def _dataset(name: str, points: _Points, num_segments: int, seed: int) -> Dataset:
    if num_segments < 2:
        raise DataError(f"{name}: num_segments must be at least 2, got {num_segments}")
    if num_segments > TRAIN:
        raise DataError(f"{name}: num_segments must be at most {TRAIN:,}, the training points, got {num_segments}")
    generator = np.random.default_rng(seed)

    def split(count: int) -> Split:
        strata = np.arange(count) % _STRATA
        positions = (strata + generator.random(count)) / _STRATA
        labels = (positions * num_segments).astype(np.int64) % 2
        return Split(points(positions, generator).astype(np.float32), labels)

    source = f"generated, {num_segments} segments, seed {seed}"
    train = split(TRAIN)
    return Dataset(
        name,
        train,
        split(VALIDATION),
        split(TEST),
        num_classes=2,
        mean=(float(train.inputs.mean()),),
        std=(float(train.inputs.std()),),
        source=source,
    )

import numpy as np
import pytest

from nnmass.data import Dataset


@pytest.fixture(scope="session")
def images() -> Dataset:
    """Grey images of 6 x 6 pixels in two classes, bright above or bright below: 116 training samples."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=160)
    pixels = rng.normal(size=(160, 1, 6, 6))
    pixels[:, 0, :3] += (2.0 * labels - 1)[:, None, None]
    return Dataset.from_arrays(pixels, labels, name="halves", source="drawn")

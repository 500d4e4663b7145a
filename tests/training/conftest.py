import numpy as np
import pytest

from nnmass.data import Dataset


@pytest.fixture(scope="session")
def clusters() -> Dataset:
    """Three well separated clusters of 5 values each: 224 training, 24 validation and 62 test samples."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=310)
    centres = rng.normal(size=(3, 5))
    return Dataset.from_arrays(centres[labels] + 0.3 * rng.normal(size=(310, 5)), labels, name="clusters")


@pytest.fixture(scope="session")
def images() -> Dataset:
    """Colour images of 8 x 8 pixels, uint8, whose class is the brightest channel: 86 training samples."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=120)
    pixels = rng.integers(0, 120, size=(120, 3, 8, 8))
    pixels[np.arange(120), labels] += 100
    return Dataset.from_arrays(pixels.astype(np.uint8), labels, name="images")

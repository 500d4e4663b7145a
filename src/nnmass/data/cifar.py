"""CIFAR-10 and CIFAR-100 as torchvision stores them, and how they are recognised."""

import os

import numpy as np

from nnmass.data.dataset import Dataset, Split
from nnmass.data.labels import whole_numbers
from nnmass.data.pickled_arrays import read_pickled
from nnmass.errors import DataError, reason
from nnmass.files import read_bytes
from nnmass.plain_text import plain

MEANS_AND_STDS = {
    "CIFAR-10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "CIFAR-100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
"""Per channel, over the training images."""
_SIDE = 32
_TRAIN, _TEST = 50_000, 10_000
_MOST_BYTES = 300_000_000  # all 60,000 images have 184 million, and as a text half as many again
_NEAR = 0.01


def read_cifar_batch(path: str | os.PathLike[str], *, label_key: str) -> Split:
    """Read one batch file of CIFAR-10 (``label_key="labels"``) or CIFAR-100 (``"fine_labels"``).

    The files are pickles; they are not unpickled, but the few instructions that such files need are followed.

    Returns:
        uint8 images (samples, 3, 32, 32) and their labels.

    Raises:
        DataError: not such a file.
    """
    try:
        content = read_pickled(read_bytes(path, limit=_MOST_BYTES, what="a CIFAR batch file"))
        images, labels = _wanted(content, "data"), _wanted(content, label_key)
        if not isinstance(images, np.ndarray) or images.shape[1:] != (3 * _SIDE**2,):
            got = images.shape if isinstance(images, np.ndarray) else type(images).__name__
            raise DataError(f"data must be bytes of the shape (images, {3 * _SIDE**2}), got {got}")
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise DataError(f"{label_key} must be a list of whole numbers")
        if len(labels) != len(images):
            raise DataError(f"has {len(images)} images, but {len(labels)} labels")
        numbers = whole_numbers(np.array(labels, np.int64), where=label_key)
    except (OSError, OverflowError, DataError) as error:
        raise DataError(f"{path}: not a CIFAR batch file ({plain(reason(error), limit=300)})") from None
    return Split(images.reshape(-1, 3, _SIDE, _SIDE), numbers)


def recognised(data: Dataset) -> str | None:
    """``"CIFAR-10"`` or ``"CIFAR-100"`` where a data set is that: as many images and classes, and the same colours."""
    if data.input_shape[0] != 3 or len(data.train) + len(data.validation) != _TRAIN or len(data.test) != _TEST:
        return None
    counts = np.bincount(data.train.labels) + np.bincount(data.validation.labels, minlength=data.num_classes)
    for name, statistics in MEANS_AND_STDS.items():
        alike = np.abs(np.subtract((data.mean, data.std), statistics)).max() < _NEAR
        if alike and data.num_classes == int(name.rsplit("-", 1)[1]) and set(counts) == {_TRAIN // data.num_classes}:
            return name
    return None


def _wanted(content: object, key: str) -> object:
    if not isinstance(content, dict) or key not in content:
        has = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise DataError(f"needs {key}, has {has}")
    return content[key]

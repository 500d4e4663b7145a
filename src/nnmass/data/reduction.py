"""A smaller form of a data set of images: fewer of them, and fewer pixels."""

from dataclasses import replace

import numpy as np

from nnmass.data.dataset import Dataset, Split
from nnmass.errors import DataError

_SEED = 0  # everyone gets the same images


def reduced(
    data: Dataset, *, image_size: int | None = None, train: int | None = None, test: int | None = None
) -> Dataset:
    """Take fewer images of a data set, as many of each class as in the whole, and average their pixels in blocks.

    Args:
        data: square images.
        image_size: side in pixels; a divisor of the data's own.
        train: training images to keep, and a tenth as many for validation; None, or more than there are: all.
        test: test images to keep, likewise.

    Returns:
        A data set whose name says what was left out.

    Raises:
        DataError: not square images, or sides that do not divide.
    """
    shape = data.input_shape
    if len(shape) != 3 or shape[1] != shape[2]:
        raise DataError(f"{data.name}: needs square images, but its inputs have the shape {shape}")
    side = image_size or shape[1]
    if side < 1 or shape[1] % side:
        raise DataError(f"{data.name}: its images have {shape[1]} pixels a side, which {side} does not divide")
    block = shape[1] // side
    train_part = _pooled(_fewer(data.train, train), block)
    validation = _pooled(_fewer(data.validation, None if train is None else max(train // 10, 1)), block)
    test_part = _pooled(_fewer(data.test, test), block)
    if train_part is data.train and test_part is data.test:
        return data
    name = f"{data.name}, {side} px, {len(train_part):,} + {len(test_part):,} images"
    return replace(data, name=name, train=train_part, validation=validation, test=test_part)


def _fewer(part: Split, count: int | None) -> Split:
    """About so many samples, each class with its share, in the order in which they stand."""
    if count is None or count >= len(part):
        return part
    generator = np.random.default_rng(_SEED)
    order = generator.permutation(len(part))
    labels = part.labels[order]
    rank = np.empty(len(part))
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        rank[own] = (np.arange(len(own)) + 0.5) / len(own)  # the first of each class come first
    chosen = order[np.argsort(rank, kind="stable")[:count]]
    return part[np.sort(chosen)]


def _pooled(part: Split, block: int) -> Split:
    if block == 1:
        return part
    count, channels, height, width = part.inputs.shape
    blocks = part.inputs.reshape(count, channels, height // block, block, width // block, block)
    mean = blocks.mean((3, 5), dtype=np.float64)
    if part.inputs.dtype == np.uint8:
        return Split(np.rint(mean).astype(np.uint8), part.labels)
    return Split(mean.astype(np.float32), part.labels)

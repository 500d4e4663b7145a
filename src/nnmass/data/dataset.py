"""A data set in memory: arrays, fixed splits, and checks that they are what they say."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.data.labels import agreed_classes, whole_numbers
from nnmass.errors import DataError
from nnmass.representation import brief

Inputs: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]

_FEWEST = 5  # samples of which a fifth can be set apart
_SPLIT_SEED = 0  # the held-out part of a data set is the same for everyone, always


@dataclass(frozen=True)
class Split:
    """Inputs and labels of one part of a data set.

    Attributes:
        inputs: float32 of any shape, or uint8 images (channels first); the first axis counts the samples.
        labels: int64, 0 ... num_classes-1.
    """

    __repr__ = brief

    inputs: Inputs
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> "Split":
        return Split(self.inputs[index], self.labels[index])


@dataclass(frozen=True)
class Dataset:
    """A classification data set with fixed training, validation and test parts.

    Attributes:
        name: its name.
        train: what is trained on.
        validation: held out of the training data, for whoever wants to choose.
        test: for measuring, never for choosing.
        num_classes: number of classes.
        mean: per channel, subtracted from inputs (after uint8 is scaled to [0, 1]).
        std: per channel, divided by.
        source: where it came from, as results should say.
        jpeg_copy_of: the public data set whose images these are, re-encoded as JPEG: "CIFAR-10"; None: none is known.

    Raises:
        DataError: an empty part, unequal lengths or shapes, NaN or infinity, a label out of range.
    """

    __repr__ = brief

    name: str
    train: Split
    validation: Split
    test: Split
    num_classes: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    source: str = ""
    jpeg_copy_of: str | None = None

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test"):
            _check(getattr(self, part), where=f"{self.name}, {part}", num_classes=self.num_classes)
        shapes = {self.train.inputs.shape[1:], self.validation.inputs.shape[1:], self.test.inputs.shape[1:]}
        if len(shapes) > 1:
            raise DataError(f"{self.name}: the inputs of the parts must have one shape, got {sorted(shapes)}")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that training sees."""
        found = hashlib.sha256(repr((self.num_classes, self.mean, self.std)).encode())
        for part in (self.train, self.validation, self.test):
            for array in (part.inputs, part.labels):
                found.update(f"{array.dtype.str}{array.shape}".encode())
                found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.train.inputs.shape[1:])

    @classmethod
    def from_arrays(
        cls,
        inputs: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        test: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        name: str = "arrays",
        num_classes: int | None = None,
        source: str = "",
    ) -> Self:
        """Make a data set of NumPy arrays or tensors.

        Classes without samples are mentioned as a `nnmass.data.DataWarning`.

        Args:
            inputs: (samples, ...), numbers; uint8 is taken as images with values 0 ... 255.
            labels: (samples,), whole numbers from 0.
            test: inputs and labels to measure on; without them a fifth of the samples is set apart.
            name: its name.
            num_classes: number of classes; by default the largest label of those to train on + 1.
            source: where it came from.

        Raises:
            DataError: not what a data set must be.
        """
        parts = {"train": _split(inputs, labels, where=name)}
        if test is not None:
            parts["test"] = _split(*test, where=f"{name}, test")
        given = {part: split.labels for part, split in parts.items()}
        classes = agreed_classes(given, where=name, spot=lambda _, i: f"sample {i}", classes=num_classes)
        return cls(name, *complete_parts(parts, where=name), classes, source=source)

    @classmethod
    def from_torch(cls, dataset: Sequence[Any], *, test: Sequence[Any] | None = None, name: str = "torch") -> Self:
        """Make a data set of a map-style PyTorch data set that yields (tensor or array, label).

        Raises:
            DataError: not what a data set must be.
        """
        whole = _samples(dataset, where=name)
        held_out = None if test is None else _samples(test, where=f"{name}, test")
        return cls.from_arrays(*whole, test=held_out, name=name)


def complete_parts(parts: Mapping[str, Split], *, where: str) -> tuple[Split, Split, Split]:
    """Training, validation and test part; what is missing is set apart from the training part.

    Raises:
        DataError: too few samples to set any apart.
    """
    train = parts["train"]
    if not len(train):
        raise DataError(f"{where}: holds no training samples")
    if "test" in parts:
        test = parts["test"]
    elif len(train) < _FEWEST:
        raise DataError(
            f"{where}: has {len(train)} training samples, too few to set a test part apart; needs at least {_FEWEST}, "
            "or a test part"
        )
    else:
        train, test = set_apart(train, len(train) // 5)
    if "validation" in parts:
        return train, parts["validation"], test
    if len(train) < 2:
        raise DataError(f"{where}: has 1 training sample, too few to set a validation part apart; needs at least 2")
    rest, validation = set_apart(train, max(len(train) // 10, 1))
    return rest, validation, test


def set_apart(whole: Split, count: int) -> tuple[Split, Split]:
    """Split off ``count`` samples, the same ones every time; returns the rest and them."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(whole))
    return whole[np.sort(order[count:])], whole[np.sort(order[:count])]


def _samples(dataset: Sequence[Any], *, where: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Inputs and labels of a PyTorch data set, stacked."""
    inputs, labels = [], []
    for i in range(len(dataset)):
        sample = dataset[i]
        try:
            x, y = sample
        except (TypeError, ValueError):
            raise DataError(f"{where}: sample {i} must be an input and a label, got {type(sample).__name__}") from None
        inputs.append(np.asarray(x))
        labels.append(np.asarray(y))
    for what, arrays in (("inputs", inputs), ("labels", labels)):
        shapes = {array.shape for array in arrays}
        if len(shapes) != 1:
            raise DataError(f"{where}: needs samples, {what} all of one shape, got {sorted(shapes) or 'none'}")
    return np.stack(inputs), np.stack(labels)


def _split(inputs: npt.ArrayLike, labels: npt.ArrayLike, *, where: str) -> Split:
    x, y = np.asarray(inputs), np.asarray(labels)
    if x.dtype.kind not in "uif" or y.dtype.kind not in "uif":
        raise DataError(f"{where}: inputs and labels must be numbers, got {x.dtype} and {y.dtype}")
    if y.ndim != 1 or x.ndim == 0 or len(x) != len(y):
        raise DataError(f"{where}: needs one label per input, got inputs {x.shape} and labels {y.shape}")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return Split(x if x.dtype == np.uint8 else x.astype(np.float32), whole_numbers(y, where=where))


def _check(split: Split, *, where: str, num_classes: int) -> None:
    if len(split.inputs) != len(split.labels) or not len(split):
        raise DataError(f"{where}: needs one label per input, got {len(split.inputs)} inputs, {len(split)} labels")
    if split.labels.min() < 0 or split.labels.max() >= num_classes:
        wrong = int(np.flatnonzero((split.labels < 0) | (split.labels >= num_classes))[0])
        raise DataError(
            f"{where}: labels must lie in 0 ... {num_classes - 1}, got {split.labels[wrong]} at sample {wrong}"
        )
    if split.inputs.dtype != np.uint8 and not np.isfinite(split.inputs).all():
        wrong = int(np.flatnonzero(~np.isfinite(split.inputs).reshape(len(split), -1).all(1))[0])
        raise DataError(f"{where}: inputs must be finite, got NaN or infinity at sample {wrong}")

"""Labels: whole numbers, and classes that every part of a data set agrees on."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nnmass.data.left_out import tell
from nnmass.errors import DataError
from nnmass.plain_text import plain

_SECRET = -1  # the label that public data sets give a test part whose labels are kept secret
_MOST_UNUSED = 1_000
"""Classes without an image that are taken for gaps in the numbering, and no mistake."""
_UNUSED_PER_USED = 10


def whole_numbers(values: npt.ArrayLike, *, where: str) -> npt.NDArray[np.int64]:
    """Take numbers for labels; 3.0 is 3.

    Raises:
        DataError: not one number per sample, or one that is not whole or beyond 64 bits.
    """
    labels = np.asarray(values)
    if labels.dtype.kind not in "uif":
        raise DataError(f"{where}: labels must be whole numbers, got {_example(labels)}")
    if labels.ndim != 1:
        raise DataError(f"{where}: needs one label per sample, got the shape {labels.shape}")
    if labels.dtype.kind == "f":
        wrong = ~np.isfinite(labels) | (labels != np.floor(labels)) | (np.abs(labels) >= 2.0**63)
    else:
        wrong = labels > np.iinfo(np.int64).max if labels.dtype == np.uint64 else np.zeros(len(labels), bool)
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(f"{where}: labels must be whole numbers, got {labels[first]} at sample {first}")
    return labels.astype(np.int64)


def _example(labels: npt.NDArray[np.generic]) -> str:
    return plain(labels.flat[0], limit=40) if labels.dtype.kind in "US" and labels.size else str(labels.dtype)


def agreed_classes(
    parts: Mapping[str, npt.NDArray[np.int64]],
    *,
    where: str,
    spot: Callable[[str, int], str],
    classes: int | None = None,
    names: Sequence[str] | None = None,
) -> int:
    """Check the labels of a data set's parts against each other, and return the number of classes.

    Args:
        parts: labels by part; ``train`` is among them.
        where: the data set, for messages.
        spot: says where sample i of a part lies.
        classes: how many there are; by default the training part decides: its largest label + 1.
        names: of the classes, where they have any.

    Raises:
        DataError: a label outside the classes, or numbers of classes with huge gaps.
    """
    train = parts["train"]
    if classes is None:
        rule = "labels must be whole numbers from 0"
        _refuse(train < 0, train, f"{where}, train", rule, lambda i: spot("train", i))
        classes = _counted_classes(train, where=where, spot=spot)
        _tell_missing(np.bincount(train, minlength=classes) == 0, where=f"{where}, train", names=names)
    for part, labels in parts.items():
        outside = (labels < 0) | (labels >= classes)
        rule = f"labels must lie in 0 ... {classes - 1}"
        if part != "train" and len(labels) and (labels == _SECRET).all():
            rule = f"all labels are {_SECRET}, as where they are secret: leave this part out; {rule}"
        _refuse(outside, labels, f"{where}, {part}", rule, lambda i, part=part: spot(part, i))  # type: ignore[misc]
        if part != "train":
            own, known = (np.bincount(numbers, minlength=classes) for numbers in (labels, train))
            _tell_missing((own == 0) & (known > 0), where=f"{where}, {part}", names=names)
    return classes


def largest_share(labels: npt.NDArray[np.int64]) -> float:
    """Share of the largest class: the accuracy of a network that names it throughout.

    Examples:
        >>> largest_share(np.array([0, 2, 2, 1]))
        0.5
    """
    return float(np.bincount(labels).max() / len(labels))


def _refuse(
    wrong: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], where: str, rule: str, spot: Callable[[int], str]
) -> None:
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(f"{where}: {rule}, got {labels[first]} at {spot(first)}")


def _counted_classes(labels: npt.NDArray[np.int64], *, where: str, spot: Callable[[str, int], str]) -> int:
    """The largest training label + 1."""
    used, classes = len(np.unique(labels)), int(labels.max(initial=-1)) + 1
    if classes - used > max(_MOST_UNUSED, _UNUSED_PER_USED * used):
        raise DataError(
            f"{where}, train: label {classes - 1} at {spot('train', int(labels.argmax()))} would make {classes:,} "
            f"classes, of which {used:,} have samples; number the classes from 0"
        )
    return classes


def _tell_missing(missing: npt.NDArray[np.bool_], *, where: str, names: Sequence[str] | None) -> None:
    """Say which classes a part has no sample of."""
    indices = np.flatnonzero(missing)
    if len(indices):
        shown = ", ".join(plain(names[i], limit=40) if names else str(i) for i in indices[:3])
        more = ", …" if len(indices) > 3 else ""
        tell(f"{where}: has no sample of {len(indices):,} of {len(missing):,} classes ({shown}{more})")

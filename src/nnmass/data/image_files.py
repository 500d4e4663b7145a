"""Encoded images of one part of a data set: what every layout gives, and those in one folder per class."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nnmass.data.images import MOST_BYTES, SUFFIXES
from nnmass.data.left_out import counted, is_hidden, is_note, tell, tell_left_out
from nnmass.errors import DataError, ImageError, reason
from nnmass.files import kind_of, read_bytes
from nnmass.plain_text import plain

_SAME_KIND = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tiff": ".tif"}
_GIVEN_AWAY = 0.5  # share of a class that comes as a kind of file that another class lacks


class ImageFiles(Protocol):
    """Encoded images of one part of a data set.

    Attributes:
        labels: (images,) classes.
        chunks: (images,) what is cheap to read together, ascending.
    """

    @property
    def labels(self) -> npt.NDArray[np.int64]: ...  # noqa: D102

    @property
    def chunks(self) -> npt.NDArray[np.int64]: ...  # noqa: D102

    def name(self, i: int) -> str:
        """Where an image lies."""

    def read(self, i: int) -> bytes:
        """Its bytes.

        Raises:
            ImageError: they cannot be read.
            DataError: nor can others of the file that holds them.
        """


@dataclass(frozen=True)
class FolderFiles:
    """Images in one folder per class; every one is as cheap to read as any other."""

    paths: Sequence[str]
    labels: npt.NDArray[np.int64]

    @property
    def chunks(self) -> npt.NDArray[np.int64]:
        """All are one chunk."""
        return np.zeros(len(self.labels), np.int64)

    def name(self, i: int) -> str:
        """Its path."""
        return self.paths[i]

    def read(self, i: int) -> bytes:
        """The content of the file."""
        try:
            return read_bytes(self.paths[i], limit=MOST_BYTES, what="an image")
        except OSError as error:
            raise ImageError(f"cannot be read ({reason(error)})") from None


def class_folders(root: Path) -> list[str]:
    """Names of the folders of a part that hold images or other data, in alphabetical order."""
    return sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not is_hidden(entry.name))


def folder_files(root: Path, classes: Sequence[str], *, training: bool = True) -> FolderFiles:
    """Find the images of a folder per class, however deep they lie in it.

    Hidden files and folders are passed over, and so are notes (``.txt``, ``.json``, …); of other files that are no
    images it is said how many were left out.

    Raises:
        DataError: no images, a class that is not among those named, a training class without images, or something in
            the place of an image that is not a file.
    """
    paths: list[str] = []
    labels: list[int] = []
    others: list[str] = []
    for name in sorted({*classes, *class_folders(root)}):
        if not (root / name).is_dir():
            continue
        found, left_out = _images(root / name)
        others += left_out
        if found and name not in classes:
            raise DataError(f"{root}: class '{plain(name, limit=80)}' has no training images")
        if not found and training and len(classes) > 1:
            raise DataError(f"{root}: class folder '{plain(name, limit=80)}' holds no images{_instead(left_out)}")
        paths += found
        labels += [classes.index(name)] * len(found) if found else []
    if not paths:
        raise DataError(f"{root}: no image files ({', '.join(sorted(SUFFIXES))}) in its class folders")
    loose = [entry.name for entry in os.scandir(root) if not entry.is_dir() and not is_hidden(entry.name)]
    tell_left_out((name for name in loose if not is_note(name)), where=str(root), why="in no class folder")
    tell_left_out(others, where=str(root), why="of a kind that is not read")
    if training:
        _tell_uneven_kinds(paths, labels, classes, root)
    return FolderFiles(paths, np.array(labels, np.int64))


def _tell_uneven_kinds(paths: Sequence[str], labels: Sequence[int], classes: Sequence[str], root: Path) -> None:
    """Say where the kind of file gives a class away, as when one class alone comes as .tif."""
    endings = [os.path.splitext(path)[1].lower() for path in paths]
    counts = Counter(zip(labels, (_SAME_KIND.get(ending, ending) for ending in endings), strict=True))
    totals = Counter(labels)
    for kind in sorted({kind for _, kind in counts}):
        shares = {label: counts[label, kind] / total for label, total in totals.items()}
        most, least = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
        if shares[most] >= _GIVEN_AWAY and shares[least] == 0:
            with_kind, without = (plain(classes[label], limit=80) for label in (most, least))
            tell(
                f"{root}: {kind} files make up {shares[most]:.0%} of class '{with_kind}' and none of '{without}': a "
                "network may learn how the files were made"
            )
            return


def _instead(left_out: Sequence[str]) -> str:
    return (
        f", but {counted(len(left_out), 'other file')} such as {plain(Path(left_out[0]).name, limit=80)}"
        if left_out
        else ""
    )


def _images(folder: Path) -> tuple[list[str], list[str]]:
    """Paths of images below a folder, and of other files that are not hidden and no notes."""
    images, others = [], []
    for entry in _walk(folder):
        if Path(entry.name).suffix.lower() in SUFFIXES:
            images.append(_regular(entry))
        elif not is_note(entry.name):
            others.append(entry.path)
    return images, others


def _walk(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Every file below a folder that is not hidden, in alphabetical order; links to folders are followed.

    A link to a folder that it lies in, or that was seen already, would lead round and round: it is left out with a
    word.
    """
    start = os.path.realpath(folder)
    seen = {start}
    waiting = _entries(folder)
    while waiting:
        entry = waiting.pop()
        if not entry.is_dir():
            yield entry
            continue
        real = os.path.realpath(entry.path)
        if real in seen or f"{start}/".startswith(f"{real.rstrip('/')}/"):
            tell(f"{entry.path}: is a link to a folder that is read already, or that it lies in; it was left out")
            continue
        seen.add(real)
        waiting += _entries(entry.path)


def _entries(folder: Path | str) -> list["os.DirEntry[str]"]:
    """What lies in a folder and is not hidden, last first."""
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not is_hidden(e.name)), key=lambda e: e.name, reverse=True)


def _regular(entry: "os.DirEntry[str]") -> str:
    if not entry.is_file():
        try:
            mode = entry.stat().st_mode
        except OSError as error:  # a link to nowhere
            raise DataError(f"{entry.path}: cannot be read ({error.strerror})") from None
        raise DataError(f"{entry.path}: is {kind_of(mode)}, not an image")
    return entry.path

"""A person's own data: a folder of images, a folder of Parquet files, or a NumPy archive."""

import os
import tokenize
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnmass.data.dataset import Dataset, Split, set_apart
from nnmass.data.parquet import PARTS, decode_image, parquet_parts, read_parquet, stack_images
from nnmass.errors import DataError

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_UNREADABLE = (  # what NumPy raises for archives that are damaged in one way or another
    OSError,
    ValueError,
    EOFError,
    NotImplementedError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz(path: str | os.PathLike[str]) -> Dataset:
    """Read a NumPy archive with ``x`` and ``y``, and perhaps ``x_test`` and ``y_test``.

    Raises:
        DataError: not such an archive.  Pickled objects are refused.
    """
    try:
        with open(path, "rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: holds a single array; needs an archive of the arrays x and y")
            arrays = {name: archive[name] for name in archive.files}
    except _UNREADABLE as error:
        reason = str(error).split(". ", 1)[0]  # NumPy goes on to say how to run code from the file
        raise DataError(f"{path}: cannot be read as a NumPy archive ({reason})") from None
    if not {"x", "y"} <= arrays.keys():
        raise DataError(f"{path}: needs the arrays x and y, has {', '.join(arrays) or 'none'}")
    test = (arrays["x_test"], arrays["y_test"]) if {"x_test", "y_test"} <= arrays.keys() else None
    return Dataset.from_arrays(arrays["x"], arrays["y"], test=test, name=Path(path).stem, source=str(path))


def read_folder(path: str | os.PathLike[str], *, image_size: int | None = None) -> Dataset:
    """Read a folder of Parquet files (train*.parquet, test*.parquet, …) or of images.

    Images lie in one folder per class, either directly (``cat/1.png``) or within ``train``, ``test`` and perhaps
    ``validation``.  What is missing is set apart: a fifth for testing, a tenth of the rest for validation.

    Args:
        path: the folder.
        image_size: resize to so many pixels square; otherwise all images must have one size.

    Raises:
        DataError: no images, or not as above.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    files = sorted(folder.glob("*.parquet"))
    if files:
        parts = parquet_parts(files)
        return _from_parts(folder, {part: read_parquet(parts[part], image_size=image_size) for part in parts})
    has_parts = (folder / "train").is_dir()
    roots = {"train": folder / "train"} if has_parts else {"train": folder}
    if has_parts:
        for part, names in PARTS.items():
            found = next((folder / name for name in names if (folder / name).is_dir()), None)
            if found is not None:
                roots[part] = found
    classes = sorted(entry.name for entry in roots["train"].iterdir() if entry.is_dir())
    if not classes:
        raise DataError(f"{folder}: needs one folder of images per class, found none in {roots['train']}")
    return _from_parts(folder, {part: _images(root, classes, image_size) for part, root in roots.items()})


def _from_parts(folder: Path, parts: dict[str, Split]) -> Dataset:
    train = parts["train"]
    if "test" in parts:
        test = parts["test"]
    else:
        train, test = set_apart(train, len(train) // 5)
    if "validation" in parts:
        validation = parts["validation"]
    else:
        train, validation = set_apart(train, max(len(train) // 10, 1))
    num_classes = int(max(part.labels.max(initial=0) for part in parts.values())) + 1
    return _normalised(Dataset(folder.name, train, validation, test, num_classes, source=str(folder)))


def _normalised(data: Dataset) -> Dataset:
    """Normalise uint8 images by the mean and standard deviation of each channel over the training part."""
    images = data.train.inputs
    channels = [images[:, c].astype(np.float32) / 255 for c in range(images.shape[1])]
    std = tuple(float(c.std()) or 1.0 for c in channels)
    return replace(data, mean=tuple(float(c.mean()) for c in channels), std=std)


def _images(root: Path, classes: list[str], image_size: int | None) -> Split:
    unknown = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and entry.name not in classes)
    if unknown:
        raise DataError(f"{root}: class {unknown[0]!r} has no training images")
    found = [(file, label) for label, name in enumerate(classes) for file in sorted((root / name).glob("*"))]
    found = [(file, label) for file, label in found if file.suffix.lower() in _SUFFIXES]
    if not found:
        raise DataError(f"{root}: no image files ({', '.join(sorted(_SUFFIXES))}) in its class folders")
    images = [decode_image(file.read_bytes(), where=str(file), size=image_size) for file, _ in found]
    return Split(stack_images(images, [str(file) for file, _ in found]), np.array([label for _, label in found]))

"""Data sets by name."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnmass.data.cifar import MEANS_AND_STDS, read_cifar_batch
from nnmass.data.dataset import Dataset, Split, set_apart
from nnmass.data.folder import load_folder, read_folder
from nnmass.data.idx import read_idx
from nnmass.data.npz import read_npz
from nnmass.data.synthetic import circle, linear
from nnmass.errors import DataError, ModelError, first_line, reason, require_type

DATA_NAMES = ("digits", "linear", "circle", "mnist", "fashion-mnist", "cifar10", "cifar100")
"""What `load_data` knows by name."""

_CIFAR = {
    "cifar10": (
        "cifar-10-batches-py",
        [f"data_batch_{i}" for i in range(1, 6)],
        ["test_batch"],
        "labels",
        "CIFAR-10",
    ),
    "cifar100": (
        "cifar-100-python",
        ["train"],
        ["test"],
        "fine_labels",
        "CIFAR-100",
    ),
}
_VALIDATION = 5_000  # images of MNIST and CIFAR
_TORCHVISION = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10", "cifar100": "CIFAR100"}


def load_data(
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    num_segments: int = 20,
    image_size: int | None = None,
    download: bool = True,
) -> Dataset:
    """Load a data set with its fixed splits.

    ``digits`` (scikit-learn's 8x8 digits), ``linear`` and ``circle`` (arXiv:1910.00780) need no files.  ``mnist``,
    ``fashion-mnist``, ``cifar10`` and ``cifar100`` are looked for below ``root``, else downloaded by torchvision.  Any
    other name is a path: a NumPy archive (``.npz`` with x and y), or a folder of images, WebDataset shards or Parquet
    files, which may lie below ``root``.  What is left out of it is said as a `nnmass.data.DataWarning`.

    Args:
        name: a name or a path.
        root: folder of the data sets; by default the environment variable ``NNMASS_DATA``.
        num_segments: for ``linear`` and ``circle``.
        image_size: for a folder of images or Parquet files: resize to so many pixels square.
        download: whether torchvision may download what is missing.

    Raises:
        DataError: unknown, not found, or not what its name says.

    Examples:
        >>> data = load_data("digits")
        >>> data.input_shape, len(data.train), len(data.validation), len(data.test)
        ((1, 8, 8), 1257, 180, 360)
    """
    require_type(name, str, "name", "the name of a data set, or text that names a file or folder")
    if name == "digits":
        return _digits()
    if name in ("linear", "circle"):
        generate = linear if name == "linear" else circle
        return generate(num_segments=num_segments)
    where = Path(root or os.environ.get("NNMASS_DATA") or ".")
    try:
        if name in _TORCHVISION:
            return _with_files(name, where, download=download)
        found = _at_path(name, where, image_size)
    except OSError as error:
        raise DataError(f"data {name!r} cannot be read ({reason(error)})") from None
    if found is None:
        raise DataError(f"data {name!r} is neither one of {', '.join(DATA_NAMES)} nor an existing folder or .npz file")
    return found


def _at_path(name: str, root: Path, image_size: int | None) -> Dataset | None:
    path = Path(name)
    if name and not path.is_dir() and (root / name).is_dir():
        return replace(read_folder(root / name, image_size=image_size), source=name)
    if name and path.is_dir():
        return read_folder(path, image_size=image_size)
    if path.suffix == ".npz" and path.exists():
        return read_npz(path)
    return None


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    whole = Split((bunch.images[:, None] / 16).astype(np.float32), bunch.target.astype(np.int64))
    rest, test = set_apart(whole, 360)
    train, validation = set_apart(rest, 180)
    return Dataset("digits", train, validation, test, 10, source="scikit-learn load_digits")


def _with_files(name: str, root: Path, *, download: bool) -> Dataset:
    read: Callable[[str, Path], Dataset | None] = _idx_files if "mnist" in name else _cifar_files
    found = read(name, root)
    if found is None and download:
        root = root if root != Path(".") else Path.home() / ".cache" / "nnmass"
        found = read(name, root)
        if found is None:
            _download(name, root)
            found = read(name, root)
    if found is None:
        raise DataError(f"{name} was not found below {root.resolve()}; set NNMASS_DATA to the folder that holds it")
    return found


def _idx_files(name: str, root: Path) -> Dataset | None:
    class_name = _TORCHVISION[name]
    for folder in (root / name, root / class_name / "raw", root / class_name, root / name.replace("-", "_")):
        found = {
            (part, kind): _first_file(folder / f"{part}-{kind}-ubyte", folder / f"{part}-{kind}-ubyte.gz")
            for part in ("train", "t10k")
            for kind in ("images-idx3", "labels-idx1")
        }
        paths = {key: path for key, path in found.items() if path is not None}
        if len(paths) == len(found):
            parts = [_idx_split(paths[part, "images-idx3"], paths[part, "labels-idx1"]) for part in ("train", "t10k")]
            train, validation = _train_and_validation(parts[0], name)
            return Dataset(name, train, validation, parts[1], 10, source=_source(folder, root))
        if paths:
            missing = next(f"{part}-{kind}-ubyte" for (part, kind), path in found.items() if path is None)
            raise DataError(f"{folder}: has some files of {name}, but {missing} is missing")
    return None


def _idx_split(images: Path, labels: Path) -> Split:
    x, y = read_idx(images), read_idx(labels)
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
        raise DataError(f"{images}: must hold one image per label of {labels.name}, got shapes {x.shape} and {y.shape}")
    return Split(x[:, None], y.astype(np.int64))


def _cifar_files(name: str, root: Path) -> Dataset | None:
    folder_name, train_files, test_files, label_key, title = _CIFAR[name]
    mean, std = MEANS_AND_STDS[title]
    folder = root / folder_name
    if folder.is_dir():
        whole, test = (
            _joined([read_cifar_batch(folder / file, label_key=label_key) for file in files])
            for files in (train_files, test_files)
        )
        train, validation = _train_and_validation(whole, name)
        classes = 10 if name == "cifar10" else 100
        return Dataset(name, train, validation, test, classes, mean, std, _source(folder, root))
    for folder in sorted(root.glob(f"{name}*")):
        if folder.is_dir() and any(folder.glob("*.parquet")) and (name == "cifar100" or "100" not in folder.name):
            return replace(
                load_folder(folder, known=title), name=name, mean=mean, std=std, source=_source(folder, root)
            )
    return None


def _train_and_validation(whole: Split, name: str) -> tuple[Split, Split]:
    if len(whole) <= _VALIDATION:
        raise DataError(f"{name}: has {len(whole):,} training images, too few to set {_VALIDATION:,} apart")
    return set_apart(whole, _VALIDATION)


def _joined(parts: list[Split]) -> Split:
    return Split(np.concatenate([part.inputs for part in parts]), np.concatenate([part.labels for part in parts]))


def _download(name: str, root: Path) -> None:
    from nnmass.tracing.libraries import import_library

    try:
        datasets = import_library("torchvision.datasets")
    except ModelError as error:
        unset = os.environ.get("NNMASS_DATA", "unset")
        raise DataError(f"{name} was not found (NNMASS_DATA={unset}) and cannot be downloaded: {error}") from None
    try:
        for train in (True, False):
            getattr(datasets, _TORCHVISION[name])(root=str(root), train=train, download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{name} could not be downloaded to {root} ({first_line(error)})") from None


def _first_file(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _source(folder: Path, root: Path) -> str:
    """Name the folder as results should: relative to the root, so that they carry no one's paths."""
    return folder.relative_to(root).as_posix()

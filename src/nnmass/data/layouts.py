"""The layouts of a folder of images: found and checked in one way, whether they are loaded or streamed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnmass.data.image_files import ImageFiles, class_folders, folder_files
from nnmass.data.labels import agreed_classes
from nnmass.data.left_out import counted, is_hidden, is_note, tell
from nnmass.data.parquet import parquet_files
from nnmass.data.tar_shards import tar_files
from nnmass.errors import DataError, reason
from nnmass.memory import require_memory
from nnmass.plain_text import plain

PARTS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
"""Names that a part of a data set may go by."""
MAX_CORRUPT = 0.01
"""The share of images that may be unreadable; they are left out, and counted."""
_BYTES_PER_VALUE = 4  # a value itself, and float32 values of one channel while it is normalised


@dataclass(frozen=True)
class ImageParts:
    """Encoded images of a data set.

    Attributes:
        files: by part: ``train``, and perhaps ``validation`` and ``test``.
        num_classes: number of classes.
    """

    files: Mapping[str, ImageFiles]
    num_classes: int


def find_images(folder: Path) -> ImageParts:
    """Find the images of a folder and check their labels.

    Three layouts are known: Parquet files ``train*.parquet``, ``valid*.parquet``, … of the Hugging Face hub; WebDataset
    shards ``train*.tar``, …; a folder per class, directly or within ``train``, ``validation`` (or ``valid``, ``val``)
    and ``test``.

    Raises:
        DataError: none of these layouts, nothing to train on, no images in a training class, labels that are no
            classes of the training part.
    """
    try:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
        found, names = _parts(folder)
    except OSError as error:
        where = error.filename or folder
        raise DataError(f"{where}: cannot be read ({reason(error)})") from None
    classes = agreed_classes(
        {part: files.labels for part, files in found.items()},
        where=str(folder),
        spot=lambda part, i: found[part].name(i),
        classes=None if names is None else len(names),
        names=names,
    )
    return ImageParts(found, classes)


def check_image_size(image_size: int, *, what: str) -> None:
    """Refuse a size of images that is none.

    Raises:
        DataError: fewer than one pixel.
    """
    if image_size < 1:
        raise DataError(f"{what}: the image size must be at least 1 pixel, got {image_size}")


def require_pixels(count: int, channels: int, height: int, width: int, *, what: str) -> None:
    """Refuse more pixels than memory can hold and normalise.

    Raises:
        ResourceError: more memory than the machine has.
    """
    sides = f"{count:,} images of {height:,} × {width:,} pixels"
    require_memory(_BYTES_PER_VALUE * count * channels * height * width, f"{what}: {sides}")


def refuse_too_many(unreadable: Mapping[str, str], *, total: int, share: float, where: str) -> None:
    """Refuse a data set of which too much cannot be read.

    Raises:
        DataError: more unreadable images than the share of all.
    """
    if unreadable and len(unreadable) > share * total:
        name, why = next(iter(unreadable.items()))
        count = f"{len(unreadable):,} images"
        raise DataError(f"{where}: {count} cannot be decoded, more than {share:.3g} of all; the first is {name}: {why}")


def _by_part(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Sort files into parts by how their names begin.

    Raises:
        DataError: a name that begins otherwise, or nothing to train on.
    """
    parts: dict[str, list[Path]] = {}
    for file in files:
        part = next((p for p, names in PARTS.items() if file.name.startswith(names)), None)
        if part is None:
            raise DataError(f"{file}: its name must begin with train, validation, valid, val or test")
        parts.setdefault(part, []).append(file)
    if "train" not in parts:
        raise DataError(f"{files[0].parent}: has no train*{files[0].suffix}")
    return parts


def _parts(folder: Path) -> tuple[dict[str, ImageFiles], list[str] | None]:
    """Images by part, and the names of classes where they have any."""
    entries = sorted(entry for entry in folder.iterdir() if not is_hidden(entry.name))
    for suffix, read in ((".parquet", parquet_files), (".tar", tar_files)):
        files = [entry for entry in entries if entry.suffix == suffix]
        if files:
            _tell_others([e for e in entries if e not in files and not is_note(e.name)], suffix, folder)
            return {part: read(own) for part, own in _by_part(files).items()}, None
    roots = _roots(folder)
    classes = class_folders(roots["train"])
    if not classes:
        raise DataError(f"{folder}: needs one folder of images per class, found none in {roots['train']}")
    return {part: folder_files(root, classes, training=part == "train") for part, root in roots.items()}, classes


def _roots(folder: Path) -> dict[str, Path]:
    """The folder of each part; the folder itself where it has none."""
    roots: dict[str, Path] = {}
    folders = class_folders(folder)
    for part, names in PARTS.items():
        found = [name for name in names if name in folders]
        if len(found) > 1:
            raise DataError(f"{folder}: has {' and '.join(found)}, which are the same part; keep one")
        if found:
            roots[part] = folder / found[0]
    others = [name for name in folders if folder / name not in roots.values()]
    if not roots or ("train" not in roots and others):
        return {"train": folder}
    if "train" not in roots:
        raise DataError(f"{folder}: needs train/CLASS/*.jpg, train*.tar or train*.parquet, has {', '.join(folders)}")
    if others:
        shown = ", ".join(plain(name, limit=40) for name in others[:3])
        tell(f"{folder}: {counted(len(others), 'folder')} beside its parts left out ({shown})")
    return roots


def _tell_others(others: Sequence[Path], suffix: str, folder: Path) -> None:
    files = [entry for entry in others if entry.is_dir() or entry.suffix == ".tar"]
    if files:
        shown = ", ".join(plain(entry.name, limit=40) for entry in files[:3])
        tell(f"{folder}: only its {suffix} files are read; {counted(len(files), 'folder or shard')} left out ({shown})")

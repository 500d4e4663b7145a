"""A folder of images, decoded and held in memory."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnmass.data.cifar import recognised
from nnmass.data.dataset import Dataset, Split, complete_parts
from nnmass.data.image_files import ImageFiles
from nnmass.data.images import decode_image, is_jpeg
from nnmass.data.layouts import MAX_CORRUPT, check_image_size, find_images, refuse_too_many, require_pixels
from nnmass.data.left_out import counted, tell
from nnmass.data.parquet import parquet_files
from nnmass.errors import DataError, ImageError


def read_folder(path: str | os.PathLike[str], *, image_size: int | None = None) -> Dataset:
    """Read a folder of images: Parquet files, WebDataset shards, or a folder per class.

    Parts go by the names ``train``, ``test`` and ``validation`` (or ``valid``, ``val``), of files or folders. Folders
    of classes may also stand alone. What is missing is set apart: a fifth for testing, a tenth of the rest for
    validation. Images that cannot be read are left out, up to one in a hundred. What is left out is said as a
    `nnmass.data.DataWarning`.

    Args:
        path: the folder.
        image_size: resize to so many pixels square; otherwise all images must have one size.

    Raises:
        DataError: no images, or not as above.
        ResourceError: more images than memory holds.
    """
    return load_folder(path, image_size=image_size)


def load_folder(path: str | os.PathLike[str], *, image_size: int | None = None, known: str | None = None) -> Dataset:
    """Read a folder as `read_folder` does; ``known`` is the public data set that it holds, where that is certain."""
    folder = Path(path)
    found = find_images(folder)
    loader = _Loader(str(folder), image_size, sum(len(files.labels) for files in found.files.values()))
    parts = {part: loader.load(files) for part, files in found.files.items()}
    loader.tell_unreadable()
    train, validation, test = complete_parts(parts, where=str(folder))
    data = _normalised(Dataset(folder.name, train, validation, test, found.num_classes, source=str(folder)))
    return replace(data, jpeg_copy_of=known or recognised(data)) if loader.all_jpeg else data


def read_parquet(paths: Sequence[str | os.PathLike[str]], *, image_size: int | None = None) -> Split:
    """Read Parquet files with a column of encoded images and one of labels.

    Args:
        paths: the files of one part, in order.
        image_size: resize to so many pixels square; otherwise all images must have one size.

    Returns:
        uint8 images (samples, channels, h, w) and their labels.

    Raises:
        DataError: not Parquet, missing columns, images that cannot be decoded, images of different sizes.
        ResourceError: more images than memory holds.
    """
    files = parquet_files(paths)
    loader = _Loader(os.fspath(paths[0]), image_size, len(files.labels))
    part = loader.load(files)
    loader.tell_unreadable()
    return part


@dataclass
class _Loader:
    """Decodes the parts of one data set.

    Attributes:
        where: the data set, for messages.
        image_size: images are resized to so many pixels square.
        total: images of all parts.
    """

    where: str
    image_size: int | None
    total: int
    all_jpeg: bool = True

    def __post_init__(self) -> None:
        self.unreadable: dict[str, str] = {}
        if self.image_size is not None:
            check_image_size(self.image_size, what=self.where)
            require_pixels(self.total, 3, self.image_size, self.image_size, what=self.where)

    def load(self, files: ImageFiles) -> Split:
        """Decode all images of a part; grey ones among coloured ones become coloured."""
        held: npt.NDArray[np.uint8] = np.zeros((0, 0, 0, 0), np.uint8)
        kept: list[int] = []
        for i in range(len(files.labels)):
            image = self._image(files, i)
            if image is None:
                continue
            if not kept:
                require_pixels(len(files.labels), *image.shape, what=self.where)
                held = np.empty((len(files.labels), *image.shape), np.uint8)
            held = _of_one_size(held, image, where=files.name(i))
            held[len(kept)] = image
            kept.append(i)
        if not kept:
            raise DataError(f"{self.where}: no image of a part can be read")
        return Split(held[: len(kept)], files.labels[kept])

    def tell_unreadable(self) -> None:
        """Say how many images were left out."""
        if self.unreadable:
            name, why = next(iter(self.unreadable.items()))
            count = counted(len(self.unreadable), "image")
            tell(f"{self.where}: {count} left out, as unreadable; the first is {name}: {why}")

    def _image(self, files: ImageFiles, i: int) -> npt.NDArray[np.uint8] | None:
        try:
            content = files.read(i)
            image = decode_image(content, size=self.image_size)
        except ImageError as error:
            self.unreadable[files.name(i)] = str(error)
            refuse_too_many(self.unreadable, total=self.total, share=MAX_CORRUPT, where=self.where)
            return None
        self.all_jpeg = self.all_jpeg and is_jpeg(content)
        return image


def _of_one_size(held: npt.NDArray[np.uint8], image: npt.NDArray[np.uint8], *, where: str) -> npt.NDArray[np.uint8]:
    """Room for an image among those before it: in colour where it or they have any."""
    if image.shape[1:] != held.shape[2:]:
        sizes = f"{image.shape[1:]} after {held.shape[2:]}"
        raise DataError(f"{where}: all images must have one size, got {sizes}; give an image size to resize them")
    if len(image) <= held.shape[1]:
        return held
    return np.broadcast_to(held, (len(held), *image.shape)).copy()


def _normalised(data: Dataset) -> Dataset:
    """Normalise uint8 images by the mean and standard deviation of each channel over the training part."""
    images = data.train.inputs
    channels = [images[:, c].astype(np.float32) / 255 for c in range(images.shape[1])]
    std = tuple(float(c.std()) or 1.0 for c in channels)
    return replace(data, mean=tuple(float(c.mean()) for c in channels), std=std)

"""Image data sets in the Parquet layout of the Hugging Face hub."""

import io
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from nnmass.data.dataset import Split
from nnmass.errors import DataError

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "fine_label")
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")


def read_parquet(paths: Sequence[str | os.PathLike[str]]) -> Split:
    """Read Parquet files with a column of encoded images and one of labels.

    Args:
        paths: the files of one split, in order.

    Returns:
        uint8 images (samples, channels, h, w) and their labels.

    Raises:
        DataError: not Parquet, missing columns, an image that cannot be decoded, images of different sizes.
    """
    parts = [_read(path) for path in paths]
    shapes = {images.shape[1:] for images, _ in parts}
    if len(shapes) != 1:
        raise DataError(f"{paths[0]}: the files of a split must hold images of one size, got {sorted(shapes)}")
    return Split(np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts]))


def decode_image(content: bytes, *, where: str, size: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode an image to (channels, h, w); resized to ``size`` x ``size`` pixels where that is given.

    Raises:
        DataError: not a JPEG, PNG, BMP or WebP image.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            converted = image.convert("L" if image.mode in ("1", "L") else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: not an image that can be decoded ({error})") from None
    if size is not None and converted.size != (size, size):
        converted = converted.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(converted)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def stack_images(images: Sequence[npt.NDArray[np.uint8]], names: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Stack images of one size, (samples, channels, h, w); grey ones among coloured ones become coloured.

    Raises:
        DataError: an image of another size, by its name.
    """
    channels = max(image.shape[0] for image in images)
    for image, name in zip(images, names, strict=True):
        if image.shape[1:] != images[0].shape[1:]:
            sizes = f"{image.shape[1:]} after {images[0].shape[1:]}"
            raise DataError(f"{name}: all images must have one size, got {sizes}; give an image size to resize them")
    return np.stack([np.broadcast_to(image, (channels, *image.shape[1:])) for image in images])


def _read(path: str | os.PathLike[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({_first_line(error)})") from None
    image_column = _column(table, _IMAGE_COLUMNS, path)
    label_column = _column(table, _LABEL_COLUMNS, path)
    if not pa.types.is_struct(table.schema.field(image_column).type):
        raise DataError(f"{path}: column {image_column} must hold a struct with the image's bytes")
    encoded = table[image_column].combine_chunks().field("bytes")
    names = [f"{path}, row {i}" for i in range(len(encoded))]
    images = [decode_image(item.as_py() or b"", where=name) for item, name in zip(encoded, names, strict=True)]
    labels = table[label_column].to_numpy()
    if labels.dtype.kind not in "iu":
        raise DataError(f"{path}: column {label_column} must hold whole numbers, got {table[label_column].type}")
    return stack_images(images, names), labels.astype(np.int64)


def _column(table: pa.Table, names: Sequence[str], path: str | os.PathLike[str]) -> str:
    for name in names:
        if name in table.column_names:
            return name
    raise DataError(f"{path}: needs a column {' or '.join(names)}, has {', '.join(table.column_names)}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

"""Image data sets in the Parquet layout of the Hugging Face hub."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from nnmass.data.dataset import Split
from nnmass.errors import DataError, first_line

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "fine_label")
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")


def read_parquet(paths: Sequence[str | os.PathLike[str]], *, image_size: int | None = None) -> Split:
    """Read Parquet files with a column of encoded images and one of labels.

    Args:
        paths: the files of one split, in order.
        image_size: resize to so many pixels square; otherwise all images must have one size.

    Returns:
        uint8 images (samples, channels, h, w) and their labels.

    Raises:
        DataError: not Parquet, missing columns, an image that cannot be decoded, images of different sizes.
    """
    parts = [_read(path, image_size) for path in paths]
    images = [image for part in parts for image in part[0]]
    names = [f"{path}, row {i}" for path, part in zip(paths, parts, strict=True) for i in range(len(part[0]))]
    return Split(stack_images(images, names), np.concatenate([labels for _, labels in parts]))


def image_columns(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Names of the columns of images and of labels, without reading any.

    Raises:
        DataError: not Parquet, or columns that are missing or of another kind.
    """
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({first_line(error)})") from None
    return _checked_columns(schema, path)


def _checked_columns(schema: pa.Schema, path: str | os.PathLike[str]) -> tuple[str, str]:
    image, label = _column(schema.names, _IMAGE_COLUMNS, path), _column(schema.names, _LABEL_COLUMNS, path)
    kind = schema.field(image).type
    if not (pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)):
        raise DataError(f"{path}: column {image} must hold a struct with the image's bytes, got {kind}")
    if not pa.types.is_integer(schema.field(label).type):
        raise DataError(f"{path}: column {label} must hold whole numbers, got {schema.field(label).type}")
    return image, label


PARTS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
"""Names that a part of a data set may go by."""


def parquet_parts(files: Sequence[Path]) -> dict[str, list[Path]]:
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


def decode_image(content: bytes, *, where: str, size: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode an image to (channels, h, w); resized to ``size`` x ``size`` pixels where that is given.

    Raises:
        DataError: not a JPEG, PNG, BMP or WebP image.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.mode.startswith(("I", "F")):
                raise DataError(f"{where}: images must have 8 bits per channel, got mode {image.mode}")
            converted = image.convert("L" if image.mode in ("1", "L") else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
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


def _read(path: str | os.PathLike[str], size: int | None) -> tuple[list[npt.NDArray[np.uint8]], npt.NDArray[np.int64]]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({first_line(error)})") from None
    image_column, label_column = _checked_columns(table.schema, path)
    if not len(table):
        raise DataError(f"{path}: has no rows")
    encoded = table[image_column].combine_chunks().field("bytes")
    images = [decode_image(item.as_py() or b"", where=f"{path}, row {i}", size=size) for i, item in enumerate(encoded)]
    if table[label_column].null_count:
        raise DataError(f"{path}: column {label_column} must hold whole numbers, got none in some rows")
    return images, table[label_column].to_numpy().astype(np.int64)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _column(found: Sequence[str], names: Sequence[str], path: str | os.PathLike[str]) -> str:
    for name in names:
        if name in found:
            return name
    raise DataError(f"{path}: needs a column {' or '.join(names)}, has {', '.join(found)}")

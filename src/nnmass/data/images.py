"""One image: its bytes decoded in the same way wherever they come from."""

import io
import struct
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from nnmass.errors import ImageError, first_line
from nnmass.memory import bytes_text

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM", "JPEG2000")
"""What is read, by Pillow's names; the content of a file decides, not its name."""
SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k"),
    )
)
"""Endings of files that are taken for images, in lower case."""
MOST_PIXELS = 2**26
"""The largest image that is decoded: 67 million pixels; ImageNet's largest has 61 million."""
MOST_BYTES = 2**28
"""The largest file of one image that is read."""

_ORIENTATION = 0x0112  # tag of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_DAMAGED = (  # what Pillow raises for images that are damaged in one way or another
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    AssertionError,
    NotImplementedError,
    RecursionError,
    MemoryError,
    struct.error,
)


def open_image(content: bytes) -> Any:
    """Decode an image to Pillow's mode L (grey) or RGB.

    Sixteen bits per channel become eight (a division by 257, rounded). Transparency is left out, CMYK becomes RGB, and
    an image that EXIF says is turned is turned upright, as on the Hugging Face hub (torchvision leaves it as it lies).

    Raises:
        ImageError: not an image of `FORMATS`, damaged or cut off, several pictures in one file (a JPEG's second, as
            phones write, is passed over), 32 bits per channel, or more than `MOST_PIXELS`.
    """
    if len(content) > MOST_BYTES:
        raise ImageError(f"has {bytes_text(len(content))}, more than {bytes_text(MOST_BYTES)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on images that it reads all the same
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check(image)
                loaded = _eight_bits(image)
                return _upright(loaded, _turn(image))
    except Image.DecompressionBombError:  # of Pillow, which looks too
        raise ImageError(f"is too large: at most {MOST_PIXELS:,} pixels are read") from None
    except UnidentifiedImageError:  # whose text names a place in memory
        known = ", ".join(FORMATS)
        raise ImageError(f"not an image that can be decoded (cannot identify image: none of {known})") from None
    except _DAMAGED as error:
        raise ImageError(f"not an image that can be decoded ({first_line(error)})") from None


def decode_image(content: bytes, *, size: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode an image to (channels, h, w); resized to ``size`` x ``size`` pixels where that is given.

    Raises:
        ImageError: as `open_image`.
    """
    image = open_image(content)
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def is_jpeg(content: bytes) -> bool:
    """Whether bytes begin as a JPEG file does."""
    return content[:3] == b"\xff\xd8\xff"


def _check(image: Any) -> None:
    """What the header says, before anything is decoded."""
    width, height = image.size
    if min(width, height) < 1:
        raise ImageError(f"has {width} × {height} pixels, and holds nothing")
    if width * height > MOST_PIXELS:
        raise ImageError(f"is too large: at most {MOST_PIXELS:,} pixels are read, got {width} × {height}")
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise ImageError("holds several pictures (an animation, or pages); needs one")


def _eight_bits(image: Any) -> Any:
    # Pillow before 11 gives PNG and PPM images of sixteen bits the mode I
    sixteen = image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if sixteen:
        values = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((values + 128) // 257).clip(max=255).astype(np.uint8))
    if image.mode.startswith(("I", "F")):
        raise ImageError(f"images must have 8 or 16 bits per channel, got mode {image.mode}")
    image.load()
    return image


def _upright(image: Any, turn: Any) -> Any:
    converted = image.convert("L" if image.mode in ("1", "L") else "RGB")
    return converted if turn is None else converted.transpose(turn)


def _turn(image: Any) -> Any:
    """What turns a loaded image upright, or None; Pillow has turned TIFF images already."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except _DAMAGED:  # EXIF that cannot be read says nothing about the image
        return None

"""IDX files, the format of MNIST and Fashion-MNIST."""

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nnmass.errors import DataError

_UNSIGNED_BYTE = 0x08
_MOST_DIMENSIONS = 32


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """Read an IDX file of bytes, gzipped or not.

    Source: yann.lecun.com/exdb/mnist, "The IDX file format".

    Returns:
        uint8 of the shape that the file states.

    Raises:
        DataError: not an IDX file of bytes, or shorter or longer than it states.
    """
    try:
        raw = Path(path).read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as an IDX file ({error})") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE or not content[3]:
        raise DataError(f"{path}: not an IDX file of bytes (it begins with {content[:4].hex(' ') or 'nothing'})")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path}: ends within its header, after {len(content)} bytes")
    if dimensions > _MOST_DIMENSIONS:
        raise DataError(f"{path}: states {dimensions} dimensions, at most {_MOST_DIMENSIONS} can be read")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != int(np.prod(shape, dtype=object)):
        raise DataError(f"{path}: states the shape {shape}, but holds {len(content) - start} values")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)

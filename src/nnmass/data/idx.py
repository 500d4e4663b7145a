"""IDX files, the format of MNIST and Fashion-MNIST."""

import gzip
import math
import os
import struct
import zlib
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from nnmass.data.exact_reads import read_exactly
from nnmass.data.left_out import check_expansion
from nnmass.errors import DataError, reason
from nnmass.files import open_regular
from nnmass.memory import require_memory

_UNSIGNED_BYTE = 0x08
_MOST_DIMENSIONS = 32
_GZIP = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """Read an IDX file of bytes, gzipped or not; no more of it than its header states.

    Source: yann.lecun.com/exdb/mnist, "The IDX file format".

    Returns:
        uint8 of the shape that the file states.

    Raises:
        DataError: not an IDX file of bytes, or shorter or longer than it states.
        ResourceError: larger than memory.
    """
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            zipped = stream.read(2) == _GZIP
            stream.seek(0)
            if not zipped:
                return _content(stream, path, size=size)
            with gzip.GzipFile(fileobj=stream) as unzipped:
                return _content(unzipped, path, packed=size)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as an IDX file ({reason(error)})") from None


def _content(
    stream: BinaryIO | gzip.GzipFile, path: str | os.PathLike[str], *, packed: int = 0, size: int | None = None
) -> npt.NDArray[np.uint8]:
    """What a file holds; ``size`` where it is not packed, else ``packed``."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != _UNSIGNED_BYTE or not magic[3]:
        raise DataError(f"{path}: not an IDX file of bytes (it begins with {magic.hex(' ') or 'nothing'})")
    dimensions = magic[3]
    header = stream.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(f"{path}: ends within its header, after {len(magic + header)} bytes")
    if dimensions > _MOST_DIMENSIONS:
        raise DataError(f"{path}: states {dimensions} dimensions, at most {_MOST_DIMENSIONS} can be read")
    shape = struct.unpack(f">{dimensions}I", header)
    count = math.prod(shape)
    held = None if size is None else size - len(magic + header)
    if held is None:
        check_expansion(packed, count, where=str(path))
    elif held != count:
        raise DataError(f"{path}: states the shape {shape}, but holds {held} values")
    require_memory(count, str(path))
    return read_exactly(stream, count, where=f"{path}: states the shape {shape}").reshape(shape)

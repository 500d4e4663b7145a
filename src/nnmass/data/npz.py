"""NumPy archives: the arrays that are wanted, read without trusting what the file says of itself."""

import math
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmass.data.dataset import Dataset
from nnmass.data.exact_reads import read_exactly
from nnmass.data.left_out import check_expansion
from nnmass.errors import DataError, reason
from nnmass.files import open_regular
from nnmass.memory import bytes_text, require_memory
from nnmass.plain_text import plain

_NEEDED, _TEST = ("x", "y"), ("x_test", "y_test")
_UNREADABLE = (  # what NumPy and zipfile raise for archives that are damaged in one way or another
    OSError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    RecursionError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz(path: str | os.PathLike[str]) -> Dataset:
    """Read a NumPy archive with ``x`` and ``y``, and perhaps ``x_test`` and ``y_test``; other arrays are passed over.

    Raises:
        DataError: not such an archive, or one whose arrays are not as large as it says.  Objects are refused.
        ResourceError: arrays larger than memory.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        with open_regular(path) as stream:
            if stream.read(6) == b"\x93NUMPY":
                raise DataError(f"{path}: holds a single array; needs an archive of the arrays x and y")
            with zipfile.ZipFile(stream) as archive:
                held = _members(archive, path)
                wanted = (*_NEEDED, *_TEST) if held.keys() >= set(_TEST) else _NEEDED
                for name in wanted:
                    arrays[name] = _array(archive, held[name], where=f"{path}, {name}")
    except _UNREADABLE as error:
        why = plain(reason(error).split(". ", 1)[0], limit=300)
        raise DataError(f"{path}: cannot be read as a NumPy archive ({why})") from None
    test = (arrays["x_test"], arrays["y_test"]) if "x_test" in arrays else None
    return Dataset.from_arrays(arrays["x"], arrays["y"], test=test, name=Path(path).stem, source=str(path))


def _members(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> dict[str, zipfile.ZipInfo]:
    """What the archive holds, by the names of the arrays."""
    held: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in held:
            raise DataError(f"{path}: holds {plain(name, limit=80)} twice")
        held[name] = info
    if not held.keys() >= set(_NEEDED):
        has = plain(", ".join(held), limit=200) or "none"
        raise DataError(f"{path}: needs the arrays x and y, has {has}")
    lonely = [name for name in _TEST if name in held]
    if len(lonely) == 1:
        raise DataError(f"{path}: has {lonely[0]}, but not {'y_test' if lonely[0] == 'x_test' else 'x_test'}")
    return held


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, where: str) -> npt.NDArray[Any]:
    check_expansion(info.compress_size, info.file_size, where=where)
    require_memory(info.file_size, where)
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        if version > (2, 0):
            raise DataError(f"{where}: has version {version} of NumPy's format; numbers need no more than (2, 0)")
        shape, fortran, dtype = read_header(stream)
        if dtype.hasobject or dtype.kind not in "biuf":
            raise DataError(f"{where}: must hold numbers, got {plain(dtype, limit=80)}; objects are not read")
        wanted = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or wanted > info.file_size:
            has = bytes_text(info.file_size)
            raise DataError(f"{where}: states the shape {plain(shape, limit=80)} of {dtype}, but has {has}")
        content = read_exactly(stream, wanted, where=f"{where}: states {wanted} bytes of values")
    return content.view(dtype).reshape(shape, order="F" if fortran else "C")

"""Members of a ``.pt2`` archive, read within bounds."""

import json
import math
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch

from nnmass.errors import ModelError
from nnmass.memory import bytes_text
from nnmass.tracing.exported_arguments import DTYPES

_LARGEST_JSON = 2**25
"""Bytes: twenty-five times the graph of DenseNet-121.  Parsed it takes up to thirty times as many."""
_LARGEST_REPEATED = 2**26  # bytes of constants beyond those in the file


class Members:
    """Reads JSON and tensors, each for what the archive promises and no more.

    `torch.export.save` compresses nothing, so that what is read is never larger than the file.

    Args:
        archive: the file.
        size: its bytes.
    """

    def __init__(self, archive: ZipFile, size: int) -> None:
        self._archive, self._left = archive, size + _LARGEST_REPEATED
        self._known: dict[tuple[Any, ...], torch.Tensor] = {}

    def json(self, name: str) -> Any:
        """Read JSON.

        Raises:
            ModelError: no such member, or one that is too large.
            ValueError: it is no JSON.
            RecursionError: it is nested too deep.
        """
        return json.loads(self._bytes(name, limit=_LARGEST_JSON))

    def tensor(self, name: str, meta: dict[str, Any]) -> torch.Tensor:
        """Read a tensor; equal ones, if there are several, are one.

        Raises:
            ModelError: it lies outside the bytes that are there, or needs far more than these.
        """
        dtype = DTYPES[meta["dtype"]]
        size, stride = ([integer(length) for length in meta[key]] for key in ("sizes", "strides"))
        offset = integer(meta["storage_offset"])
        key = (name, dtype, *size, None, *stride, None, offset)
        if key not in self._known:
            needed = math.prod(size) * dtype.itemsize
            if min(size, default=0) < 0 or needed > self._left:
                raise ModelError(f"{name} is to hold {bytes_text(needed)}, more than the file has")
            self._left -= needed
            flat = (
                torch.frombuffer(bytearray(self._bytes(name)), dtype=dtype) if needed else torch.empty(0, dtype=dtype)
            )
            self._known[key] = flat.as_strided(size, stride, offset).clone() if needed else flat.reshape(size)
        return self._known[key]

    def _bytes(self, name: str, *, limit: float = math.inf) -> bytes:
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise ModelError(f"{name} is missing") from None
        if info.compress_type != ZIP_STORED:
            raise ModelError(f"{name} is compressed, which torch.export.save never does, and is not read")
        if info.file_size > limit:
            raise ModelError(f"{name} has {bytes_text(info.file_size)}; at most {bytes_text(limit)} are read")
        with self._archive.open(info) as stream:
            return stream.read(info.file_size)


def integer(length: dict[str, Any]) -> int:
    """A length, or for an open one what it was at the export."""
    return int(length["as_int"] if "as_int" in length else length["as_expr"]["hint"]["as_int"])

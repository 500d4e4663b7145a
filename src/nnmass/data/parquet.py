"""Image data sets in the Parquet layout of the Hugging Face hub."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nnmass.data.labels import whole_numbers
from nnmass.data.left_out import check_expansion
from nnmass.data.parquet_pages import unpacked_bytes
from nnmass.errors import DataError, reason
from nnmass.files import open_regular
from nnmass.memory import require_memory
from nnmass.plain_text import plain

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "fine_label")
_MOST_ROWS = 2**24
"""The most images of one part: 17 million; ImageNet-21k has 14 million."""
_GROUPS_KEPT = 2  # row groups, per process
_UNREADABLE = (OSError, ValueError, MemoryError, OverflowError, pa.ArrowException)


@dataclass(frozen=True)
class ParquetFiles:
    """Images in Parquet files of the Hugging Face hub; a row group is read as a whole."""

    paths: Sequence[str]
    groups: Sequence[tuple[int, int, int]]  # file, row group, first image
    labels: npt.NDArray[np.int64]
    chunks: npt.NDArray[np.int64]
    _kept: OrderedDict[int, Any] = field(default_factory=OrderedDict, compare=False)

    def name(self, i: int) -> str:
        """File and row."""
        file = self.groups[self.chunks[i]][0]
        return f"{self.paths[file]}, row {i - self._first_images[file]}"

    def read(self, i: int) -> bytes:
        """The bytes of the row."""
        chunk = int(self.chunks[i])
        file, group, first = self.groups[chunk]
        if chunk not in self._kept:
            self._kept[chunk] = _image_bytes(self.paths[file], group)
            while len(self._kept) > _GROUPS_KEPT:
                self._kept.popitem(last=False)
        content: bytes = self._kept[chunk][i - first].as_py() or b""
        return content

    @cached_property
    def _first_images(self) -> dict[int, int]:
        """The first image of each file."""
        return {file: first for file, _, first in reversed(self.groups)}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": OrderedDict()}


def parquet_files(paths: Sequence[str | os.PathLike[str]]) -> ParquetFiles:
    """Find the row groups of Parquet files, and read their labels.

    Raises:
        DataError: not Parquet, no rows, columns that are missing or of another kind, a row without a label.
    """
    groups: list[tuple[int, int, int]] = []
    labels: list[npt.NDArray[np.int64]] = []
    first = 0
    for k, path in enumerate(paths):
        with _Opened(path) as opened:
            _, column = opened.columns()
            rows = [opened.file.metadata.row_group(group).num_rows for group in range(opened.file.num_row_groups)]
            _check_rows(path, rows, first)
            start = first
            for group, count in enumerate(rows):
                own = opened.read(group, column)
                labels.append(_labels(own, where=f"{path}, column {column}, rows from {first - start}"))
                if len(own) != count:
                    raise DataError(f"{path}: row group {group} states {count} rows, but has {len(own)}")
                groups.append((k, group, first))
                first += count
    chunks = np.repeat(np.arange(len(groups)), [len(own) for own in labels])
    return ParquetFiles([os.fspath(path) for path in paths], groups, np.concatenate(labels), chunks)


def _check_rows(path: str | os.PathLike[str], rows: Sequence[int], before: int) -> None:
    if min(rows, default=0) < 0 or not sum(rows):
        raise DataError(f"{path}: has no rows")
    if before + sum(rows) > _MOST_ROWS:
        total = f"{before + sum(rows):,} rows" + (" with the files before it" if before else "")
        raise DataError(f"{path}: has {total}; at most {_MOST_ROWS:,} images are read")


def _labels(column: Any, *, where: str) -> npt.NDArray[np.int64]:
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise DataError(f"{where}: labels must be whole numbers, got none in row {row} of them")
    return whole_numbers(column.to_numpy(), where=where)


def _image_bytes(path: str, group: int) -> Any:
    """The encoded images of a row group."""
    with _Opened(path) as opened:
        column = opened.columns()[0]
        read = opened.read(group, f"{column}.bytes")
        return pa.chunked_array([chunk.field("bytes") for chunk in read.chunks])


class _Opened:
    """A Parquet file that is open; what PyArrow raises becomes a `DataError`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def __enter__(self) -> "_Opened":
        try:
            self.stream = open_regular(self.path)
        except OSError as error:
            raise DataError(self._unreadable(error)) from None
        try:
            self.file = pq.ParquetFile(os.fspath(self.path))
            self.schema = self.file.schema_arrow
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.stream.close()
        if isinstance(error, _UNREADABLE):
            raise DataError(self._unreadable(error)) from None

    def _unreadable(self, error: BaseException) -> str:
        return f"{self.path}: cannot be read as Parquet ({plain(reason(error), limit=300)})"

    def columns(self) -> tuple[str, str]:
        """Names of the columns of images and of labels."""
        image, label = self._column(_IMAGE_COLUMNS), self._column(_LABEL_COLUMNS)
        kind = self.schema.field(image).type
        if not (
            pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)
        ):
            got = plain(kind, limit=200)
            raise DataError(f"{self.path}: column {image} must hold a struct with the image's bytes, got {got}")
        kind = self.schema.field(label).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise DataError(f"{self.path}: column {label} must hold whole numbers, got {plain(kind, limit=200)}")
        return image, label

    def read(self, group: int, leaf: str) -> Any:
        """Read a column of a row group, once its pages have said how large it becomes.

        Images that repeat are held once.
        """
        meta = self.file.metadata.row_group(group)
        columns = [meta.column(k) for k in range(meta.num_columns)]
        column = next(found for found in columns if found.path_in_schema == leaf)
        where = f"{self.path}, row group {group}, {leaf}"
        try:
            size = unpacked_bytes(self.stream, column)
        except DataError as error:
            raise DataError(f"{self.path}: cannot be read as Parquet ({error})") from None
        check_expansion(column.total_compressed_size, size, where=where)
        require_memory(2 * size, where)
        file = self.file
        if column.has_dictionary_page and column.physical_type == "BYTE_ARRAY":
            file = pq.ParquetFile(os.fspath(self.path), metadata=self.file.metadata, read_dictionary=[leaf])
        return file.read_row_group(group, columns=[leaf])[leaf.split(".", maxsplit=1)[0]]

    def _column(self, names: Sequence[str]) -> str:
        for name in names:
            if self.schema.names.count(name) == 1:
                return name
        has = plain(", ".join(self.schema.names), limit=300)
        raise DataError(f"{self.path}: needs a column {' or '.join(names)}, has {has}")


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

"""Encoded images where they lie: in folders, in tar shards, in Parquet files; read one at a time."""

import json
import os
import tarfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nnmass.data.parquet import image_columns
from nnmass.errors import DataError, first_line

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_GROUPS_KEPT = 2  # row groups of Parquet, per process


class ImageFiles(Protocol):
    """Encoded images of one part of a data set.

    Attributes:
        labels: (images,) classes.
        chunks: (images,) what is cheap to read together, ascending.
    """

    @property
    def labels(self) -> npt.NDArray[np.int64]: ...  # noqa: D102

    @property
    def chunks(self) -> npt.NDArray[np.int64]: ...  # noqa: D102

    def name(self, i: int) -> str:
        """Where an image lies."""

    def read(self, i: int) -> bytes:
        """Its bytes."""


@dataclass(frozen=True)
class FolderFiles:
    """Images in one folder per class; every one is as cheap to read as any other."""

    paths: Sequence[str]
    labels: npt.NDArray[np.int64]

    @property
    def chunks(self) -> npt.NDArray[np.int64]:
        """All are one chunk."""
        return np.zeros(len(self.labels), np.int64)

    def name(self, i: int) -> str:
        """Its path."""
        return self.paths[i]

    def read(self, i: int) -> bytes:
        """The content of the file."""
        return Path(self.paths[i]).read_bytes()


@dataclass(frozen=True)
class TarFiles:
    """Images in the tar shards of WebDataset: ``KEY.jpg`` beside ``KEY.cls`` or ``KEY.json`` with a label.

    Members are found by their offsets, so that any can be read at once.
    """

    shards: Sequence[str]
    members: Sequence[tuple[int, int, int, str]]  # shard, offset, size, name
    labels: npt.NDArray[np.int64]

    @property
    def chunks(self) -> npt.NDArray[np.int64]:
        """All are one chunk."""
        return np.zeros(len(self.labels), np.int64)

    def name(self, i: int) -> str:
        """Shard and member."""
        shard, _, _, name = self.members[i]
        return f"{self.shards[shard]}:{name}"

    def read(self, i: int) -> bytes:
        """The content of the member."""
        shard, offset, size, _ = self.members[i]
        with open(self.shards[shard], "rb") as stream:
            stream.seek(offset)
            return stream.read(size)


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
        start = next(first for f, _, first in self.groups if f == file)
        return f"{self.paths[file]}, row {i - start}"

    def read(self, i: int) -> bytes:
        """The bytes of the row."""
        chunk = int(self.chunks[i])
        file, group, first = self.groups[chunk]
        if chunk not in self._kept:
            column = image_columns(self.paths[file])[0]
            table = pq.ParquetFile(self.paths[file]).read_row_group(group, columns=[f"{column}.bytes"])
            self._kept[chunk] = table[column].combine_chunks().field("bytes")
            while len(self._kept) > _GROUPS_KEPT:
                self._kept.popitem(last=False)
        content: bytes = self._kept[chunk][i - first].as_py() or b""
        return content

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": OrderedDict()}


def folder_files(root: Path, classes: Sequence[str]) -> FolderFiles:
    """Find the images of a folder per class.

    Raises:
        DataError: none, or a class that is not among those named.
    """
    unknown = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and entry.name not in classes)
    if unknown:
        raise DataError(f"{root}: class {unknown[0]!r} has no training images")
    paths, labels = [], []
    for label, name in enumerate(classes):
        found = sorted(
            entry.path
            for entry in (os.scandir(root / name) if (root / name).is_dir() else ())
            if Path(entry.name).suffix.lower() in SUFFIXES
        )
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise DataError(f"{root}: no image files ({', '.join(sorted(SUFFIXES))}) in its class folders")
    return FolderFiles(paths, np.array(labels, np.int64))


def tar_files(shards: Sequence[Path]) -> TarFiles:
    """Find the images of tar shards and their labels.

    Raises:
        DataError: not a tar file, no image in it, or an image without a label.
    """
    members: list[tuple[int, int, int, str]] = []
    labels: list[int] = []
    for k, shard in enumerate(shards):
        images, classes = _scan(shard)
        missing = sorted(images.keys() - classes.keys())
        if missing:
            raise DataError(f"{shard}: image {missing[0]!r} has no label; needs {missing[0]}.cls or a .json with label")
        if not images:
            raise DataError(f"{shard}: holds no images ({', '.join(sorted(SUFFIXES))})")
        for key, (offset, size, name) in images.items():
            members.append((k, offset, size, name))
            labels.append(classes[key])
    return TarFiles([str(shard) for shard in shards], members, np.array(labels, np.int64))


def _scan(shard: Path) -> tuple[dict[str, tuple[int, int, str]], dict[str, int]]:
    images: dict[str, tuple[int, int, str]] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                key, _, kind = member.name.partition(".")
                if f".{kind.lower()}" in SUFFIXES:
                    images[key] = (member.offset_data, member.size, member.name)
                elif kind in ("cls", "json"):
                    stream = archive.extractfile(member)
                    labels[key] = _label(stream.read() if stream else b"", kind, where=f"{shard}:{member.name}")
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{shard}: cannot be read as a tar file ({first_line(error)})") from None
    return images, labels


def _label(content: bytes, kind: str, *, where: str) -> int:
    try:
        value = json.loads(content)
        label = value["label"] if kind == "json" else value
        if isinstance(label, bool) or not isinstance(label, int) or label < 0:
            raise ValueError("no whole number from 0")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}: must hold a label ({first_line(error)})") from None
    return label


def parquet_files(paths: Sequence[Path]) -> ParquetFiles:
    """Find the row groups of Parquet files, and read their labels.

    Raises:
        DataError: not Parquet, or columns that are missing.
    """
    groups: list[tuple[int, int, int]] = []
    labels, chunks, first = [], [], 0
    for k, path in enumerate(paths):
        _, column = image_columns(path)
        try:
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                own = file.read_row_group(group, columns=[column])[column].to_numpy()
                chunks.append(np.full(len(own), len(groups), np.int64))
                groups.append((k, group, first))
                labels.append(own.astype(np.int64))
                first += len(own)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: cannot be read as Parquet ({first_line(error)})") from None
    return ParquetFiles([str(path) for path in paths], groups, np.concatenate(labels), np.concatenate(chunks))

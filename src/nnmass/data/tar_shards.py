"""Images in the tar shards of WebDataset, found by their offsets, so that any can be read at once."""

import json
import os
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.data.images import MOST_BYTES, SUFFIXES
from nnmass.data.labels import whole_numbers
from nnmass.data.left_out import counted, is_hidden, tell
from nnmass.errors import DataError, ImageError, reason
from nnmass.files import open_regular
from nnmass.memory import bytes_text
from nnmass.plain_text import plain

_NAME = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]*)", re.DOTALL)
"""Key and ending: cut at the first dot of the last part of the path, as WebDataset does."""
_LABELS = ("cls", "json")
_MOST_LABEL_BYTES = 2**20
_BLOCK = tarfile.BLOCKSIZE
_UNREADABLE = (OSError, tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError, IndexError)

Member: TypeAlias = tuple[int, int, str]  # offset, size, name


@dataclass(frozen=True)
class TarFiles:
    """Images in tar shards: ``KEY.jpg`` beside ``KEY.cls`` or ``KEY.json`` with a label."""

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
        return f"{self.shards[shard]}:{plain(name, limit=200)}"

    def read(self, i: int) -> bytes:
        """The content of the member."""
        shard, offset, size, _ = self.members[i]
        if size > MOST_BYTES:
            raise ImageError(f"has {bytes_text(size)}; an image may have at most {bytes_text(MOST_BYTES)}")
        try:
            with open_regular(self.shards[shard]) as stream:
                stream.seek(offset)
                return stream.read(size)
        except OSError as error:
            raise ImageError(f"cannot be read ({reason(error)})") from None


@dataclass
class _Shard:
    """Members of a shard, by key."""

    images: dict[str, Member] = field(default_factory=dict)
    labels: dict[str, dict[str, Member]] = field(default_factory=dict)


def tar_files(shards: Sequence[Path]) -> TarFiles:
    """Find the images of tar shards and their labels; ``KEY.cls`` comes before ``KEY.json``.

    Raises:
        DataError: not a tar file, cut off, no image in it, an image without a label, two images or labels of one key.
    """
    members: list[tuple[int, int, int, str]] = []
    labels: list[Any] = []
    without = 0
    for k, path in enumerate(shards):
        try:
            with open_regular(path) as stream:
                shard = _scan(stream, path)
                labels += [_label(stream, shard.labels.get(key, {}), key, path) for key in shard.images]
        except _UNREADABLE as error:
            raise DataError(f"{path}: cannot be read as a tar file ({reason(error)})") from None
        members += [(k, *member) for member in shard.images.values()]
        without += len(shard.labels.keys() - shard.images.keys())
    if without:
        tell(f"{shards[0].parent}: {counted(without, 'sample')} of {shards[0].name}, … left out: a label, but no image")
    where = f"{shards[0].parent}/{shards[0].name}, …"
    return TarFiles([str(path) for path in shards], members, whole_numbers(labels, where=where))


def _scan(stream: BinaryIO, path: Path) -> _Shard:
    shard, before, size = _Shard(), -1, os.fstat(stream.fileno()).st_size
    short_reads: Any = _ShortReads(stream)
    with tarfile.open(fileobj=short_reads, mode="r:") as archive:
        while (member := archive.next()) is not None:
            if member.offset <= before or member.size < 0:
                raise tarfile.ReadError("members that lead back")
            if member.isreg() and member.offset_data + member.size > size:
                name = plain(member.name, limit=200)
                raise DataError(f"{path}: was cut off: {name} ends at byte {member.offset_data + member.size:,}")
            before = member.offset
            archive.members = []  # type: ignore[attr-defined] # of millions of members, none is needed again
            _file(shard, member, path)
        end = archive.offset
    if not shard.images:
        raise DataError(f"{path}: holds no images ({', '.join(sorted(SUFFIXES))})")
    _check_end(stream, end, path)
    return shard


def _file(shard: _Shard, member: tarfile.TarInfo, path: Path) -> None:
    """Put a member where it belongs; members that are neither images nor labels are passed over."""
    path_parts = [part for part in member.name.split("/") if part != "."]
    parts = _NAME.fullmatch("/".join(path_parts))
    if parts is None or any(is_hidden(part) for part in path_parts if part != ".."):
        return
    key, ending = parts[1], parts[2].lower()
    is_image = f".{ending}" in SUFFIXES
    if not is_image and ending not in _LABELS:
        return
    name = plain(member.name, limit=200)
    if not member.isreg() or member.sparse is not None:
        raise DataError(f"{path}: {name} is a link, a device or a sparse file; needs plain files")
    found = (member.offset_data, member.size, member.name)
    own = shard.labels.setdefault(key, {}) if not is_image else {}
    if (is_image and key in shard.images) or ending in own:
        raise DataError(f"{path}: {name} is the second {'image' if is_image else ending} of its key")
    if is_image:
        shard.images[key] = found
    else:
        own[ending] = found


def _check_end(stream: BinaryIO, end: int, path: Path) -> None:
    """A tar file ends in empty blocks; what was cut off or damaged between two members does not."""
    stream.seek(end)
    block = stream.read(_BLOCK)
    if len(block) < _BLOCK:
        raise DataError(f"{path}: was cut off: the end mark of a tar file is missing after {end:,} bytes")
    if block.strip(b"\0"):
        raise DataError(f"{path}: is damaged: no member begins at byte {end:,}, where one should")
    if stream.read(2**20).strip(b"\0"):
        raise DataError(f"{path}: goes on after the end mark of a tar file at byte {end:,}; joined files are not read")


def _label(stream: BinaryIO, found: dict[str, Member], key: str, path: Path) -> Any:
    shown = plain(key, limit=200)
    kind = next((kind for kind in _LABELS if kind in found), None)
    if kind is None:
        raise DataError(f"{path}: image '{shown}' has no label; needs {shown}.cls or a .json with label")
    offset, size, name = found[kind]
    where = f"{path}:{plain(name, limit=200)}"
    if size > _MOST_LABEL_BYTES:
        raise DataError(f"{where}: must hold a label, got {bytes_text(size)}")
    stream.seek(offset)
    try:
        value = json.loads(stream.read(size))
        value = value["label"] if kind == "json" else value
    except KeyError:
        raise DataError(f"{where}: must hold a label (has no key label)") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{where}: must hold a label ({plain(reason(error), limit=200)})") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or abs(value) >= 2**63:
        raise DataError(f"{where}: must hold a label (no whole number: {plain(value, limit=40)})")
    return int(value)


class _ShortReads:
    """A file of which headers are read, never gigabytes of them."""

    _MOST = 2**20

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes."""
        if not 0 <= size <= self._MOST:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._stream.read(size)

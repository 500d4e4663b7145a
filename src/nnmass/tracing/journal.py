"""What a ranking has measured so far, on disk, so that a stopped one goes on."""

import json
import os
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nnmass import atomic
from nnmass.files import read_bytes
from nnmass.tracing.ranking import RankedModel
from nnmass.tracing.zoo import ZOOS

_LARGEST = 2**28  # bytes


class Journal:
    """Rows of an unfinished ranking: a line of JSON each, below a line that says how they were made.

    What was made otherwise (other options or versions) is forgotten, and so are models in files of the user's, which
    may have changed since.

    Attributes:
        rows: those that an earlier call has left.

    Args:
        path: of the file.
        options: how they are made.
    """

    def __init__(self, path: str | os.PathLike[str], options: dict[str, Any]) -> None:
        self._path = Path(path)
        columns = [field.name for field in fields(RankedModel)]
        head = json.dumps({"options": options, "versions": _versions(), "columns": columns})
        self.rows = [row for row in self._read(head) if row.model.partition(":")[0] in ZOOS]
        atomic.write_text(self._path, "".join(f"{line}\n" for line in (head, *map(_line, self.rows))))

    def add(self, row: RankedModel) -> None:
        """Keep a row."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(f"{_line(row)}\n")

    def remove(self) -> None:
        """Forget all: the ranking is finished."""
        self._path.unlink(missing_ok=True)

    def _read(self, head: str) -> list[RankedModel]:
        if not self._path.exists():
            return []
        first, *lines = read_bytes(self._path, limit=_LARGEST, what="a journal").splitlines(keepends=True) or [b""]
        if first != f"{head}\n".encode():
            return []
        return [row for line in lines if line.endswith(b"\n") and (row := _row(line))]  # the last may be half


def _row(line: bytes) -> RankedModel | None:
    """The row of a line; none where a full disk or another process left something else."""
    try:
        return RankedModel(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in ("nnmass", "torch", "timm", "torchvision"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _line(row: RankedModel) -> str:
    return json.dumps(asdict(row), allow_nan=False)

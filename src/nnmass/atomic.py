"""Files that are either the old one or the new one, never half of each."""

import csv
import io
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnmass.plain_text import spreadsheet_cell


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write ``content`` to ``path`` so that a crash leaves the previous file intact.

    Missing parent folders are made.  Returns the path.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def write_text(path: str | os.PathLike[str], content: str) -> Path:
    """Write text as UTF-8; see `write_bytes`."""
    return write_bytes(path, content.encode())


def write_csv(path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write a table with a header; None is empty, and no text is a formula to a spreadsheet."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: spreadsheet_cell(value) for name, value in row.items()} for row in rows)
    return write_text(path, stream.getvalue())


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write indented JSON; NaN and infinity are refused, since JSON has no such numbers."""
    return write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")

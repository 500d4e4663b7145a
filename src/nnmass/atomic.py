"""Files that are either the old one or the new one, never half of each."""

import csv
import glob
import io
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnmass.errors import DestinationError, reason
from nnmass.plain_text import spreadsheet_cell

_ABANDONED = 3600.0  # seconds after which what a killed process left half written is removed


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write ``content`` to ``path`` so that a crash leaves the previous file intact.

    Missing parent folders are made.  Returns the path.

    Raises:
        OSError: it cannot be written, as on a full disk; names the path.
    """
    target = Path(path)
    write_files(target.parent, {target.name: content})
    return target


def write_files(folder: str | os.PathLike[str], contents: Mapping[str, bytes]) -> None:
    """Write several files of a folder: all of them are on the disk before the first takes its name.

    Raises:
        OSError: one cannot be written, as on a full disk; names its path, and all files are as they were.
    """
    staged: list[tuple[str, Path]] = []
    try:
        for name, content in contents.items():
            target = Path(folder) / name
            with _told_of(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                _remove_abandoned(target)
                descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
                staged.append((temporary, target))
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(temporary, 0o666 & ~umask)
        for temporary, target in staged:
            with _told_of(target):
                os.replace(temporary, target)
    except BaseException:
        for temporary, _ in staged:
            Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike[str], content: str) -> Path:
    """Write text as UTF-8; see `write_bytes`."""
    return write_bytes(path, content.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write indented JSON; NaN and infinity are refused, since JSON has no such numbers."""
    return write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """The text that `write_json` writes."""
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def write_csv(path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write a table with a header; None is empty, and no text is a formula to a spreadsheet."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: spreadsheet_cell(value) for name, value in row.items()} for row in rows)
    return write_text(path, stream.getvalue())


def require_writable(folder: str | os.PathLike[str]) -> Path:
    """Find out before long work whether files can be written to a folder, or whether it can be made.

    Nothing is left behind, not even the folder: the first folder above it that there is stands for it.

    Raises:
        DestinationError: they cannot; names the folder and the reason.
    """
    target = Path(folder)
    try:
        with tempfile.TemporaryFile(dir=_nearest(target.absolute())) as stream:
            stream.write(b"?")
    except OSError as error:
        raise DestinationError(f"cannot write to {target}: {reason(error).lower()}") from None
    return target


def _nearest(folder: Path) -> Path:
    """The folder itself, or the first one above it that there is."""
    while True:
        if folder.is_symlink() or folder.exists():
            return folder
        folder = folder.parent


@contextmanager
def _told_of(target: Path) -> Iterator[None]:
    """Let errors name a path, rather than none or that of a temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error


def _remove_abandoned(target: Path) -> None:
    """Remove what earlier processes left of this file when they were killed."""
    for name in glob.iglob(f".{glob.escape(target.name)}.*", root_dir=target.parent):
        left = target.parent / name
        try:
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
        except FileNotFoundError:  # somebody else removed it, or has finished
            continue

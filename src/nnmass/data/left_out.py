"""What a data set does not hold of what lies in its folder, and how that is said."""

import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

from nnmass.errors import DataError
from nnmass.memory import bytes_text
from nnmass.plain_text import plain

_NOTES = frozenset(
    (
        *(".txt", ".md", ".rst", ".json", ".jsonl", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".html", ".htm"),
        *(".py", ".ipynb", ".sh", ".log", ".ini", ".db", ".lock"),
    )
)
"""Endings of files that people and programs leave beside images: passed over without a word."""
_JUNK = frozenset(("__MACOSX", "lost+found"))
_FREE_BYTES, _MOST_EXPANSION = 2**28, 100


class DataWarning(UserWarning):
    """Something of a data set was left out, or looks wrong; the command line says it once."""


def tell(message: str) -> None:
    """Say what was left out or looks wrong, as a `DataWarning`; the command line prints it once."""
    warnings.warn(message, DataWarning, stacklevel=2)


def counted(count: int, noun: str) -> str:
    """Say how many, with the noun in its right number.

    Examples:
        >>> counted(1, "file"), counted(2000, "file")
        ('1 file', '2,000 files')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the data: ``.ipynb_checkpoints``, ``.DS_Store``, ``__MACOSX``."""
    return name.startswith(".") or name in _JUNK


def is_note(name: str) -> bool:
    """Whether a file is a text or a list that lies beside data."""
    return PurePath(name).suffix.lower() in _NOTES


def tell_left_out(names: Iterable[str], *, where: str, why: str) -> None:
    """Say how many files were left out, by their endings; nothing where there are none."""
    endings = Counter(PurePath(name).suffix.lower() or "no ending" for name in names)
    if endings:
        counts = ", ".join(f"{plain(ending, limit=20)} {count:,}" for ending, count in endings.most_common(5))
        tell(f"{where}: {counted(endings.total(), 'file')} left out, {why} ({counts})")


def check_expansion(packed: int, unpacked: int, *, where: str) -> None:
    """Refuse what grows out of all proportion when it is unpacked, as data does not.

    Raises:
        DataError: more than a hundredfold, and more than 256 MiB.
    """
    if unpacked > _FREE_BYTES and unpacked > _MOST_EXPANSION * packed:
        raise DataError(
            f"{where}: would grow from {bytes_text(packed)} to {bytes_text(unpacked)} when it is unpacked; above "
            f"{bytes_text(_FREE_BYTES)} at most {_MOST_EXPANSION}-fold is read"
        )

"""Files that others give: regular ones only, and never more of them than is wanted; endings of pictures."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from nnmass.errors import InvalidValueError
from nnmass.memory import bytes_text

_PICTURES = (".pdf", ".png", ".svg")
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading, without waiting for what is not a file.

    Symbolic links are followed; what they lead to has to be a regular file.

    Raises:
        OSError: it is missing, cannot be read, or is a folder, a named pipe, a socket or a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a null character in the name
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from None
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.EINVAL, "is a socket, not a file", os.fspath(path)) from None
        raise
    try:
        kind = kind_of(os.fstat(descriptor).st_mode)
        if kind:
            raise OSError(errno.EINVAL, f"is {kind}, not a file", os.fspath(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def kind_of(mode: int) -> str:
    """Say what something is that is no regular file, by its mode; nothing of a file."""
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "")


def read_bytes(path: str | os.PathLike[str], *, limit: int, what: str = "such a file") -> bytes:
    """Read a whole regular file of at most ``limit`` bytes.

    Args:
        path: the file.
        limit: bytes.
        what: what it should be, for the message.

    Raises:
        OSError: as `open_regular`, or it is larger.
    """
    with open_regular(path) as stream:
        length = os.fstat(stream.fileno()).st_size
        content = stream.read(limit + 1) if length <= limit else b""
    if max(length, len(content)) > limit:
        size = bytes_text(max(length, len(content)))
        reason = f"has {size}; {what} may have at most {bytes_text(limit)}"
        raise OSError(errno.EFBIG, reason, os.fspath(path))
    return content


def read_text(path: str | os.PathLike[str], *, limit: int, what: str = "such a file") -> str:
    """Read a whole regular file as UTF-8; see `read_bytes`.

    Raises:
        OSError: as `read_bytes`, or it is no UTF-8.
    """
    try:
        return read_bytes(path, limit=limit, what=what).decode()
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, f"is not UTF-8 text ({error.reason})", os.fspath(path)) from None


def read_json(path: str | os.PathLike[str], *, limit: int = 2**28, what: str = "such a file") -> Any:
    """Read a regular file as JSON; see `read_text`.

    Raises:
        OSError: as `read_text`.
        ValueError: it is not JSON, holds NaN or infinity, numbers of thousands of digits, or is nested too deep.
    """
    text = read_text(path, limit=limit, what=what)
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def check_picture(path: str | os.PathLike[str]) -> None:
    """Refuse what no picture can be written to, before it is drawn.

    Raises:
        InvalidValueError: another ending than .png, .svg or .pdf.
    """
    target = Path(path)
    if target.suffix not in _PICTURES:
        raise InvalidValueError(f"{target}: pictures end in {', '.join(_PICTURES)}, got {target.suffix!r}")

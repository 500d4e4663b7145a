"""What a command writes: an option that names it is tried as it is read, before any work, and leaves nothing behind."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from nnmass import atomic
from nnmass.files import check_picture
from nnmass.plain_text import plain


def folder(*names: str, help: str) -> Any:
    """Return an option for a folder of results."""
    return typer.Option(*names, parser=_reader(_folder), metavar="FOLDER", help=help)


def file(*names: str, endings: tuple[str, ...] = (), help: str) -> Any:
    """Return an option for a file of results; it must have one of the endings, if there are any."""

    def check(path: Path) -> None:
        if endings and path.suffix not in endings:
            raise typer.BadParameter(f"{path} must end in {' or '.join(endings)}")
        _file(path)

    return typer.Option(*names, parser=_reader(check), metavar="FILE", help=help)


def picture(*names: str, help: str) -> Any:
    """Return an option for a picture."""

    def check(path: Path) -> None:
        check_picture(path)
        _file(path)

    return typer.Option(*names, parser=_reader(check), metavar="FILE", help=f"{help}: .png, .svg or .pdf.")


def database(*names: str, metavar: str = "FILE", help: str) -> Any:
    """Return an option for a SQLite file, which is made where it is missing; one that is there speaks for itself."""

    def check(path: Path) -> None:
        if not path.is_file():
            _file(path)

    return typer.Option(*names, parser=_reader(check), metavar=metavar, help=help)


def _reader(check: Callable[[Path], None]) -> Callable[[str], Path]:
    def read(given: str | Path) -> Path:
        path = Path(given)
        try:
            os.fsencode(path)
            check(path)
        except UnicodeEncodeError:
            raise typer.BadParameter(f"{plain(str(path), limit=80)} cannot be the name of a file") from None
        except ValueError as error:  # of which pydantic would make a message itself, and fail where it is no UTF-8
            raise typer.BadParameter(plain(str(error), limit=400)) from None
        return path

    return read


def _folder(path: Path) -> None:
    atomic.require_writable(path)


def _file(path: Path) -> None:
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder, not a file")
    atomic.require_writable(path.parent)

"""Specifications and design spaces that come with nnmass, by name: ``example:reference``."""

import os
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from nnmass.errors import NNMassError
from nnmass.plain_text import plain

PREFIX = "example:"
_FOLDER = "examples"
_SPACE = "space"  # how names of design spaces end
_SHOWN = 40


def example_names() -> list[str]:
    """Names of all examples, sorted.

    Examples:
        >>> example_names()
        ['cifar10_densenet', 'digits_cnn', 'reference', 'space']
    """
    return sorted(path.stem for path in Path(str(files("nnmass"))).joinpath(_FOLDER).glob("*.json"))


def example_specifications() -> list[str]:
    """Names of those examples that are specifications, and no design spaces."""
    return [name for name in example_names() if not name.endswith(_SPACE)]


def is_example(path: str | os.PathLike[str]) -> bool:
    """Whether a path names an example."""
    return os.fspath(path).startswith(PREFIX)


def example_path(path: str | os.PathLike[str], error: type[NNMassError]) -> Path:
    """The file of an example.

    Args:
        path: ``example:NAME``.
        error: raised where there is none.
    """
    name, names = os.fspath(path).removeprefix(PREFIX), example_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        raise error(f"{plain(path, limit=_SHOWN)}: no such example; there are {', '.join(names)}{hint}")
    return Path(str(files("nnmass"))) / _FOLDER / f"{name}.json"

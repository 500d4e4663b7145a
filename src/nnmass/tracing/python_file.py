"""A module made by a function in somebody's Python file; loading it runs that file."""

import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

from torch import nn

from nnmass.errors import ModelError, first_line
from nnmass.files import open_regular
from nnmass.plain_text import plain
from nnmass.tracing.construction import random_states_kept
from nnmass.tracing.libraries import torchvision_importable

_MODULE_NAME = "__nnmass_model_file__"
_MOST_NAMES = 12  # that a message lists


def module_from_python_file(path: Path, name: str) -> nn.Module:
    """Run a Python file and get its module ``name``: one that is there, or what a function or class makes.

    The file may import its neighbours.  Afterwards ``sys.path``, ``sys.modules`` and the random states are as before.

    Raises:
        ModelError: no such file or name, the file or the function raises (the message gives the line), the function
            needs arguments, or what it makes is no ``torch.nn.Module``.
    """
    with _namespace(path) as namespace:
        return _made(path, name, _looked_up(path, name, namespace))


def models_of_python_file(path: Path, pattern: str) -> list[str]:
    """Run a Python file and list the names of what makes a model without arguments, sorted.

    These are modules, classes of modules, and functions that do not say that they return something else.

    Args:
        path: the file.
        pattern: of the names, with shell wildcards.

    Raises:
        ModelError: as `module_from_python_file`; or nothing matches.
    """
    with _namespace(path) as namespace:
        own = [name for name, value in namespace.items() if not name.startswith("_") and _makes_model(name, value)]
    found = sorted(name for name in own if fnmatchcase(name, pattern))
    if not found:
        raise ModelError(f"{path} has no model that matches {pattern!r}; it has {_listed(own)}")
    return found


@contextmanager
def _namespace(path: Path) -> Iterator[dict[str, Any]]:
    """What a file defines, once it was run; what it changed of the interpreter is as before afterwards."""
    try:
        open_regular(path).close()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise ModelError(f"{path}: {reason}") from None
    with random_states_kept(), torchvision_importable(), _importable(path.parent.resolve()):
        yield _run(path)


def _makes_model(name: str, value: Any) -> bool:
    """Whether a name of a file seems to be a model, or to make one without arguments."""
    if isinstance(value, nn.Module):
        return True
    if getattr(value, "__module__", None) != _MODULE_NAME or not callable(value):
        return False
    if isinstance(value, type):
        return issubclass(value, nn.Module) and _needs_nothing(value)
    returned = getattr(value, "__annotations__", {}).get("return", nn.Module)
    other = returned is None or (isinstance(returned, type) and not issubclass(returned, nn.Module))
    return name != "main" and not other and returned != "None" and _needs_nothing(value)


def _needs_nothing(value: Any) -> bool:
    try:
        inspect.signature(value).bind()
    except (TypeError, ValueError):
        return False
    return True


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let a file import its neighbours, and forget them afterwards: another folder may use the same names."""
    path, modules = list(sys.path), set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [name for name in set(sys.modules) - modules if _lies_in(folder, name.partition(".")[0])]:
            del sys.modules[name]


def _lies_in(folder: Path, package: str) -> bool:
    """Whether a package or module is directly in a folder, rather than in an environment somewhere below it."""
    module = sys.modules.get(package)
    places = [*getattr(module, "__path__", ()), getattr(module, "__file__", None)]
    return any(place and Path(place).resolve().parent == folder for place in places)


def _run(path: Path) -> dict[str, Any]:
    loader = SourceFileLoader(_MODULE_NAME, str(path.resolve()))
    spec = ModuleSpec(_MODULE_NAME, loader, origin=loader.path)
    spec.has_location = True  # so that the file knows its __file__
    module = module_from_spec(spec)
    sys.modules[_MODULE_NAME] = module  # dataclasses look there
    with _told(path):
        loader.exec_module(module)
    return vars(module)


def _looked_up(path: Path, name: str, namespace: dict[str, Any]) -> Any:
    if name in namespace:
        return namespace[name]
    own = [
        key
        for key, value in namespace.items()
        if not key.startswith("_")
        and (isinstance(value, nn.Module) or getattr(value, "__module__", None) == _MODULE_NAME)
    ]
    raise ModelError(f"{path} has no {name!r}; it has {_listed(get_close_matches(name, own) or own)}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES]) or 'nothing that makes a model'}{more}"


def _made(path: Path, name: str, value: Any) -> nn.Module:
    if isinstance(value, nn.Module):
        return value
    if not callable(value):
        raise ModelError(f"{path}:{name} is of type {type(value).__name__}, not a torch.nn.Module or a function")
    try:
        inspect.signature(value).bind()
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}:{name} must need no arguments, but: {first_line(error)}") from None
    with _told(path):
        module = value()
    if not isinstance(module, nn.Module):
        raise ModelError(f"{path}:{name} returned {type(module).__name__}, not a torch.nn.Module")
    return module


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in one line where in the file somebody else's code went wrong."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # it may raise whatever it likes, SystemExit among others
        file = str(path.resolve())
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        if isinstance(error, SyntaxError) and error.filename == file:
            lines.append(error.lineno)
        where = f"{path}:{lines[-1]}" if lines else str(path)
        raise ModelError(f"{where}: {type(error).__name__}: {plain(first_line(error), limit=500)}") from error

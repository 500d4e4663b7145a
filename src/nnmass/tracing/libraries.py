"""Optional libraries, imported where they are used."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch

from nnmass.errors import ModelError, first_line

_EXTRAS = {
    "torchvision": "models",
    "timm": "models",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "accelerate": "training",
    "tensorboard": "training",
    "ray": "ray",
}
_MISSING_OPERATOR = "operator torchvision::nms does not exist"


def import_library(name: str) -> ModuleType:
    """Import an optional library, or a module of it.

    Args:
        name: ``"timm"``, ``"torchvision.datasets"``, ...

    Raises:
        ModelError: the library is not installed (the message says how to), or fails to import.
    """
    library = name.partition(".")[0]
    try:
        if library in {"timm", "torchvision"}:
            _import_torchvision()
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).partition(".")[0]
        if missing not in _EXTRAS:
            raise ModelError(f"{library} needs {missing}, which is not installed: pip install {missing}") from None
        extra = _EXTRAS[missing]
        raise ModelError(f"{missing} is not installed: pip install 'nnmass[{extra}]'") from None
    except (ImportError, RuntimeError) as error:
        raise ModelError(f"{library} cannot be imported: {first_line(error)}") from error


def _import_torchvision() -> None:
    """Import torchvision even where its compiled operators do not fit the installed PyTorch.

    A wheel built for another PyTorch (the usual one beside a CPU-only PyTorch) leaves its compiled operators out and
    then fails on the two that it describes in Python.  Its models, transforms and data sets need neither: it is enough
    to declare them.
    """
    try:
        import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
        for module in [module for module in sys.modules if module.partition(".")[0] == "torchvision"]:
            del sys.modules[module]
        _declare_operators()
        import_module("torchvision")


@contextmanager
def torchvision_importable() -> Iterator[None]:
    """Let somebody else's code import torchvision, and what needs it, with the same help."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    """Imports torchvision when anybody asks for it."""

    def __init__(self) -> None:
        self._importing = False

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != "torchvision" or self._importing:
            return None
        self._importing = True
        try:
            _import_torchvision()
        finally:
            self._importing = False
        return ModuleSpec(fullname, _Imported(sys.modules[fullname]))


class _Imported(Loader):
    """Gives a module that is imported already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


@cache
def _declare_operators() -> torch.library.Library:
    """Declare the operators; they exist as long as the library that is returned, hence the cache."""
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library

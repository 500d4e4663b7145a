"""Optional libraries, imported where they are used."""

import sys
from functools import cache
from importlib import import_module
from types import ModuleType

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


@cache
def _declare_operators() -> torch.library.Library:
    """Declare the operators; they exist as long as the library that is returned, hence the cache."""
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library

"""Models of timm and torchvision by name, built without weights; nothing is downloaded."""

from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from nnmass.errors import ModelError, first_line
from nnmass.tracing.construction import random_states_kept, without_memory
from nnmass.tracing.libraries import import_library
from nnmass.tracing.loaded_model import InputSizes, LoadedModel

ZOOS = ("timm", "torchvision")
"""The libraries of models: ``timm:resnet50``, ``torchvision:densenet121``."""

_DRAWN_SLOWLY = {"googlenet", "inception_v3"}  # by an initialisation that torchvision itself deprecates


def zoo_names(zoo: str, *, tags: bool = False) -> list[str]:
    """List the classification models of timm or torchvision, sorted.

    Args:
        zoo: ``"timm"`` or ``"torchvision"``.
        tags: list timm's pretrained variants (``resnet50.a1_in1k``) instead of its architectures.

    Raises:
        ModelError: the library is not installed.
    """
    if zoo == "timm":
        names = import_library("timm").list_models(pretrained=tags)
    else:
        models = import_library("torchvision.models")
        names = models.list_models(module=models)
    return sorted(names)


def matching_names(zoo: str, pattern: str) -> list[str]:
    """Names of a zoo that match a shell pattern, sorted; with a dot in it, timm's pretrained variants.

    Raises:
        ModelError: nothing matches, or the library is not installed.
    """
    found = [name for name in zoo_names(zoo, tags="." in pattern) if fnmatchcase(name, pattern)]
    if not found:
        raise ModelError(f"no model of {zoo} matches {pattern!r}; {_listing(zoo)} lists them")
    return found


def build_zoo_model(zoo: str, name: str, *, image_size: int | None = None) -> LoadedModel:
    """Build a model of timm or torchvision, its parameters on the meta device.

    The input size is the one the library trains the model at: timm's ``input_size``, or the crop of torchvision's
    ``IMAGENET1K_V1`` weights (224 for a model that has none); ``image_size`` overrides it and is handed to the models
    which are built for one size.

    Raises:
        ModelError: no such model (the message names the nearest), or it cannot be built.
    """
    build = _build_timm if zoo == "timm" else _build_torchvision
    try:
        with random_states_kept():
            module, sizes = without_memory(lambda: build(name, image_size))
    except ModelError:
        raise
    except Exception as error:  # somebody else's builder may raise whatever it likes
        size = "" if image_size is None else f" for images of {image_size} × {image_size}"
        raise ModelError(f"{zoo}:{name} cannot be built{size}: {type(error).__name__}: {first_line(error)}") from error
    return LoadedModel(f"{zoo}:{name}", module, sizes)


def _build_timm(name: str, image_size: int | None) -> tuple[nn.Module, InputSizes]:
    timm = import_library("timm")
    architecture, tagged, _ = name.partition(".")
    if not timm.is_model(architecture):
        raise _unknown("timm", name, zoo_names("timm"))
    variants = timm.list_models(f"{architecture}.*", pretrained=True) if tagged else []
    if tagged and name not in variants:
        raise _unknown("timm", name, variants)
    arguments = {}
    if image_size is not None and timm.get_pretrained_cfg(name).fixed_input_size:
        arguments["img_size"] = image_size
    module = timm.create_model(name, pretrained=False, **arguments)
    channels, height, width = module.default_cfg["input_size"]
    return module, ((1, channels, image_size or height, image_size or width),)


def _build_torchvision(name: str, image_size: int | None) -> tuple[nn.Module, InputSizes]:
    models = import_library("torchvision.models")
    names = zoo_names("torchvision")
    if name not in names:
        raise _unknown("torchvision", name, names)
    size = image_size or _crop(models.get_model_weights(name))
    arguments: dict[str, Any] = {"init_weights": False} if name in _DRAWN_SLOWLY else {}
    if name.startswith("vit_"):
        arguments["image_size"] = size
    elif name.startswith("maxvit_"):
        arguments["input_size"] = (size, size)
    return models.get_model(name, weights=None, **arguments), ((1, 3, size, size),)


def _crop(weights: Any) -> int:
    """Size of the crops that torchvision's first own ImageNet recipe is evaluated on."""
    first = weights.__members__.get("IMAGENET1K_V1")
    return 224 if first is None else int(first.transforms.keywords["crop_size"])


def _unknown(zoo: str, name: str, names: list[str]) -> ModelError:
    version = import_library(zoo).__version__
    near = get_close_matches(name, names, n=4)
    nearest = f"nearest: {', '.join(near)}; " if near else ""
    return ModelError(f"{name!r} is no model of {zoo} {version}; {nearest}{_listing(zoo)} lists them")


def _listing(zoo: str) -> str:
    return f"nnmass.tracing.model_names('{zoo}:*')"

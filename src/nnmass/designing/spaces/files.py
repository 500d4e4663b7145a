"""Spaces from JSON."""

import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nnmass.architectures import explain
from nnmass.designing.spaces.dense_cnn import DenseCNNSpace
from nnmass.designing.spaces.dense_mlp import DenseMLPSpace
from nnmass.designing.spaces.mobilenet_v2 import MobileNetV2Space
from nnmass.designing.spaces.resnet import CifarResNetSpace, ResNetSpace, WideResNetSpace
from nnmass.designing.spaces.space import Space
from nnmass.errors import SpaceError

SPACES: dict[str, type[Space]] = {
    "DenseMLP": DenseMLPSpace,
    "DenseCNN": DenseCNNSpace,
    "MobileNetV2": MobileNetV2Space,
    "ResNet": ResNetSpace,
    "CifarResNet": CifarResNetSpace,
    "WideResNet": WideResNetSpace,
}


def load_space(path: str | os.PathLike[str]) -> Space:
    """Read a design space from a JSON file.

    Raises:
        SpaceError: no such file, not JSON, or not a valid space.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SpaceError(f"{path}: cannot be read as a design space ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:  # besides bad syntax: other encodings, long numbers, deep nesting
        raise SpaceError(f"{path}: not JSON ({error})") from None
    return space_from_dict(values, where=str(path))


def space_from_dict(values: Any, *, where: str = "space") -> Space:
    """Make a space of the plain values that JSON holds.

    Args:
        values: a mapping with ``"family"`` and that family's keys.
        where: named in the error.

    Raises:
        SpaceError: an unknown family or key, or a value out of range.
    """
    if not isinstance(values, dict):
        raise SpaceError(f"{where}: must be a JSON object, got {type(values).__name__}")
    family = values.get("family")
    if not isinstance(family, str) or family not in SPACES:
        raise SpaceError(f"{where}: family must be one of {', '.join(SPACES)}, got {family!r}")
    try:
        return SPACES[family].model_validate(values)
    except ValidationError as error:
        raise SpaceError(f"{where}: {explain(error)}") from None

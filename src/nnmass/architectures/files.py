"""Specifications from JSON."""

import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nnmass.architectures.cifar_resnet import CifarResNet
from nnmass.architectures.dense_cnn import DenseCNN
from nnmass.architectures.dense_mlp import DenseMLP
from nnmass.architectures.mobilenet_v2 import MobileNetV2
from nnmass.architectures.resnet import ResNet
from nnmass.architectures.specification import Specification, explain
from nnmass.architectures.wide_resnet import WideResNet
from nnmass.errors import SpecificationError

FAMILIES: dict[str, type[Specification]] = {
    "DenseMLP": DenseMLP,
    "DenseCNN": DenseCNN,
    "ResNet": ResNet,
    "CifarResNet": CifarResNet,
    "WideResNet": WideResNet,
    "MobileNetV2": MobileNetV2,
}


def load_spec(path: str | os.PathLike[str]) -> Specification:
    """Read a specification from the JSON file that `Specification.to_json` wrote, or that a person did.

    Raises:
        SpecificationError: no such file, not JSON, or not a valid specification.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecificationError(f"{path}: cannot be read as a specification ({_reason(error)})") from None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:  # besides bad syntax: numbers of thousands of digits, deep nesting
        raise SpecificationError(f"{path}: not JSON ({error})") from None
    return spec_from_dict(values, where=str(path))


def spec_from_dict(values: Any, *, where: str = "specification") -> Specification:
    """Make a specification of the plain values that JSON holds.

    Args:
        values: a mapping with ``"family"`` and that family's keys.
        where: named in the error.

    Raises:
        SpecificationError: an unknown family or key, or a value out of range.
    """
    if not isinstance(values, dict):
        raise SpecificationError(f"{where}: must be a JSON object, got {type(values).__name__}")
    family = values.get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise SpecificationError(f"{where}: family must be one of {', '.join(FAMILIES)}, got {family!r}")
    try:
        return FAMILIES[family].model_validate(values)
    except ValidationError as error:
        raise SpecificationError(f"{where}: {explain(error)}") from None


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "not UTF-8 text"

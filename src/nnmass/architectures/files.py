"""Specifications from JSON."""

import os
from typing import Any

from nnmass.architectures.cifar_resnet import CifarResNet
from nnmass.architectures.dense_cnn import DenseCNN
from nnmass.architectures.dense_mlp import DenseMLP
from nnmass.architectures.examples import is_example
from nnmass.architectures.families import family_from_dict, read_family
from nnmass.architectures.mobilenet_v2 import MobileNetV2
from nnmass.architectures.resnet import ResNet
from nnmass.architectures.specification import Specification
from nnmass.architectures.wide_resnet import WideResNet
from nnmass.errors import InvalidValueError, SpecificationError, require_type
from nnmass.topology import Projection

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
    return read_family(path, FAMILIES, what="a specification", error=SpecificationError)


def spec_from_dict(values: Any, *, where: str = "specification") -> Specification:
    """Make a specification of the plain values that JSON holds.

    Args:
        values: a mapping with ``"family"`` and that family's keys.
        where: named in the error.

    Raises:
        SpecificationError: an unknown family or key, or a value out of range.
    """
    return family_from_dict(values, FAMILIES, where=where, error=SpecificationError)


def is_specification(source: str) -> bool:
    """Whether a source is the JSON file of a specification."""
    require_type(source, str, "source", "text that names a model")
    return source.endswith(".json") or is_example(source)


def read_specification(
    path: str, *, image_size: int | None = None, projection: Projection | None = None
) -> Specification:
    """Read a specification, with another image size or reading of projections if they are given.

    Raises:
        SpecificationError: no valid specification.
        InvalidValueError: an image size for a specification that reads no images.
    """
    spec = load_spec(path)
    if image_size is not None and "image_size" not in type(spec).model_fields:
        raise InvalidValueError(f"{path}: a {spec.family} reads no images, so that it has no image size")
    given = {"image_size": image_size, "projection": projection}
    changes = {key: value for key, value in given.items() if value is not None}
    if "projection" not in type(spec).model_fields:
        changes.pop("projection", None)  # without projections both readings agree
    return spec_from_dict(spec.model_dump(mode="json", exclude_none=True) | changes, where=path) if changes else spec


def projection_of(spec: Specification) -> Projection:
    """How a specification reads projections."""
    reading: Projection = getattr(spec, "projection", "count")
    return reading

"""Spaces from JSON."""

import os
from typing import Any

from nnmass.architectures.families import family_from_dict, read_family
from nnmass.designing.spaces.dense_cnn import DenseCNNSpace
from nnmass.designing.spaces.dense_mlp import DenseMLPSpace
from nnmass.designing.spaces.mobilenet_v2 import MobileNetV2Space
from nnmass.designing.spaces.resnet import ResNetSpace
from nnmass.designing.spaces.small_resnets import CifarResNetSpace, WideResNetSpace
from nnmass.designing.spaces.space import Space
from nnmass.errors import SpaceError, require_type
from nnmass.plain_text import plain

_SHOWN = 40

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
    return read_family(path, SPACES, what="a design space", error=SpaceError)


def default_space(family: str) -> Space:
    """The default space of a family, in whatever case its name is written.

    Raises:
        SpaceError: an unknown family.

    Examples:
        >>> default_space("mobilenetv2").size()
        191102976
    """
    return space_from_dict({"family": family}, where=f"default space of {plain(family, limit=_SHOWN)!r}")


def space_of(space: object) -> Space:
    """A space itself, or the default space of a family that is named.

    Raises:
        SpaceError: an unknown family.
        WrongTypeError: neither a space nor a name.
    """
    if isinstance(space, str):
        return default_space(space)
    wanted = "a design space or a family's name (nnmass.load_space reads a space from a file)"
    require_type(space, Space, "space", wanted)
    assert isinstance(space, Space)
    return space


def with_constants(space: Space, **given: int | None) -> Space:
    """Return a space for other inputs or classes.

    Args:
        space: of any family.
        given: ``image_size``, ``num_classes``, ``in_features``; None leaves one as it is.

    Raises:
        SpaceError: the family has no such constant, or the space states another value itself.

    Examples:
        >>> with_constants(default_space("DenseCNN"), num_classes=100).num_classes
        100
    """
    values = {name: value for name, value in given.items() if value is not None}
    for name, value in values.items():
        if name not in type(space).model_fields:
            raise SpaceError(f"a {space.family} has no {name}, got {value}")
        stated = getattr(space, name)
        if name in space.model_fields_set and stated != value:
            raise SpaceError(f"the space states {name} {stated}, and {value} is asked for: change one of them")
    return type(space)(**(space.model_dump(exclude_unset=True) | values)) if values else space


def space_from_dict(values: Any, *, where: str = "space") -> Space:
    """Make a space of the plain values that JSON holds.

    Args:
        values: a mapping with ``"family"`` and that family's keys.
        where: named in the error.

    Raises:
        SpaceError: an unknown family or key, or a value out of range.
    """
    return family_from_dict(values, SPACES, where=where, error=SpaceError)

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
from nnmass.errors import SpaceError
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


def space_from_dict(values: Any, *, where: str = "space") -> Space:
    """Make a space of the plain values that JSON holds.

    Args:
        values: a mapping with ``"family"`` and that family's keys.
        where: named in the error.

    Raises:
        SpaceError: an unknown family or key, or a value out of range.
    """
    return family_from_dict(values, SPACES, where=where, error=SpaceError)

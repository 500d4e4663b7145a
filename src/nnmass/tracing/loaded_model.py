"""A module with what its source knows about it."""

from dataclasses import dataclass
from typing import TypeAlias

from torch import nn

from nnmass.representation import brief
from nnmass.tracing.input_types import InputType

InputSizes: TypeAlias = tuple[tuple[int, ...], ...]
"""One size per input, batch first."""


@dataclass(frozen=True)
class LoadedModel:
    """A module to be traced.

    Attributes:
        name: as the user named it, ``timm:resnet50``.
        module: the module; parameters of a timm or torchvision model are meta tensors, without memory or values.
        input_sizes: the sizes of its inputs, where its source knows them; None: they must be given.
        input_types: the types of its inputs, likewise.
    """

    __repr__ = brief

    name: str
    module: nn.Module
    input_sizes: InputSizes | None
    input_types: tuple[InputType | str, ...] | None = None

"""Sizes and types of a model's inputs."""

from collections.abc import Iterable, Sequence
from math import prod
from operator import index
from typing import Any, TypeAlias

import torch

from nnmass.errors import InvalidValueError

InputType: TypeAlias = torch.dtype | None
"""None: that of the model's parameters, or integers where an embedding reads the input."""

_LARGEST = 2**31 - 1
"""Numbers in one input: more than any device holds of activations alone."""
TYPES: dict[str, InputType] = {"float": None, "int": torch.int64, "bool": torch.bool}
"""Types by the names that they have on the command line."""


def checked_sizes(input_size: Any) -> tuple[tuple[int, ...], ...]:
    """Sizes of all inputs, from one size or several.

    Raises:
        InvalidValueError: none, or one that is not valid.
    """
    if input_size is None:
        raise InvalidValueError(
            "input_size is missing: the size of the input, such as (1, 3, 224, 224); on the command line "
            "--input-size 1,3,224,224 or --image-size 224, where the command has them"
        )
    if not isinstance(input_size, Iterable) or isinstance(input_size, str):
        raise InvalidValueError(f"input_size must be a size such as (1, 3, 224, 224), or several, got {input_size!r}")
    sizes: tuple[Any, ...] = tuple(input_size)
    several = sizes and isinstance(sizes[0], Sequence) and not isinstance(sizes[0], str)
    return tuple(checked_size(size) for size in (sizes if several else (sizes,)))


def checked_size(size: Any) -> tuple[int, ...]:
    """Return the size of an input as plain numbers.

    Raises:
        InvalidValueError: it is something else than positive whole numbers, or their product is too large.
    """
    try:
        numbers = [n if isinstance(n, bool) else index(n) for n in size]
    except TypeError:
        numbers = []
    if not numbers or any(isinstance(n, bool) or n < 1 for n in numbers):
        raise InvalidValueError(f"an input size must be positive whole numbers such as (1, 3, 224, 224), got {size!r}")
    if prod(numbers) > _LARGEST:
        raise InvalidValueError(f"an input may have at most {_LARGEST:,} numbers, got the size {tuple(numbers)}")
    return tuple(numbers)


def checked_types(dtypes: Sequence[InputType | str] | None, inputs: int) -> tuple[InputType, ...]:
    """Types of all inputs: ``torch.long`` and the like, their names on the command line, or None.

    Raises:
        InvalidValueError: too few or too many, or something else.
    """
    if dtypes is None:
        return (None,) * inputs
    if isinstance(dtypes, torch.dtype | str):
        dtypes = [dtypes]
    if len(dtypes) != inputs:
        raise InvalidValueError(f"dtypes must have one type per input, got {len(dtypes)} for {inputs} inputs")
    return tuple(map(_checked_type, dtypes))


def _checked_type(dtype: Any) -> InputType:
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    if isinstance(dtype, str) and dtype in TYPES:
        return TYPES[dtype]
    raise InvalidValueError(f"dtypes must be types such as torch.long, or one of {', '.join(TYPES)}, got {dtype!r}")

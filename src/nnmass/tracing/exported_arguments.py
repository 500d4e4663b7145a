"""Arguments of an exported graph's operators: the union ``Argument`` of PyTorch's serialization schema."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nnmass.errors import ModelError

DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    9: torch.complex32,
    10: torch.complex64,
    11: torch.complex128,
    12: torch.bool,
    13: torch.bfloat16,
    28: torch.uint16,
    29: torch.float8_e4m3fn,
    30: torch.float8_e5m2,
    31: torch.float8_e4m3fnuz,
    32: torch.float8_e5m2fnuz,
    34: torch.uint32,
    35: torch.uint64,
}
"""Types of tensors by the number that PyTorch's serialization schema gives them."""


@dataclass(frozen=True)
class Name:
    """A value that an input or an earlier operator gives."""

    name: str


DEVICE = Name("the inputs' device")
"""Stands for every device in the graph."""

_MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_VALUES: dict[str, Callable[[Any], Any]] = {
    "as_none": lambda _: None,
    "as_bool": bool,
    "as_bools": list,
    "as_int": int,
    "as_ints": list,
    "as_int_lists": list,
    "as_float": float,  # also of the strings for infinity
    "as_floats": lambda numbers: [float(number) for number in numbers],
    "as_string": str,
    "as_strings": list,
    "as_name": Name,
    "as_tensor": lambda tensor: Name(tensor["name"]),
    "as_tensors": lambda tensors: [Name(tensor["name"]) for tensor in tensors],
    "as_scalar_type": DTYPES.__getitem__,
    "as_memory_format": _MEMORY_FORMATS.__getitem__,
    "as_layout": {7: torch.strided}.__getitem__,
    "as_device": lambda _: DEVICE,
}
_UNIONS = {"as_sym_int", "as_sym_float", "as_sym_bool", "as_optional_tensor"}


def argument(union: Mapping[str, Any]) -> Any:
    """Read a value; what is to be computed first stands in it as a `Name`.

    Raises:
        ModelError: a subgraph, a custom object or the like.
    """
    [(kind, value)] = union.items()
    if kind in _VALUES:
        return _VALUES[kind](value)
    if kind in _UNIONS:
        return argument(value)
    if kind.removesuffix("s") in _UNIONS:
        return [argument(part) for part in value]
    raise ModelError(f"an argument of kind {kind.removeprefix('as_')} is not understood")


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """Put values in the place of their names."""
    if isinstance(value, Name):
        return values[value.name]
    return [filled(part, values) for part in value] if isinstance(value, list) else value

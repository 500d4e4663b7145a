"""What design spaces have in common: choices, ties, exact size, levels for the solver, JSON."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nnmass import atomic
from nnmass.architectures import Specification, explain
from nnmass.architectures.specification import Positive
from nnmass.designing.problem import FloatArray, IntArray, Level
from nnmass.errors import SpaceError
from nnmass.latency import Block, LatencyTable

DENSITY_CAP = 0.8
"""Largest density of a concatenation cell within the domain of the theory."""


def _listed(value: object) -> object:
    """Write choices as a tuple: one number, several, or a range such as {"min": 8, "max": 128, "step": 8}."""
    if isinstance(value, dict) and {"min", "max"} <= set(value) <= {"min", "max", "step"}:
        low, high, step = value["min"], value["max"], value.get("step", 1)
        if not all(isinstance(part, int) and not isinstance(part, bool) for part in (low, high, step)) or step < 1:
            raise ValueError(f"a range needs whole numbers and a step of at least 1, got {value}")
        if low > high:
            raise ValueError(f"the range from {low} to {high} is empty")
        return tuple(range(low, high + 1, step))
    if isinstance(value, range | list | np.ndarray):
        value = tuple(value)
    if isinstance(value, tuple):
        return tuple(int(v) if isinstance(v, np.integer) else v for v in value)
    return (value,)


def _ascending(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(sorted(set(values)))


Choices: TypeAlias = Annotated[
    tuple[Positive, ...],
    Field(min_length=1),
    BeforeValidator(_listed),
]
"""Whole numbers to choose from."""
Factor: TypeAlias = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Factors: TypeAlias = Annotated[tuple[Factor, ...], Field(min_length=1), BeforeValidator(_listed)]
"""Numbers to choose from."""


class Space(BaseModel, ABC):
    """An immutable, validated set of specifications of one family to choose from."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    family: str

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpaceError(f"{type(self).__name__}: {explain(error)}") from None

    @abstractmethod
    def size(self) -> int:
        """How many specifications it holds, exactly."""

    @abstractmethod
    def levels(self, latency: LatencyTable | None = None, *, max_activation_bytes: int | None = None) -> list[Level]:
        """The options of every stage, with mass, parameters, MACs and, given a table, milliseconds."""

    @abstractmethod
    def specify(self, choices: Sequence[IntArray]) -> Specification:
        """The specification that the options of a path stand for."""

    @abstractmethod
    def departures(self) -> tuple[str, ...]:
        """How far it reaches beyond the domain of the theory; nothing where every member lies within."""

    @abstractmethod
    def blocks(self) -> tuple[Block, ...]:
        """The blocks whose latencies make up those of all members; of layers with skips the narrowest and widest."""

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write the space to a JSON file; `load_space` reads it back."""
        return atomic.write_text(path, self.model_dump_json(exclude_none=True) + "\n")


def ascending(choices: Sequence[Any]) -> tuple[Any, ...]:
    """The choices, each once, from small to large."""
    return _ascending(tuple(choices))


def constant_quantities(mass: float = 0.0, params: float = 0.0, macs: float = 0.0, latency: float = 0.0) -> FloatArray:
    """One row of quantities."""
    return np.array([mass, params, macs, latency])


def rows_of(*columns: Any) -> FloatArray:
    """Rows of quantities from columns that broadcast."""
    return np.stack(np.broadcast_arrays(*(np.asarray(column, np.float64) for column in columns)), -1)


def product_size(counts: Sequence[int]) -> int:
    """Product of exact counts."""
    return math.prod(int(count) for count in counts)

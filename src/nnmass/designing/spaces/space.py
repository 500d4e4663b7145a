"""What design spaces have in common: choices, exact size, levels for the solver, JSON."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from nnmass import atomic
from nnmass.architectures import Specification, explain
from nnmass.architectures.specification import NonNegative, Positive, shown
from nnmass.designing.problem import FloatArray, IntArray, Level, Limit
from nnmass.designing.spaces.limits import limit_choices
from nnmass.errors import SpaceError
from nnmass.latency import Block, LatencyTable
from nnmass.topology import LARGEST
from nnmass.validated import Validated

_LEAST_RANGE = 4  # numbers that are written as a range


def _listed(value: object) -> object:
    """Write choices as a tuple: one number, several, or a range such as {"min": 8, "max": 128, "step": 8}."""
    if isinstance(value, dict) and {"min", "max"} <= set(value) <= {"min", "max", "step"}:
        low, high, step = (value.get(key, 1) for key in ("min", "max", "step"))
        if not all(type(part) is int for part in (low, high, step)) or step < 1:
            raise ValueError(f"a range needs whole numbers and a step of at least 1, got {shown(value)}")
        if low > high:
            raise ValueError(f"the range from {shown(low)} to {shown(high)} is empty")
        limit_choices((high - low) // step + 1)
        return tuple(range(low, high + 1, step))
    if isinstance(value, range | list | tuple | np.ndarray):
        limit_choices(len(value))
        return tuple(v.item() if isinstance(v, np.generic) else v for v in value)
    return (value,)


def _ascending(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(sorted(set(values)))


Choices: TypeAlias = Annotated[
    tuple[Positive, ...], Field(min_length=1), BeforeValidator(_listed), AfterValidator(_ascending)
]
"""Whole numbers to choose from: one, several, or a range {"min": …, "max": …, "step": …}."""
Skips: TypeAlias = Annotated[NonNegative, Field(le=LARGEST**2)]
Counts: TypeAlias = Annotated[
    tuple[Skips, ...], Field(min_length=1), BeforeValidator(_listed), AfterValidator(_ascending)
]
"""The same, 0 included."""
Factor: TypeAlias = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Factors: TypeAlias = Annotated[
    tuple[Factor, ...], Field(min_length=1), BeforeValidator(_listed), AfterValidator(_ascending)
]
"""Numbers to choose from."""


class Space(Validated, ABC):
    """An immutable, validated set of specifications of one family to choose from."""

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
        """The options of every stage, with mass, parameters, MACs and, given a table, milliseconds.

        Args:
            latency: measured blocks.
            max_activation_bytes: what needs more (`Specification.activation_bytes`) is left out.

        Raises:
            LatencyError: the table lacks a block.
        """

    def levels_within(
        self, limits: Sequence[Limit], latency: LatencyTable | None = None, *, max_activation_bytes: int | None = None
    ) -> list[Level]:
        """The levels, perhaps without options that no best network within some limits needs.

        What is left holds, of every shape, a best network for each objective: the largest mass, the least of a cost.

        Args:
            limits: on mass and costs.
            latency: measured blocks.
            max_activation_bytes: see `levels`.
        """
        return self.levels(latency, max_activation_bytes=max_activation_bytes)

    @property
    @abstractmethod
    def traits(self) -> dict[str, Any]:
        """Choices for every trait of its members (`Specification.traits`): a value, some, or some for each part."""

    @abstractmethod
    def specify(self, choices: Sequence[IntArray]) -> Specification:
        """Return the specification that the options of a path stand for."""

    @abstractmethod
    def shapes(self, k: int, level: Level) -> FloatArray:
        """(options, …) what makes networks different to an engineer, of stage k: widths, depths, expansions."""

    @abstractmethod
    def departures(self, member: Specification | None = None) -> tuple[str, ...]:
        """How it, or a member of it, reaches beyond the domain of the theory; nothing where it lies within."""

    @abstractmethod
    def blocks(self) -> tuple[Block, ...]:
        """The blocks whose latencies make up those of all members; of layers with skips the narrowest and widest."""

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write the space to a JSON file; `load_space` reads it back."""
        return atomic.write_text(path, self.to_text())

    def to_text(self) -> str:
        """The same as text, for people to change: ranges are written as such."""
        return json.dumps(_with_ranges(self.model_dump(mode="json", exclude_none=True)), indent=1) + "\n"


def _with_ranges(value: Any) -> Any:
    """Write evenly spaced whole numbers as a range.

    Examples:
        >>> _with_ranges({"depth": [8, 9, 10, 11], "width": [8, 16]})
        {'depth': {'min': 8, 'max': 11}, 'width': [8, 16]}
    """
    if isinstance(value, dict):
        return {name: _with_ranges(part) for name, part in value.items()}
    if not isinstance(value, list):
        return value
    whole = all(type(part) is int for part in value)
    step = value[1] - value[0] if whole and len(value) >= _LEAST_RANGE else 0
    if step < 1 or value != list(range(value[0], value[-1] + 1, step)):
        return [_with_ranges(part) for part in value]
    return {"min": value[0], "max": value[-1]} | ({"step": step} if step > 1 else {})


def rows_of(mass: Any, params: Any, macs: Any, latency_ms: Any = 0.0) -> FloatArray:
    """Rows of quantities from columns that broadcast."""
    columns = (np.asarray(column, np.float64) for column in (mass, params, macs, latency_ms))
    return np.stack(np.broadcast_arrays(*columns), -1)


def span(values: Sequence[Any]) -> str:
    """Choices in few characters.

    Examples:
        >>> span((8, 16, 24)), span((4,))
        ('8 … 24', '4')
    """
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} … {values[-1]:g}"

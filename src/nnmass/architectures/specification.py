"""What network specifications have in common: validation, cells, mass, costs, JSON, building; and random links."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError

from nnmass import atomic
from nnmass.architectures.costs import Costs
from nnmass.errors import InvalidValueError, SpecificationError, require_type
from nnmass.plain_text import plain
from nnmass.topology import LARGEST, Cell, ResidualCell, check_links, draw_links
from nnmass.validated import Validated

if TYPE_CHECKING:
    from torch import nn


_MOST_PROBLEMS = 3
_MOST_CHARACTERS = 80
_MOST_BITS = 250


def _whole_number(value: object) -> object:
    """Let NumPy integers through; booleans and fractions stay what they are, and fail."""
    return int(value) if isinstance(value, np.integer) else value


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list | np.ndarray) else value


Positive: TypeAlias = Annotated[int, BeforeValidator(_whole_number), Field(strict=True, ge=1, le=LARGEST)]
NonNegative: TypeAlias = Annotated[int, BeforeValidator(_whole_number), Field(strict=True, ge=0)]
Links: TypeAlias = tuple[tuple[tuple[NonNegative, ...], ...], ...]
"""Per cell its links."""
PerCell = BeforeValidator(_tuple)


class Specification(Validated, ABC):
    """An immutable, validated network specification."""

    family: str

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecificationError(f"{type(self).__name__}: {explain(error)}") from None

    @property
    @abstractmethod
    def cells(self) -> tuple[Cell | ResidualCell, ...]:
        """The cells, first to last."""

    @property
    @abstractmethod
    def costs(self) -> Costs:
        """Mass, parameters and MACs in closed form."""

    @property
    def nn_mass(self) -> float:
        """NN-Mass, summed over the cells (arXiv:1910.00780, Def. 2)."""
        return float(self.costs.nn_mass)

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return int(self.costs.params)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one input; FLOPs are twice as many."""
        return int(self.costs.macs)

    @property
    def traits(self) -> dict[str, Any]:
        """What besides depth and skips makes it the network that it is, by name; a fit holds for equal ones."""
        return self.model_dump(exclude={"family"})

    @property
    def scaled_traits(self) -> frozenset[str]:
        """Names of traits in which networks may differ whose accuracies are compared: widths, of residual networks."""
        return frozenset()

    @property
    def activation_bytes(self) -> int:
        """Peak memory of the activations of one input at inference, in bytes of 32-bit numbers.

        The largest sum, over the weighted layers, of what the layer reads and writes and of what later layers still
        need: the input of a shortcut, or the outputs of a cell with skips, each kept once from its layer to the cell's
        end.  Norms and activation functions work in place.  An engine that does not fuse them needs more.
        """
        return 4 * max(self._live_values())

    @abstractmethod
    def _live_values(self) -> Iterable[int]:
        """Numbers that are alive while each layer, or the largest of some layers, runs."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch."""

    def build(self, seed: int = 0) -> "nn.Module":
        """Build the network: weights, and links where they are free, drawn from ``seed``.

        The caller's random state is left as it was.
        """
        from nnmass.networks import build  # the one upward import: a specification knows how to be built

        return build(self, seed=seed)

    def with_links(self, seed: int) -> Self:
        """Return this specification with everything fixed but the weights."""
        return self

    def without_links(self) -> Self:
        """Return the topology alone."""
        return self

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write the specification, links included, to a JSON file; `load_spec` reads it back."""
        return atomic.write_text(path, self.to_text())

    def to_text(self) -> str:
        """The same as text."""
        return self.model_dump_json(exclude_none=True) + "\n"


class LinkedSpecification(Specification):
    """A specification of cells with random concatenation skips.

    Attributes:
        links: per cell and layer the channels it skips from, or None: then ``build(seed)`` draws them.
    """

    links: Links | None = None

    @property
    @abstractmethod
    def cells(self) -> tuple[Cell, ...]:
        """The cells, first to last."""

    @property
    def traits(self) -> dict[str, Any]:
        """All but depth and skips."""
        return self.model_dump(exclude={"family", "depth", "max_skips", "links"})

    def with_links(self, seed: int) -> Self:
        """Return this specification with its links fixed, as ``build(seed)`` would draw them.

        Raises:
            InvalidValueError: a seed outside 0 … 2⁶³ - 1.
        """
        check_seed(seed)
        generator = np.random.default_rng(seed)
        return self.model_copy(update={"links": tuple(draw_links(cell, generator) for cell in self.cells)})

    def without_links(self) -> Self:
        """Return the topology alone: the links free to be drawn."""
        return self.model_copy(update={"links": None})

    def _check_links(self) -> Self:
        if self.links is not None:
            if len(self.links) != len(self.cells):
                raise ValueError(f"links must list {len(self.cells)} cells, got {len(self.links)}")
            for k, (cell, links) in enumerate(zip(self.cells, self.links, strict=True)):
                check_links(cell, links, where=f"links[{k}]")
        return self


def require_specification(value: object, name: str = "spec") -> None:
    """Refuse what is no specification.

    Raises:
        WrongTypeError: says how to come by one.
    """
    wanted = "a specification (nnmass.load_spec reads one, nnmass.tracing.recognise finds that of a model)"
    require_type(value, Specification, name, wanted)


def check_seed(seed: int) -> None:
    """Refuse a seed that not every generator takes.

    Raises:
        InvalidValueError: it lies outside 0 … 2⁶³ - 1.
    """
    if not 0 <= seed < 2**63:
        raise InvalidValueError(f"seed must lie in 0 … 2⁶³ - 1, got {plain(seed, limit=40)}")


def explain(error: ValidationError) -> str:
    """Say in one short line what pydantic found: key, problem and the value it got."""
    problems = _distinct(error.errors(include_url=False, include_context=False))
    said = "; ".join(_one_problem(**problem) for problem in problems[:_MOST_PROBLEMS])
    rest = len(problems) - _MOST_PROBLEMS
    return f"{said}; and {rest:,} more" if rest > 0 else said


def shown(value: object) -> str:
    """A value from outside in few characters.

    Examples:
        >>> shown("a"), shown(10**5000)
        ("'a'", 'a whole number of 5,001 digits')
    """
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return f"a whole number of {int(value.bit_length() * math.log10(2)) + 1:,} digits"
    return plain(repr(value), limit=_MOST_CHARACTERS)


def _distinct(problems: Sequence[Any]) -> list[dict[str, Any]]:
    """Of a value that fails every form it may take (a number, or one per cell) keep the closest complaint."""
    by_key: dict[object, list[dict[str, Any]]] = {}
    for problem in problems:
        by_key.setdefault(problem["loc"][:1], []).append(problem)
    return [max(same, key=_closeness) for same in by_key.values()]


def _closeness(problem: dict[str, Any]) -> tuple[bool, bool, int]:
    """Complaints that too few entries are left come last, then those about the value's kind; one entry's come first."""
    kind = problem["type"]
    return kind != "too_short", not kind.endswith("_type"), len(problem["loc"])


def _one_problem(*, loc: tuple[int | str, ...], msg: str, input: object, type: str, **_: object) -> str:
    forms = ("function-", "constrained-", "tuple[", "int[")  # pydantic's names for the forms of a value
    where = ".".join(
        plain(part, limit=_MOST_CHARACTERS)
        for i, part in enumerate(loc)
        if i == 0 or not (part == "int" or str(part).startswith(forms))
    )
    message = msg.removeprefix("Value error, ")
    if type == "value_error":
        return f"{where}: {message}" if where else message
    if type == "missing":
        return f"{where} is missing"
    message = message.removeprefix("Input ")
    return f"{where} {message[:1].lower() + message[1:]}, got {shown(input)}"

"""Models that pydantic validates, with a help text and a representation that a person can read."""

import inspect
from abc import ABC
from collections.abc import Sequence
from functools import cached_property
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from nnmass.representation import brief

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

_LONG = 60  # characters
_ENDS = {"ge": "[", "gt": "(", "le": "]", "lt": ")"}
_LAST = "links"  # a field for files rather than for people


class _Readable(ModelMetaclass):
    """The class of such models: ``dir`` of one, and so ``help``, lists what nnmass defines, and not pydantic's own."""

    def __dir__(self) -> list[str]:
        own = [base for base in self.__mro__ if base not in (*BaseModel.__mro__, ABC, Validated)]
        names = {name for base in own for name in vars(base) if not name.startswith("_") and name != "model_config"}
        return sorted(names)


class _Text:
    """Something that a signature shows as this text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _kind(hint: Any, limits: Sequence[Any]) -> _Text:
    """A type and its range: ``int [1…100]``."""
    found = [(name, limit) for one in limits for name in _ENDS if (limit := getattr(one, name, None)) is not None]
    lows, highs = ([(limit, _ENDS[name]) for name, limit in found if name in names] for names in ("ge gt", "le lt"))
    low, high = max(lows, default=("", "(")), min(highs, default=("", ")"))
    span = f" {low[1]}{_shown(low[0])}…{_shown(high[0])}{high[1]}" if found else ""
    return _Text(_written(hint) + span)


def _written(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return " | ".join(map(_written, get_args(hint)))
    return "None" if hint is NoneType else inspect.formatannotation(hint)


def _shown(limit: Any) -> str:
    return f"{limit:,}" if isinstance(limit, int) else str(limit)


def _default(field: FieldInfo) -> Any:
    """What a field is where it is not given; of a long list the ends."""
    if field.is_required():
        return inspect.Parameter.empty
    value = field.get_default(call_default_factory=True)
    long = isinstance(value, tuple) and len(repr(value)) > _LONG
    return _Text(f"({value[0]!r}, …, {value[-1]!r})") if long else value


class Validated(BaseModel, metaclass=_Readable):
    """An immutable model without unknown keys."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Give the class a signature of plain types and ranges: what must be given first."""
        hints = get_type_hints(cls)
        fields = {name: field for name, field in cls.model_fields.items() if name != "family"}
        ordered = sorted(fields, key=lambda name: (not fields[name].is_required(), name == _LAST))
        shown = [(name, _default(fields[name]), _kind(hints[name], fields[name].metadata)) for name in ordered]
        keyword = inspect.Parameter.KEYWORD_ONLY
        cls.__signature__ = inspect.Signature(
            [inspect.Parameter(name, keyword, default=default, annotation=kind) for name, default, kind in shown]
        )

    __repr__ = __str__ = brief

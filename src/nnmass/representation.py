"""Representations of results that fit into a few lines, however much they hold."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from nnmass.plain_text import plain

_WHOLE, _PART, _LEAF = 360, 110, 60  # characters: of a result, of a result within one, of a value
_FEW = 8  # entries that are shown one by one
_TEXT = (str, bytes, PurePath)


def brief(result: Any) -> str:
    """Return the fields of a result, each in few characters: for a class to have as its ``__repr__``.

    Examples:
        >>> @dataclasses.dataclass
        ... class Losses:
        ...     name: str
        ...     values: tuple[float, ...]
        ...
        ...     __repr__ = brief
        >>> Losses("train", (0.123456789, 2.0)), Losses("test", tuple(range(100)))
        (Losses(name='train', values=(0.123457, 2)), Losses(name='test', values=(100 values)))
    """
    return _result(result, _WHOLE)


def _result(result: Any, room: int) -> str:
    shown, left = [], room - len(type(result).__name__)
    for name, value in _fields(result):
        part = f"{name}={_value(value)}"
        if len(part) + 2 > left - 3:
            shown.append("…")
            break
        shown.append(part)
        left -= len(part) + 2
    return f"{type(result).__name__}({', '.join(shown)})"


def _fields(result: Any) -> Iterator[tuple[str, Any]]:
    """Names and values; of a validated model without what was left out, and without its family, which is its name."""
    if dataclasses.is_dataclass(result):
        for field in dataclasses.fields(result):
            yield field.name, getattr(result, field.name)
        return
    for name, field in type(result).model_fields.items():
        value = getattr(result, name)
        if name != "family" and not (value is None and field.default is None):
            yield name, value


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _listed([f"{_value(key)}: {_value(one)}" for key, one in _first(value.items())], len(value), "{}")
    if isinstance(value, Collection) and not isinstance(value, _TEXT) and not hasattr(value, "shape"):
        name = type(value).__name__ if hasattr(value, "_fields") else ""
        return _listed([_value(one) for one in _first(value)], len(value), "()", name)
    if dataclasses.is_dataclass(value) or hasattr(type(value), "model_fields"):
        return _result(value, _PART)
    return _leaf(value)


def _leaf(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, int):
        return plain(value, limit=_LEAF)
    if isinstance(value, _TEXT):
        return repr(plain(value, limit=_LEAF))
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}({'…' if shape is None else '×'.join(map(str, shape))})"


def _first(values: Collection[Any]) -> list[Any]:
    """All of few values; of many those that are not shown anyway are not looked at."""
    return list(values) if len(values) <= _FEW else []


def _listed(shown: list[str], count: int, brackets: str, name: str = "") -> str:
    whole = ", ".join(shown)
    if len(shown) != count or len(whole) > _LEAF:
        whole = f"{count:,} value{'s' * (count != 1)}"
    elif count == 1 and brackets == "()" and not name:
        whole += ","
    return f"{name}{brackets[0]}{whole}{brackets[1]}"

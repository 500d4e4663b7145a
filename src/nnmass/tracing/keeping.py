"""Containers whose contents are put back after somebody else's code has run."""

import copy
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_MAPPINGS = (dict, OrderedDict, defaultdict)
_CONTAINERS = {*_MAPPINGS, list, set, deque}


@contextmanager
def contents_kept(values: Iterable[Any]) -> Iterator[None]:
    """Put back what is in dictionaries, lists, sets and deques, and in those within them, as it was."""
    before: dict[int, tuple[Any, Any]] = {}
    _collect(values, before)
    try:
        yield
    finally:
        for container, contents in before.values():
            _put_back(container, contents)


def _collect(values: Iterable[Any], found: dict[int, tuple[Any, Any]]) -> None:
    pending = list(values)
    while pending:
        value = pending.pop()
        if type(value) is tuple:
            pending.extend(value)
        elif type(value) in _CONTAINERS and id(value) not in found:
            found[id(value)] = value, copy.copy(value)
            pending.extend(value.values() if type(value) in _MAPPINGS else value)


def _put_back(container: Any, contents: Any) -> None:
    if isinstance(container, list):
        container[:] = contents
    elif isinstance(container, deque):
        container.clear()
        container.extend(contents)
    else:
        container.clear()
        container.update(contents)

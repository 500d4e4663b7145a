"""What somebody else's code can reach, put back as it was after it has run: containers, objects, classes, globals."""

import functools
import sys
import threading
from argparse import Namespace
from collections import ChainMap, OrderedDict, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from torch import Tensor, nn

_OTHERS = {*sys.stdlib_module_names, "torch", "numpy", "scipy", "nnmass"}
"""Packages whose own state is none of the model's."""
_CONTAINERS = (OrderedDict, dict, list, set, deque)
_CONTAINERS = (OrderedDict, dict, list, set, deque)
_ATOMS = (Tensor, str, bytes, int, float, complex, BuiltinFunctionType, type(None))
_HOLDERS = (nn.Module, SimpleNamespace, Namespace, threading.local, ChainMap, UserDict, UserList)


class _Kept(NamedTuple):
    """How to put something back, and what it holds."""

    put_back: Callable[[], None]
    holds: Iterable[Any]


@contextmanager
def contents_kept(values: Iterable[Any], *, but: Iterable[Any] = ()) -> Iterator[None]:
    """Put back what these values hold, and what the code among them can reach by name, as it was.

    Containers get their contents again, objects and classes their attributes, functions the globals, defaults and
    variables around them that they name, and the functions that those lead to.  Caches of functions that were filled
    are emptied.  Tensors that were written in place are another matter.

    Args:
        values: where to begin.
        but: what somebody else puts back.
    """
    kept: list[_Kept] = []
    empty: list[Any] = []  # most containers of a module are
    seen = {id(value): value for value in but}  # values are kept, so that their ids stay theirs
    pending = list(values)
    while pending:
        value = pending.pop()
        if issubclass(type(value), _ATOMS) or id(value) in seen:  # not its __class__, which may be a proxy's
            continue
        seen[id(value)] = value
        if issubclass(type(value), _CONTAINERS) and not _kind(value).__len__(value):
            empty.append(value)
            continue
        found = _keep(value)
        if found is not None:
            kept.append(found)
            pending.extend(found.holds)
    try:
        yield
    finally:
        for value in empty:
            if _kind(value).__len__(value):
                _kind(value).clear(value)
        for found in kept:
            found.put_back()


@contextmanager
def flags_kept() -> Iterator[None]:
    """Put back PyTorch's own settings, those alone that have changed."""
    before = [read() for read, _ in _FLAGS]
    try:
        yield
    finally:
        for (read, write), setting in zip(_FLAGS, before, strict=True):
            if read() != setting:
                write(setting)


_FLAGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    *(
        (partial(getattr, owner, name), partial(setattr, owner, name))
        for owner, name in ((torch.backends.cudnn, "benchmark"), (torch.backends.cudnn, "deterministic"))
    ),
)


def _keep(value: Any) -> _Kept | None:
    for kinds, keep in _KINDS:
        if issubclass(type(value), kinds):
            return keep(value)
    holds_state = issubclass(type(value), _HOLDERS) or _is_users(type(value).__module__)
    return _object(value) if holds_state else None


def _nothing() -> None:
    pass


def _is_users(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] not in _OTHERS


def _container(value: Any) -> _Kept:
    """A dictionary, list, set or deque, or one of a class made of it, whose own methods are not asked."""
    base = _kind(value)
    mapping = issubclass(base, dict)
    before = list(base.items(value) if mapping else base.__iter__(value))
    refill = base.update if base in (OrderedDict, dict, set) else base.extend

    def put_back() -> None:
        now = list(base.items(value) if mapping else base.__iter__(value))
        if not _same(now, before, pairs=mapping):
            base.clear(value)
            refill(value, before)

    return _Kept(put_back, [held for _, held in before] if mapping else before)


def _kind(container: Any) -> Any:
    return next(kind for kind in _CONTAINERS if issubclass(type(container), kind))


def _same(now: list[Any], before: list[Any], *, pairs: bool) -> bool:
    if len(now) != len(before):
        return False
    if pairs:
        return all(a[0] is b[0] and a[1] is b[1] for a, b in zip(now, before, strict=True))
    return all(a is b for a, b in zip(now, before, strict=True))


def _namespace(
    names: MutableMapping[str, Any], write: Callable[[str, Any], None], remove: Callable[[str], None]
) -> Callable[[], None]:
    """Put back attributes or variables, those alone that have changed."""
    before = dict(names)

    def put_back() -> None:
        for name in [name for name in names if name not in before]:
            remove(name)
        for name, held in before.items():
            if name not in names or names[name] is not held:
                write(name, held)

    return put_back


def _object(value: Any) -> _Kept:
    attributes = getattr(value, "__dict__", {})
    slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
    before = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    of_attributes = _namespace(attributes, attributes.__setitem__, attributes.__delitem__)

    def put_back() -> None:
        of_attributes()
        for name in slots:
            if name in before:
                object.__setattr__(value, name, before[name])
            elif hasattr(value, name):
                object.__delattr__(value, name)

    return _Kept(put_back, [*attributes.values(), *before.values(), type(value)])


def _slots(kind: type) -> list[str]:
    """Names of the slots that a class adds, as its instances have them."""
    found = kind.__dict__.get("__slots__", ())
    names = [name for name in ([found] if isinstance(found, str) else found) if name not in ("__dict__", "__weakref__")]
    private = [name.startswith("__") and not name.endswith("__") for name in names]
    own = f"_{kind.__name__.lstrip('_')}"
    return [own + name if hidden else name for name, hidden in zip(names, private, strict=True)]


def _class(value: type) -> _Kept:
    if not _is_users(value.__module__):
        return _Kept(_nothing, [])

    def written(name: str, held: Any) -> None:
        type.__setattr__(value, name, held)

    def removed(name: str) -> None:
        type.__delattr__(value, name)

    attributes: Any = value.__dict__
    return _Kept(_namespace(attributes, written, removed), [*attributes.values(), *value.__mro__[1:], type(value)])


def _cached(value: "functools._lru_cache_wrapper[Any]") -> _Kept:
    """The cache of a function cannot be put back, but emptied where it was filled."""
    before = value.cache_info()

    def put_back() -> None:
        if value.cache_info()[:2] != before[:2]:
            value.cache_clear()

    return _Kept(put_back, [value.__wrapped__])


def _function(value: FunctionType) -> _Kept:
    """A function: what its code names among the globals, of modules what it names within, and what encloses it."""
    if not _is_users(value.__module__):
        return _Kept(_nothing, [])
    named = set(_named(value.__code__))
    parts = [_variables(value.__globals__, named)]
    for module in [held for name, held in value.__globals__.items() if name in named and isinstance(held, ModuleType)]:
        if _is_users(module.__name__):
            parts.append(_variables(vars(module), named))
    parts += [_cell(cell) for cell in value.__closure__ or ()]
    attributes = _namespace(value.__dict__, value.__dict__.__setitem__, value.__dict__.__delitem__)

    def put_back() -> None:
        attributes()
        for part in parts:
            part.put_back()

    defaults = [value.__defaults__, value.__kwdefaults__, *value.__dict__.values()]
    return _Kept(put_back, [*defaults, *(held for part in parts for held in part.holds)])


def _named(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named(constant)


def _variables(names: dict[str, Any], named: set[str]) -> _Kept:
    """Variables of a module, those that are named alone."""
    before: Mapping[str, Any] = {name: names[name] for name in named if name in names}

    def put_back() -> None:
        for name in named:
            if name in before and names.get(name) is not before[name]:
                names[name] = before[name]
            elif name not in before:
                names.pop(name, None)

    return _Kept(put_back, before.values())


def _cell(cell: CellType) -> _Kept:
    try:
        before = cell.cell_contents
    except ValueError:  # not yet filled
        return _Kept(_nothing, [])

    def put_back() -> None:
        cell.cell_contents = before

    return _Kept(put_back, [before])


_KINDS: tuple[tuple[type | tuple[type, ...], Callable[[Any], _Kept]], ...] = (
    ((tuple, frozenset), lambda value: _Kept(_nothing, value)),
    (_CONTAINERS, _container),
    ((WeakKeyDictionary, WeakValueDictionary), lambda value: _Kept(_nothing, [value.data])),
    (FunctionType, _function),
    ((staticmethod, classmethod), lambda value: _Kept(_nothing, [value.__func__])),
    (functools._lru_cache_wrapper, _cached),
    (MethodType, lambda value: _Kept(_nothing, [value.__func__, value.__self__])),
    (property, lambda value: _Kept(_nothing, [value.fget])),
    (functools.partial, lambda value: _Kept(_nothing, [value.func, value.args, value.keywords])),
    (type, _class),
)
"""What is put back, and how."""

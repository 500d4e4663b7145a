"""Tensors that do not depend on the input: whose numbers are known, which are drawn, and as they were afterwards."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from nnmass.tracing.without_memory import on_meta, run_on_meta, tensors_of


class Constants:
    """What is known of the numbers of constants.

    Random numbers are not drawn: what would hold them has unknown numbers, as parameters do, so that nothing that
    follows from them depends on the random state.  A tensor that cannot be replaced, because it is written in place,
    is remembered as unknown.  Constants that are written, and that were there before, are put back.
    """

    def __init__(self) -> None:
        self._unknown: dict[int, Tensor] = {}
        self._drawn: dict[int, Tensor] = {}  # tensors are kept, so that their ids stay theirs
        self._made: set[int] = set()
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def arguments(self, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Arguments of an operator with tensors without memory for unknown ones, unless it writes or views them."""
        if draws(func):
            kwargs = {name: None if isinstance(v, torch.Generator) else v for name, v in kwargs.items()}
        if not self._unknown or _is_view(func):
            return args, kwargs
        kept = {id(tensor) for tensor in written_by(func, args, kwargs)}

        def known(tensor: Tensor) -> Tensor:
            if id(tensor) in kept or not self.is_unknown(tensor):
                return tensor
            found = on_meta(tensor)
            if self.is_drawn(tensor):
                self._drawn[id(found)] = found
            return found

        found: tuple[Any, Any] = tree_map_only(Tensor, known, (args, kwargs))
        return found

    def draw(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], written: Sequence[Tensor]) -> Any:
        """Run an operator that draws random numbers, without drawing any."""
        if any(argument.name == "device" for argument in func._schema.arguments):
            kwargs = {**kwargs, "device": torch.device("meta")}
        out = run_on_meta(func, args, kwargs, list(tensors_of([*args, *kwargs.values()])))
        self.lose(written)
        self.note_drawn([*tensors_of([out]), *written])
        return out

    def lose(self, written: Iterable[Tensor]) -> None:
        """Numbers that are not known were written to these."""
        self._unknown.update({_storage(tensor): tensor for tensor in written if not tensor.is_meta})

    def note_drawn(self, tensors: Iterable[Tensor]) -> None:
        """These depend on random numbers."""
        self._drawn.update({id(tensor) if tensor.is_meta else _storage(tensor): tensor for tensor in tensors})

    def is_unknown(self, tensor: Tensor) -> bool:
        """Whether the numbers of a tensor that has memory are not those that it should hold."""
        return not tensor.is_meta and bool(self._unknown) and _storage(tensor) in self._unknown

    def is_drawn(self, tensor: Tensor) -> bool:
        """Whether a tensor depends on random numbers."""
        return bool(self._drawn) and (id(tensor) if tensor.is_meta else _storage(tensor)) in self._drawn

    def made(self, outs: Iterable[Tensor], given: Iterable[Tensor]) -> None:
        """These are new, but for views of what was given."""
        found = {_storage(out) for out in outs if not out.is_meta}
        self._made |= found - {_storage(tensor) for tensor in given if not tensor.is_meta}

    def will_be_written(self, tensors: Iterable[Tensor]) -> None:
        """Keep the numbers of tensors that were there before."""
        for tensor in tensors:
            if not tensor.is_meta and _storage(tensor) not in self._made and id(tensor) not in self._before:
                self._before[id(tensor)] = tensor, tensor.clone()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Put back what was written in the meantime, the last first."""
        try:
            yield
        finally:
            for tensor, before in reversed(self._before.values()):
                tensor.copy_(before)


def written_by(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that an operator changes."""
    if not func._schema.is_mutable:
        return []
    changed = [k for k, a in enumerate(func._schema.arguments) if a.alias_info is not None and a.alias_info.is_write]
    names = [func._schema.arguments[k].name for k in changed]
    given = [args[k] if k < len(args) else kwargs.get(name) for k, name in zip(changed, names, strict=True)]
    return list(tensors_of(given))


def draws(func: Any) -> bool:
    """Whether an operator draws random numbers."""
    return torch.Tag.nondeterministic_seeded in func.tags


def _is_view(func: Any) -> bool:
    infos = [returned.alias_info for returned in func._schema.returns]
    return any(info is not None and not info.is_write for info in infos)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)

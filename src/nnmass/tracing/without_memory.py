"""Running operators on tensors without memory, beside constants whose numbers stay known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from nnmass.errors import ResourceError

_ALIKE = ("relu", "silu", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "sigmoid", "tanh", "gelu", "elu")
_SHAPE_KEEPING = {f"aten::{name}{suffix}" for name in _ALIKE for suffix in ("", "_")} | {"aten::native_batch_norm"}
"""Operators whose result has the shape of their first argument: those that are not worth a run on meta tensors."""
_LARGEST = 2**22
LARGEST_CONSTANT = 2**24
"""Numbers of a constant that are kept."""
_MOST_WORK = 2**31  # numbers that are read and written altogether
META = torch.device("meta")
_NEED_NUMBERS = ("on meta tensors", "meta device", "unallocated storage", "meta Device", "Tensor.__format__")


def run_on_meta(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], tensors: Sequence[Tensor]) -> Any:
    """Run an operator on meta tensors of the same sizes; what is written to a constant is not written."""
    mutable, target = func._schema.is_mutable, args[0] if args else None
    if mutable and isinstance(target, Tensor) and not target.is_meta:
        return target
    if func._schema.name in _SHAPE_KEEPING and isinstance(target, Tensor) and target.is_meta:
        return _like(func, target)
    if not all(tensor.is_meta for tensor in tensors):
        args, kwargs = tree_map_only(Tensor, on_meta, (_masks_as_indices(func, args), kwargs))
    if kwargs.get("device") is not None:
        kwargs = {**kwargs, "device": torch.device("meta")}
    return func(*args, **kwargs)


def run_on_constants(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run an operator on constants; indices and masks that it makes on the meta device keep their numbers."""
    out = func(*args, **kwargs)
    if kwargs.get("device") == META and _chooses(out):
        return func(*args, **{**kwargs, "device": torch.device("cpu")})
    return out


class Budget:
    """How many numbers of constants are known.

    A graph file can ask for any number of them in a few bytes, such as a tensor that is doubled forty times.
    """

    def __init__(self) -> None:
        self._left = _MOST_WORK

    def too_large(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], tensors: Sequence[Tensor]) -> Any:
        """What an operator gives, without its numbers, if these are too many; else None.

        Raises:
            ResourceError: they are too many, and how many they are cannot be told.
        """
        if kwargs.get("device") == META:
            return None
        sized = on_meta_if_possible(func, args, kwargs)
        work = sum(tensor.numel() for tensor in (*tensors, *tensors_of([sized])))
        if work <= min(LARGEST_CONSTANT, self._left) and _repeats(func, args) <= LARGEST_CONSTANT:
            self._left -= work
            return None
        if sized is None:
            name = func._schema.name.removeprefix("aten::")
            raise ResourceError(f"{name} of constants makes too many numbers; at most {LARGEST_CONSTANT:,} are kept")
        return sized


def on_meta_if_possible(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The result without its numbers; None where its size depends on numbers."""
    args, named = tree_map_only(Tensor, on_meta, (args, dict(kwargs)))
    if any(argument.name == "device" for argument in func._schema.arguments):
        named["device"] = META
    try:
        return func(*args, **named)
    except (NotImplementedError, RuntimeError, TypeError, ValueError):  # it runs, or fails, on numbers
        return None


def _repeats(func: Any, args: Sequence[Any]) -> int:
    """Numbers that an operator makes which is told by others how often to repeat each."""
    tensors = [arg for arg in args if isinstance(arg, Tensor)] if "repeat_interleave" in func._schema.name else []
    return int(tensors[-1].sum()) if tensors and not tensors[-1].is_floating_point() else 0


def needs_numbers(error: Exception) -> bool:
    """Whether an error says that meta tensors have no numbers."""
    return isinstance(error, NotImplementedError) or any(words in str(error) for words in _NEED_NUMBERS)


def tensors_of(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among an operator's arguments or results, those in lists included."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (item for item in value if isinstance(item, Tensor))


class KnownNumbers(TorchFunctionMode):
    """Keeps the numbers that a model writes down: ``x[:, [0, 2]]``, ``torch.tensor([0, 2], device=x.device)``."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of PyTorch, with lists of indices as tensors that have memory."""
        kwargs = kwargs or {}
        if func in (Tensor.__getitem__, Tensor.__setitem__) and args[0].is_meta:
            chosen = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (args[0], tuple(torch.tensor(i) if _is_list(i) else i for i in chosen), *args[2:])
        out = func(*args, **kwargs)
        if (
            func in (torch.tensor, torch.as_tensor)
            and not isinstance(args[0], Tensor)
            and out.is_meta
            and _chooses(out)
        ):
            return func(*args, **{**kwargs, "device": torch.device("cpu")})
        return out


def _is_list(index: Any) -> bool:
    return isinstance(index, list) and bool(index) and all(isinstance(i, bool | int) for i in index)


def _chooses(tensor: Any) -> bool:
    """Whether it may be an index or a mask; other constants stay where the data is, as operators ask for."""
    return isinstance(tensor, Tensor) and not tensor.is_floating_point() and tensor.numel() <= _LARGEST


def _masks_as_indices(func: Any, args: Sequence[Any]) -> Sequence[Any]:
    """Known numbers of the positions of a known mask, of which meta tensors only know the length."""
    if func._schema.name not in ("aten::index", "aten::index_put", "aten::index_put_"):
        return args
    return (args[0], [_as_indices(index) for index in args[1]], *args[2:])


def _as_indices(index: Tensor | None) -> Tensor | None:
    known = index is not None and not index.is_meta and index.dtype == torch.bool and index.ndim == 1
    return index.nonzero().squeeze(1) if known and index is not None else index


def _like(func: Any, tensor: Tensor) -> Any:
    """The result of an operator that keeps the shape; the statistics of a norm in evaluation mode are empty."""
    if func._schema.is_mutable:
        return tensor
    out = torch.empty_like(tensor)
    return out if len(func._schema.returns) == 1 else (out, tensor.new_empty(0), tensor.new_empty(0))


def on_meta(tensor: Tensor) -> Tensor:
    """A tensor without memory of the same sizes."""
    if tensor.is_meta:
        return tensor
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")

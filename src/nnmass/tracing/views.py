"""Which tensors share their memory with one that is changed in place."""

import numpy as np
from torch import Tensor

_LARGEST = 2**28  # numbers whose overlap is looked at one by one


class Views:
    """The tensors that were seen, by the tensor that they are views of."""

    def __init__(self) -> None:
        self._seen: list[Tensor] = []
        self._of: dict[int, list[Tensor]] = {}

    def see(self, tensor: Tensor) -> None:
        """Remember a tensor.  Whether it is a view is known only after the operator that makes it."""
        self._seen.append(tensor)

    def touched_with(self, changed: Tensor) -> list[Tensor]:
        """Other tensors, the base first, that hold some of the numbers of one."""
        for tensor in self._seen:
            if tensor._base is not None:
                self._of.setdefault(id(tensor._base), []).append(tensor)
        self._seen.clear()
        base = changed if changed._base is None else changed._base
        sharing = [base, *self._of.get(id(base), [])]
        return [tensor for tensor in sharing if tensor is not changed and _overlap(tensor, changed)]


def same_numbers(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors that share memory hold the same numbers in the same order."""
    laid_out = a.is_contiguous() and b.is_contiguous()
    return laid_out and (a.storage_offset(), a.numel()) == (b.storage_offset(), b.numel())


def _overlap(a: Tensor, b: Tensor) -> bool:
    first, last = max(a.storage_offset(), b.storage_offset()), min(_last(a), _last(b))
    if first > last or same_numbers(a, b):
        return first <= last
    if max(_last(a), _last(b)) > _LARGEST:
        return True  # perhaps
    memory = np.zeros(max(_last(a), _last(b)) + 1, dtype=np.bool_)
    _part(memory, a)[...] = True
    return bool(_part(memory, b).any())


def _last(tensor: Tensor) -> int:
    steps = ((size - 1) * stride for size, stride in zip(tensor.size(), tensor.stride(), strict=True))
    return int(tensor.storage_offset() + sum(steps)) if tensor.numel() else -1


def _part(
    memory: np.ndarray[tuple[int], np.dtype[np.bool_]], tensor: Tensor
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.lib.stride_tricks.as_strided(memory[tensor.storage_offset() :], tensor.size(), tensor.stride())

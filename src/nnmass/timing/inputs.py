"""Random inputs of a module: of its precision, or of the types that it needs."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from nnmass.errors import InvalidValueError
from nnmass.memory import require_memory
from nnmass.plain_text import plain

InputType: TypeAlias = torch.dtype | str | None
"""Type of an input: PyTorch's, or ``"int"``, ``"float"``, ``"bool"`` or one of PyTorch's names; None: found out."""

_NAMES = {"int": torch.int64, "bool": torch.bool}
_LARGEST = 2**31


def random_inputs(
    module: nn.Module, shapes: Sequence[tuple[int, ...]], batch: int, types: Sequence[InputType] = ()
) -> list[Tensor]:
    """Draw inputs: normal numbers, ids that the smallest embedding knows, or truth values.

    Args:
        module: that reads them; numbers have its precision.
        shapes: of the inputs, without the batch.
        batch: inputs at once.
        types: of the inputs; by default floating point.

    Raises:
        InvalidValueError: an unknown type, another number of types, or a size beyond 2³¹.
        ResourceError: they do not fit into memory.
    """
    wanted = list(types) or [None] * len(shapes)
    if len(wanted) != len(shapes):
        raise InvalidValueError(f"types of inputs must be as many as shapes, {len(shapes)}, got {len(wanted)}")
    sizes = [(batch, *shape) for shape in shapes]
    if max((number for size in sizes for number in size), default=0) >= _LARGEST:
        raise InvalidValueError(f"sizes of inputs must be below 2**31, got {', '.join(map(str, sizes))}")
    own = precision_of(module)
    dtypes = [_dtype(kind, own) for kind in wanted]
    numbers = [_count(size) for size in sizes]
    require_memory(sum(4 * n + n * d.itemsize for n, d in zip(numbers, dtypes, strict=True)), f"inputs of {sizes}")
    generator = torch.Generator().manual_seed(0)
    ids = min((m.num_embeddings for m in module.modules() if isinstance(m, nn.Embedding)), default=2)
    return [_drawn(size, dtype, ids, generator) for size, dtype in zip(sizes, dtypes, strict=True)]


def precision_of(module: nn.Module) -> torch.dtype:
    """Type of the first floating-point parameter or buffer; float32 without one."""
    tensors = [*module.parameters(), *module.buffers()]
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)


def _dtype(kind: InputType, own: torch.dtype) -> torch.dtype:
    if kind is None or kind == "float":
        return own
    found = _NAMES.get(kind, getattr(torch, kind, None)) if isinstance(kind, str) else kind
    if not isinstance(found, torch.dtype):
        raise InvalidValueError(f"type of an input must be int, float, bool or one of PyTorch's, got {plain(kind)!r}")
    return found


def _count(size: Sequence[int]) -> int:
    count = 1
    for number in size:
        count *= number
    return count


def _drawn(size: Sequence[int], dtype: torch.dtype, ids: int, generator: torch.Generator) -> Tensor:
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(size, generator=generator).to(dtype)
    return torch.randint(2 if dtype == torch.bool else ids, size, generator=generator).to(dtype)

"""Random inputs of a module: of its precision, or of the types that it needs."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnmass.memory import require_memory
from nnmass.tracing.input_types import InputType, checked_size, checked_types


def random_inputs(
    module: nn.Module,
    shapes: Sequence[tuple[int, ...]],
    batch: int,
    types: Sequence[InputType | str] = (),
    *,
    seed: int = 0,
) -> list[Tensor]:
    """Draw inputs: normal numbers, ids that the smallest embedding knows, or truth values.

    Args:
        module: that reads them; numbers have its precision.
        shapes: of the inputs, without the batch.
        batch: inputs at once.
        types: of the inputs, as of `analyze`; by default floating point.
        seed: draws them.

    Raises:
        InvalidValueError: an unknown type, another number of types, or a size that is not valid.
        ResourceError: they do not fit into memory.
    """
    own = precision_of(module)
    dtypes = [own if dtype is None else dtype for dtype in checked_types(types or None, len(shapes))]
    sizes = [checked_size((batch, *shape)) for shape in shapes]
    needed = sum((4 + dtype.itemsize) * math.prod(size) for size, dtype in zip(sizes, dtypes, strict=True))
    require_memory(needed, f"inputs of {sizes}")
    generator = torch.Generator().manual_seed(seed)
    ids = min((m.num_embeddings for m in module.modules() if isinstance(m, nn.Embedding)), default=2)
    return [_drawn(size, dtype, ids, generator) for size, dtype in zip(sizes, dtypes, strict=True)]


def precision_of(module: nn.Module) -> torch.dtype:
    """Type of the first floating-point parameter or buffer; float32 without one."""
    tensors = [*module.parameters(), *module.buffers()]
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)


def _drawn(size: Sequence[int], dtype: torch.dtype, ids: int, generator: torch.Generator) -> Tensor:
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(size, generator=generator).to(dtype)
    return torch.randint(2 if dtype == torch.bool else ids, size, generator=generator).to(dtype)

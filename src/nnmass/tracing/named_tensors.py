"""Tensors of a graph file as parameters and buffers of a module, under the names that the file gives them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nnmass.errors import ModelError


def register_tensors(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Register parameters and buffers by name; ``features.0.weight`` becomes one of a submodule ``features.0``.

    Args:
        module: where to.
        tensors: an ``nn.Parameter`` becomes a parameter; every other tensor a buffer.

    Returns:
        the name in ``named_parameters()`` or ``named_buffers()`` of each, which differs where PyTorch cannot use it.

    Raises:
        ModelError: two names are too much alike.
    """
    return {name: _register(module, name, tensor) for name, tensor in tensors.items()}


def tensors_of(module: nn.Module) -> dict[str, Any]:
    """Parameters and buffers by name, shared ones under each of their names."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _register(module: nn.Module, name: str, tensor: torch.Tensor) -> str:
    for path in (name.split("."), ["/" + name.replace(".", "/")]):
        owner = _submodule(module, path[:-1])
        if owner is not None and path[-1] and not hasattr(owner, path[-1]):
            if isinstance(tensor, nn.Parameter):
                owner.register_parameter(path[-1], tensor)
            else:
                owner.register_buffer(path[-1], tensor)
            return ".".join(path)
    raise ModelError(f"two tensors are called {name!r}")


def _submodule(module: nn.Module, path: list[str]) -> nn.Module | None:
    """Find or make a submodule; None where its path leads to something else."""
    for part in path:
        child = getattr(module, part, None) if part else module
        if child is None:
            child = nn.Module()
            module.add_module(part, child)
        elif not part or not isinstance(child, nn.Module):
            return None
        module = child
    return module

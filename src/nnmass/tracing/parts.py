"""A module tree for a graph file: tensors under the names that the file gives them, operators at their places."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from nnmass.errors import ModelError

_DEEPEST = 100  # modules within each other, which PyTorch walks through by recursion


class Part(nn.Module):
    """A place in the tree: it holds tensors, and what is computed here is seen as this module's work by hooks."""

    def forward(self, function: Callable[[], Any]) -> Any:
        """Call a function."""
        return function()


def part_at(module: nn.Module, path: str) -> nn.Module:
    """Find or make the part with that path, or one as like it as PyTorch allows.

    Raises:
        ModelError: its path leads through a tensor.
    """
    part = _walk(module, path.split(".")) or _walk(module, ["/" + path.replace(".", "/")])
    if part is None:
        raise ModelError(f"{path!r} is both a place and a tensor")
    return part


def register_tensors(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Register parameters and buffers by name; ``features.0.weight`` becomes one of a part ``features.0``.

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
        owner = _walk(module, path[:-1])
        if owner is not None and path[-1] and not hasattr(owner, path[-1]):
            if isinstance(tensor, nn.Parameter):
                owner.register_parameter(path[-1], tensor)
            else:
                owner.register_buffer(path[-1], tensor)
            return ".".join(path)
    raise ModelError(f"two tensors are called {name!r}")


def _walk(module: nn.Module, path: list[str]) -> nn.Module | None:
    """Follow a path, making what is not there; None where it leads to something else, or too far."""
    if len(path) > _DEEPEST:
        return None
    for name in path:
        child = getattr(module, name, None) if name else module
        if child is None:
            child = Part()
            module.add_module(name, child)
        elif not name or not isinstance(child, nn.Module):
            return None
        module = child
    return module

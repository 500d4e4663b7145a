"""A model on loan: parameters without memory, evaluation mode, and everything as it was afterwards."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nnmass.errors import ModelError
from nnmass.tracing.construction import random_states, random_states_kept
from nnmass.tracing.keeping import contents_kept, flags_kept
from nnmass.tracing.without_memory import LARGEST_CONSTANT


@contextmanager
def borrowed(model: nn.Module) -> Iterator[None]:
    """Replace parameters by meta tensors and other tensors by copies, and evaluate; all is restored at the end.

    Attributes that the forward pass sets are restored too, and so is what it keeps elsewhere: in containers, in objects
    that are no modules, in classes, in variables of a Python module, in caches of functions.  The random states of
    PyTorch, Python and NumPy, and PyTorch's settings, are as before.

    Raises:
        ModelError: a parameter is not initialised yet (a lazy module).
    """
    modules = list(model.modules())
    before = [(module, dict(module.__dict__)) for module in modules]
    scripted = [(module, module.training) for module in modules if isinstance(module, torch.jit.ScriptModule)]
    shared: dict[int, Tensor] = {}
    reachable = [value for module, attributes in before for value in (type(module), *attributes.values())]
    with random_states_kept(), flags_kept(), contents_kept(reachable, but=modules):
        try:
            for module in modules:
                _lend(module, shared)
            for module, _ in scripted:
                module.training = False
            yield
        finally:
            for module, attributes in before:
                module.__dict__.clear()
                module.__dict__.update(attributes)
            for module, mode in scripted:
                module.training = mode


def _lend(module: nn.Module, shared: dict[int, Tensor]) -> None:
    if any(p is not None and is_lazy(p) for p in module._parameters.values()):
        name = type(module).__name__
        raise ModelError(
            f"{name} has parameters of unknown shape (a lazy module): run the model once on an input first"
        )
    attributes = module.__dict__
    attributes |= {key: _lent(value, shared) for key, value in attributes.items() if issubclass(type(value), Tensor)}
    for name in ("_parameters", "_buffers"):
        attributes[name] = {key: _lent(tensor, shared) for key, tensor in getattr(module, name).items()}
    attributes["training"] = False


def _lent(tensor: Tensor | None, shared: dict[int, Tensor]) -> Tensor | None:
    """What stands for a tensor: the same for every place that it has in the model."""
    if tensor is not None and id(tensor) not in shared:
        shared[id(tensor)] = _stand_in(tensor)
    return shared.get(id(tensor))


def _stand_in(tensor: Tensor) -> Tensor:
    if isinstance(tensor, nn.Parameter):
        return _without_memory(tensor)
    if tensor.numel() <= LARGEST_CONSTANT:
        return tensor.detach().clone()
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")


def _without_memory(parameter: Tensor) -> nn.Parameter:
    meta = torch.empty_strided(parameter.size(), parameter.stride(), dtype=parameter.dtype, device="meta")
    return nn.Parameter(meta, requires_grad=False)


class ModulePath:
    """The module that is running.

    Attributes:
        current: modules from the outermost to the innermost, with their paths.
        failed: path of the module in which an exception arose, if one did.
        drew: path of the first module that drew from Python's or NumPy's random numbers, if one did.

    Args:
        model: its submodules are named.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {id(module): name for name, module in model.named_modules()}
        self.current: list[tuple[str, nn.Module]] = []
        self.failed: str | None = None
        self.drew: str | None = None
        self._random = random_states()
        self._outside = sys.exception()

    @property
    def name(self) -> str:
        """Path of the innermost module; of the model itself its class."""
        if not self.current:
            return "the model"
        name, module = self.current[-1]
        return name or type(module).__name__

    def within(self, kind: type[nn.Module] | tuple[type[nn.Module], ...]) -> bool:
        """Whether a module of that kind is running."""
        return any(isinstance(module, kind) for _, module in self.current)

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Follow every call of a module."""
        enter = nn.modules.module.register_module_forward_pre_hook(self._enter)
        leave = nn.modules.module.register_module_forward_hook(self._leave, always_call=True)
        try:
            yield
        finally:
            enter.remove()
            leave.remove()

    def _enter(self, module: nn.Module, _: Any) -> None:
        name = self._names.get(id(module))
        if name is None:
            name = f"{self.current[-1][0]}.{type(module).__name__}" if self.current else type(module).__name__
        self._look_for_draws(module)
        self.current.append((name, module))

    def _leave(self, module: nn.Module, _: Any, __: Any) -> None:
        if self.failed is None and sys.exception() is not self._outside:
            self.failed = self.name
        self._look_for_draws(module)
        self.current.pop()

    def _look_for_draws(self, module: nn.Module) -> None:
        """Before a module is entered or left: whether the one that runs has drawn; PyTorch's own draw elsewhere."""
        own = [(name, m) for name, m in self.current if not _is_torchs(m)]
        if self.drew is None and not _is_torchs(module) and random_states() != self._random:
            name, drawing = (own or self.current or [("", module)])[-1]
            self.drew = name or type(drawing).__name__


def _is_torchs(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.")

"""A model on loan with its numbers: it runs in evaluation mode, and everything is as it was afterwards."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nnmass.errors import ModelError
from nnmass.tracing.construction import random_states_kept
from nnmass.tracing.keeping import contents_kept

_OPAQUE = (type, ModuleType, FunctionType, MethodType, nn.Module, str, bytes, int, float, complex, bool, type(None))


def check_runs(model: nn.Module) -> None:
    """Refuse a module whose layers cannot be seen or that has no numbers.

    Raises:
        ModelError: it is compiled, lazy, or on the meta device.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            f"{type(model).__name__} is a torch.jit module, which runs as one compiled graph: give the Python "
            "module that it was made of"
        )
    for path, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(tensor):
            raise ModelError(f"{path} has an unknown shape (a lazy module): run the model once on an input first")
        if tensor.is_meta:
            raise ModelError(f"{path} is on the meta device and has no numbers: load or draw the weights first")


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module within one that runs it on several devices, or compiled."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):  # what torch.compile gives
            model = model._orig_mod  # type: ignore[assignment]
        else:
            return model


@contextmanager
def lent(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Lend a model for one forward pass in evaluation mode.

    Gives copies of parameters and buffers, by name, for `torch.func.functional_call`.  Attributes of the modules and of
    the objects that they hold, contents of containers, tensors that are changed in place, modes and random states are
    restored at the end.
    """
    modules = list(model.modules())
    before = [(module, dict(module.__dict__)) for module in modules]
    modes = [(module, module.training) for module in modules]
    registered = {id(tensor) for tensor in [*model.parameters(), *model.buffers()]}
    held = _Held(registered, [value for _, attributes in before for value in attributes.values()])
    copies = {name: tensor.detach().clone() for name, tensor in _own_tensors(model)}
    devices = {tensor.device for tensor in copies.values() if tensor.device.type == "cuda"}
    with ExitStack() as stack:
        stack.enter_context(random_states_kept())
        stack.enter_context(torch.random.fork_rng(devices=devices))
        stack.enter_context(
            contents_kept([*(value for _, held_by in before for value in held_by.values()), *held.namespaces])
        )
        try:
            model.eval()
            yield copies
        finally:
            held.restore()
            for module, attributes in before:
                if not isinstance(module, torch.jit.ScriptModule):
                    module.__dict__.clear()
                    module.__dict__.update(attributes)
            for module, training in modes:
                module.training = training


def _own_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers, without those of compiled modules, which nothing can be put in place of."""
    compiled = [name + "." for name, module in model.named_modules() if isinstance(module, torch.jit.ScriptModule)]
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if not name.startswith(tuple(compiled)):
            yield name, tensor


class _Held:
    """Tensors, generators and namespaces of the objects that modules hold as plain attributes.

    Attributes:
        namespaces: attributes of these objects.

    Args:
        registered: ids of tensors that others look after.
        values: attributes of the modules.
    """

    def __init__(self, registered: set[int], values: list[Any]) -> None:
        self.namespaces: list[dict[str, Any]] = []
        self._tensors: list[tuple[Tensor, Tensor]] = []
        self._generators: list[tuple[torch.Generator, Tensor]] = []
        seen, pending = set(registered), list(values)
        while pending:
            value = pending.pop()
            if id(value) in seen or isinstance(value, _OPAQUE):
                continue
            seen.add(id(value))
            if isinstance(value, torch.Generator):
                self._generators.append((value, value.get_state()))
            elif isinstance(value, Tensor):
                self._tensors.append((value, value.detach().clone()))
            elif isinstance(value, dict):
                pending.extend(value.values())
            elif isinstance(value, list | tuple | set | frozenset):
                pending.extend(value)
            elif isinstance(getattr(value, "__dict__", None), dict):
                self.namespaces.append(value.__dict__)
                pending.extend(value.__dict__.values())

    def restore(self) -> None:
        """Give changed tensors their numbers back, and generators their states."""
        for generator, state in self._generators:
            generator.set_state(state)
        for tensor, copy in self._tensors:
            with torch.inference_mode(tensor.is_inference()), torch.no_grad():
                if not tensor.is_meta and not torch.equal(tensor, copy):
                    tensor.detach().copy_(copy)

"""Building somebody else's module without a trace: no memory for its parameters, no random numbers drawn."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils._python_dispatch import TorchDispatchMode

from nnmass.tracing.without_memory import LARGEST_CONSTANT, on_meta_if_possible, tensors_of

T = TypeVar("T")
_SMALL = 2**12  # numbers: two tensors of so many make no large one


def without_memory(build: Callable[[], T]) -> T:
    """Build with every parameter on the meta device: neither stored nor drawn, so a module of any size costs nothing.

    Buffers stay as they are, since what a forward computes may depend on their values, unless they are very large.
    A constructor that mixes the two (it runs a layer once to see what comes out, or makes a buffer on the device of a
    parameter) fails on that;
    it is called again with everything, buffers too, on the meta device.

    Raises:
        Exception: what the constructor raises the second time.
    """
    try:
        with _parameters_on_meta(), LargeOnMeta():
            return build()
    except (NotImplementedError, RuntimeError):  # PyTorch's, of tensors on two devices
        with torch.device("meta"):
            return build()


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    handle = register_module_parameter_registration_hook(_to_meta)  # type: ignore[arg-type] # it may return one
    try:
        yield
    finally:
        handle.remove()


def _to_meta(_module: nn.Module, _name: str, parameter: nn.Parameter) -> nn.Parameter | None:
    if parameter.is_meta:  # perhaps shared: it stays the same object
        return None
    return nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)


def random_states() -> tuple[Any, ...]:
    """The states of Python's and NumPy's random numbers, to be compared."""
    kind, key, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), kind, np.asarray(key).tobytes(), *rest


class LargeOnMeta(TorchDispatchMode):
    """Makes large tensors without memory."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, on the meta device where its result would be large."""
        kwargs = kwargs or {}
        tensors = list(tensors_of([*args, *kwargs.values()]))
        if any(tensor.is_meta for tensor in tensors) or 0 < sum(tensor.numel() for tensor in tensors) < _SMALL:
            return func(*args, **kwargs)
        sized = on_meta_if_possible(func, args, kwargs)
        large = sum(tensor.numel() for tensor in tensors_of([sized])) > LARGEST_CONSTANT
        return sized if large and not func._schema.is_mutable else func(*args, **kwargs)


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Leave the random states of PyTorch (CPU), Python and NumPy as they were."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (somebody else's code may draw from it)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002

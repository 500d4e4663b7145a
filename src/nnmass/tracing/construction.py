"""Building somebody else's module without a trace: no memory for its parameters, no random numbers drawn."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

T = TypeVar("T")


def without_memory(build: Callable[[], T]) -> T:
    """Build with every parameter on the meta device: neither stored nor drawn, so a module of any size costs nothing.

    Buffers stay as they are, since what a forward computes may depend on their values.  A constructor that mixes
    the two (it runs a layer once to see what comes out, or makes a buffer on the device of a parameter) fails on that;
    it is called again with everything, buffers too, on the meta device.

    Raises:
        Exception: what the constructor raises the second time.
    """
    try:
        with _parameters_on_meta():
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

"""Reading the layer graph of any PyTorch model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from operator import index
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from nnmass.errors import InvalidValueError, ModelError, RefusedError, first_line
from nnmass.topology.graph import LayerGraph, Node
from nnmass.tracing import reasons
from nnmass.tracing.borrowing import ModulePath, borrowed
from nnmass.tracing.layout import fresh
from nnmass.tracing.operators import handler_of
from nnmass.tracing.tracer import DataDependentError, Tracer, operand
from nnmass.tracing.without_memory import KnownNumbers, needs_numbers


@dataclass(frozen=True, eq=False)
class Trace:
    """What one forward pass showed.

    Attributes:
        graph: the layers that lead to the output.
        params: parameters of the model.
        macs: multiply-accumulates of the forward pass, those of gates included.
        gates: modules in which one tensor scales another.
        dropped: layers that only lead to gates.
    """

    graph: LayerGraph
    params: int
    macs: int
    gates: tuple[str, ...]
    dropped: tuple[Node, ...]


def trace(model: nn.Module, *input_sizes: Sequence[int]) -> Trace:
    """Run a model once on tensors without memory, in evaluation mode, and read its layer graph.

    The model, its mode and the random states are as before afterwards.

    Args:
        model: any module.
        input_sizes: sizes of its inputs, the samples first.

    Raises:
        ModelError: the forward pass fails.
        RefusedError: it does what a layer graph cannot describe: products of data with data (attention), gated
            products of two layers, layers over positions (mixers), recurrent layers, control flow or weights that
            depend on data.
    """
    sizes = [checked_size(size) for size in input_sizes]
    if not sizes:
        raise InvalidValueError("a model is traced with the size of its input, such as (1, 3, 224, 224); got none")
    model = _checked_model(model)
    params = sum(p.numel() for p in model.parameters() if not nn.parameter.is_lazy(p))
    path = ModulePath(model)
    tracer = Tracer(path, handler_of)
    with borrowed(model), path.followed(), torch.inference_mode(False), torch.no_grad(), tracer.constants.kept():
        inputs = [torch.empty(size, dtype=_number_type(model), device="meta") for size in sizes]
        for k, x in enumerate(inputs):
            dim, name = min(1, x.ndim - 1), f"input {k}" if len(inputs) > 1 else "input"
            whole = fresh(len(tracer.drafts.nodes), x.shape, dim)
            tracer.drafts.add(Node(name, "input", x.shape[dim], tuple(x.shape[2:]), grid=whole.grids))
            tracer.track(x, whole)
        outputs = _run(model, inputs, tracer, params)
    found = [(leaf, value) for leaf in _tensors(outputs) if (value := tracer.value(leaf)) is not None]
    if not found:
        raise ModelError(f"{type(model).__name__} returns nothing that depends on its input")
    values = [value for leaf, value in found if leaf.is_floating_point()] or [value for _, value in found]
    tracer.drafts.add(Node("output", "output", 0, operands=tuple(operand(v) for v in values)))
    refused = (path.drew, reasons.RANDOM) if path.drew is not None else tracer.drafts.refused()
    if refused is not None:
        raise RefusedError(*refused, params=params, macs=tracer.macs)
    return Trace(
        tracer.drafts.graph(tracer.grids), params, tracer.macs, tuple(tracer.cut), tuple(tracer.drafts.dropped())
    )


def _run(model: nn.Module, inputs: Sequence[Tensor], tracer: Tracer, params: int) -> Any:
    try:
        with tracer, KnownNumbers():
            return model(*inputs)
    except DataDependentError as error:
        raise RefusedError(error.module, error.reason, params=params, macs=tracer.macs) from error
    except Exception as error:
        where = tracer.path.failed or type(model).__name__
        if needs_numbers(error) and not isinstance(error, NotImplementedError):
            raise RefusedError(where, reasons.NUMBERS, params=params, macs=tracer.macs) from error
        sizes = ", ".join(str(tuple(x.shape)) for x in inputs)
        said = f"{type(error).__name__}: {first_line(error)}"
        raise ModelError(f"the forward pass fails in {where} on {sizes}: {said}") from error


def _number_type(model: nn.Module) -> torch.dtype:
    """Type of the first parameter, which is that of the inputs, in all probability."""
    types = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return next(types, torch.get_default_dtype())


def _checked_model(model: Any) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise ModelError(f"expected a torch.nn.Module, got {model!r}")
    wrapped = type(model).__name__ == "OptimizedModule"  # by torch.compile
    inner: nn.Module = getattr(model, "_orig_mod", model) if wrapped else model
    return inner


def checked_size(size: Any) -> tuple[int, ...]:
    """Return the size of an input as plain numbers.

    Raises:
        InvalidValueError: it is something else than positive whole numbers.
    """
    try:
        numbers = [n if isinstance(n, bool) else index(n) for n in size]
    except TypeError:
        numbers = []
    if not numbers or any(isinstance(n, bool) or n < 1 for n in numbers):
        raise InvalidValueError(f"an input size must be positive whole numbers such as (1, 3, 224, 224), got {size!r}")
    return tuple(numbers)


def _tensors(outputs: Any) -> Iterator[Tensor]:
    """Tensors in what a model returns: alone, or in nested lists, dictionaries and data classes."""
    for leaf in tree_leaves(outputs):
        if isinstance(leaf, Tensor):
            yield leaf
        elif isinstance(leaf, Mapping):
            yield from _tensors(list(leaf.values()))
        elif is_dataclass(leaf) and not isinstance(leaf, type):
            yield from _tensors([getattr(leaf, field.name) for field in fields(leaf)])

"""Reading the layer graph of any PyTorch model."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from nnmass.errors import InvalidValueError, ModelError, NNMassError, RefusedError, first_line
from nnmass.plain_text import plain
from nnmass.representation import brief
from nnmass.topology.graph import LayerGraph, Node
from nnmass.tracing import reasons
from nnmass.tracing.borrowing import ModulePath, borrowed
from nnmass.tracing.input_types import InputType, checked_size, checked_types
from nnmass.tracing.layout import fresh
from nnmass.tracing.operators import handler_of
from nnmass.tracing.tracer import DataDependentError, Tracer, operand
from nnmass.tracing.without_memory import KnownNumbers, needs_numbers
from nnmass.tracing.wrong_inputs import IntegersWanted, check_inputs

INTEGERS_HINT = "for whole numbers give dtypes=[torch.long], on the command line --input-size 1,128:int"
UNCOUNTED = "the cost of operator {} is not known"
_OF_TYPES = re.compile(r"\b(Long|Int|LongTensor|IntTensor|integer|integral|bool|indices|index tensor|int64)\b")


@dataclass(frozen=True, eq=False)
class Trace:
    """What one forward pass showed.

    Attributes:
        graph: the layers that lead to the output.
        params: parameters of the model.
        macs: multiply-accumulates of the forward pass, those of gates included; None where an operator ran whose cost
            is not known.
        gates: modules in which one tensor scales another.
        dropped: layers that only lead to gates.
        uncounted: operators whose cost is not known, by the modules that run them.
        input_types: types of the inputs.
    """

    __repr__ = brief

    graph: LayerGraph
    params: int
    macs: int | None
    gates: tuple[str, ...]
    dropped: tuple[Node, ...]
    uncounted: Mapping[str, str]
    input_types: tuple[torch.dtype, ...]


def trace(model: nn.Module, *input_sizes: Sequence[int], dtypes: Sequence[InputType | str] | None = None) -> Trace:
    """Run a model once on tensors without memory, in evaluation mode, and read its layer graph.

    The model, its mode and the random states are as before afterwards.

    Args:
        model: any module.
        input_sizes: sizes of its inputs, the samples first.
        dtypes: their types, ``torch.long`` for token ids; by default, or where one is None, that of the model's
            parameters, or ``torch.long`` where an embedding reads the input as it is.

    Raises:
        ModelError: the forward pass fails.
        RefusedError: it does what a layer graph cannot describe: products of data with data (attention), gated
            products of two layers, layers over positions (mixers), recurrent layers, control flow or weights that
            depend on data.
    """
    sizes = [checked_size(size) for size in input_sizes]
    if not sizes:
        raise InvalidValueError("a model is traced with the size of its input, such as (1, 3, 224, 224); got none")
    given = checked_types(dtypes, len(sizes))
    model = _checked_model(model)
    default = _number_type(model)
    chosen = [default if dtype is None else dtype for dtype in given]
    for _ in range(len(sizes) + 1):
        try:
            return _traced(model, sizes, chosen)
        except IntegersWanted as wanted:
            _choose_integers(wanted, given, chosen)
    raise ModelError(f"an embedding of {type(model).__name__} reads floating-point numbers")


def _choose_integers(wanted: IntegersWanted, given: Sequence[InputType], chosen: list[torch.dtype]) -> None:
    """Make integers of the inputs that an embedding reads, unless somebody said what they are."""
    for k in wanted.inputs:
        if given[k] is not None:
            raise ModelError(f"{wanted.module}: an embedding reads input {k}, which holds {given[k]}; {INTEGERS_HINT}")
        chosen[k] = torch.long


def _traced(model: nn.Module, sizes: Sequence[Sequence[int]], dtypes: Sequence[torch.dtype]) -> Trace:
    params = sum(p.numel() for p in model.parameters() if not nn.parameter.is_lazy(p))
    path = ModulePath(model)
    tracer = Tracer(path, handler_of, check_inputs)
    with borrowed(model), path.followed(), torch.inference_mode(False), torch.no_grad(), tracer.constants.kept():
        inputs = [torch.empty(size, dtype=dtype, device="meta") for size, dtype in zip(sizes, dtypes, strict=True)]
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
    macs = None if tracer.uncounted else tracer.macs
    refused = (path.drew, reasons.RANDOM) if path.drew is not None else tracer.drafts.refused()
    if refused is not None:
        raise RefusedError(*refused, params=params, macs=macs, uncounted=uncounted_text(tracer.uncounted))
    graph, cut, dropped = tracer.drafts.graph(tracer.grids), tuple(tracer.cut), tuple(tracer.drafts.dropped())
    return Trace(graph, params, macs, cut, dropped, dict(tracer.uncounted), tuple(dtypes))


def uncounted_text(uncounted: Mapping[str, str]) -> str:
    """Where and why multiply-accumulates are not known."""
    return "; ".join(f"{module}: {UNCOUNTED.format(operator)}" for module, operator in uncounted.items())


def _run(model: nn.Module, inputs: Sequence[Tensor], tracer: Tracer, params: int) -> Any:
    try:
        with tracer, KnownNumbers():
            return model(*inputs)
    except IntegersWanted:
        raise
    except DataDependentError as error:
        raise _stopped(error.module, error.reason, params) from error
    except Exception as error:
        where = tracer.path.failed or type(model).__name__
        if needs_numbers(error) and not isinstance(error, NotImplementedError):
            raise _stopped(where, reasons.NUMBERS, params) from error
        raise ModelError(f"the forward pass fails in {where} on {_listed(inputs)}: {_said(error, inputs)}") from error


def _stopped(module: str, reason: str, params: int) -> RefusedError:
    """Refuse a model that was not run to its end: its costs beyond that are not known."""
    return RefusedError(module, reason, params=params, macs=None, uncounted="the forward pass cannot be followed there")


def _listed(inputs: Sequence[Tensor]) -> str:
    kinds = ("" if x.is_floating_point() else ":bool" if x.dtype == torch.bool else ":int" for x in inputs)
    return ", ".join(f"{tuple(x.shape)}{kind}" for x, kind in zip(inputs, kinds, strict=True))


def _said(error: Exception, inputs: Sequence[Tensor]) -> str:
    if isinstance(error, NNMassError):
        return str(error)
    said = f"{type(error).__name__}: {first_line(error)}"
    if _OF_TYPES.search(said) and any(x.is_floating_point() for x in inputs):
        said += f" (inputs without :int held floating-point numbers; {INTEGERS_HINT})"
    return plain(said, limit=500)


def _number_type(model: nn.Module) -> torch.dtype:
    """Type of the first parameter, which is that of the inputs, in all probability."""
    types = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return next(types, torch.get_default_dtype())


def _checked_model(model: Any) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise ModelError(f"expected a torch.nn.Module, got {model!r}")
    wrapped = type(model).__name__ == "OptimizedModule"  # by torch.compile
    inner: nn.Module = getattr(model, "_orig_mod", model) if wrapped else model
    if any(isinstance(module, torch.jit.ScriptModule) and not _has_mode(module) for module in inner.modules()):
        raise ModelError(
            f"{type(model).__name__} is a frozen TorchScript module, whose weights are constants that cannot be told "
            "from others: give the module as it was before torch.jit.freeze"
        )
    return inner


def _has_mode(module: torch.jit.ScriptModule) -> bool:
    """Whether a module still knows of training, which freezing removes along with the parameters."""
    return bool(module._c.hasattr("training"))


def _tensors(outputs: Any) -> Iterator[Tensor]:
    """Tensors in what a model returns: alone, or in nested lists, dictionaries and data classes."""
    for leaf in tree_leaves(outputs):
        if isinstance(leaf, Tensor):
            yield leaf
        elif isinstance(leaf, Mapping):
            yield from _tensors(list(leaf.values()))
        elif is_dataclass(leaf) and not isinstance(leaf, type):
            yield from _tensors([getattr(leaf, field.name) for field in fields(leaf)])

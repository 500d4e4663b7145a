"""A dispatch mode that reads the layer graph of a model while it runs on tensors without memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from nnmass.errors import ModelError
from nnmass.topology.graph import Channels, Kind, Node, Operand
from nnmass.tracing import reasons
from nnmass.tracing.borrowing import ModulePath
from nnmass.tracing.drafts import Drafts
from nnmass.tracing.layout import MixedError, Value, unknown

Handler = Callable[["Tracer", "Call"], Value | Sequence[Value | None] | None]
RECURRENT_MODULES = (nn.RNNBase, nn.RNNCellBase)


class Call:
    """One operator call.

    Attributes:
        name: name of the operator without overload: ``"aten::add"``.
        args: its positional arguments by name, defaults included.
        out: its result.
    """

    def __init__(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.func = func
        self.name: str = func._schema.name
        self.given = (*args, *kwargs.values())
        self._args, self._kwargs = args, kwargs
        self.out: Any = None

    def __getitem__(self, name: str) -> Any:
        """Argument of that name."""
        for k, argument in enumerate(self.func._schema.arguments):
            if argument.name == name:
                if k < len(self._args):
                    return self._args[k]
                return self._kwargs.get(name, argument.default_value)
        raise KeyError(name)

    def dim(self, name: str, tensor: Tensor) -> int:
        """A dimension, counted from the front."""
        given: int = self[name]
        return given % max(tensor.ndim, 1)


class Tracer(TorchDispatchMode):
    """Follows every tensor that depends on the input.

    Attributes:
        drafts: nodes found so far.
        macs: multiply-accumulates so far, those of gates and products of data included.
        cut: modules whose output only scales another tensor.

    Args:
        path: the module that is running.
        handler_of: what to do with an operator; None for one that cannot be described.
    """

    def __init__(self, path: ModulePath, handler_of: "Callable[[Call], Handler | None]") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path, self.drafts, self.macs = path, Drafts(), 0
        self.cut: dict[str, None] = {}
        self._handler_of = handler_of
        self._values: dict[int, tuple[Tensor, Value]] = {}  # tensors are kept, so that their ids stay theirs
        self._roots: dict[int, tuple[Tensor, frozenset[int]]] = {}
        self._counted: set[int] = set()
        self._names: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, on meta tensors where it depends on the input or on parameters, and note what it did."""
        call = Call(func, args, kwargs or {})
        tensors = list(tensors_of(call.given))
        tracked = any(id(t) in self._values for t in tensors)
        if tracked or any(t.is_meta for t in tensors):
            call.out = self._run_on_meta(call, args, kwargs or {}, tensors)
        else:
            call.out = func(*args, **(kwargs or {}))
        if tracked:
            self._describe(call, tensors)
        elif tensors:
            roots = frozenset().union(*(self.roots(t) for t in tensors))
            for leaf in tensors_of([call.out]) if roots else ():
                self._roots[id(leaf)] = (leaf, roots)
        return call.out

    def value(self, tensor: Any) -> Value | None:
        """What is known of a tensor; None if it does not depend on the input."""
        known = self._values.get(id(tensor))
        return known[1] if known else None

    def track(self, tensor: Tensor, value: Value) -> None:
        """Remember what is known of a tensor."""
        self._values[id(tensor)] = (tensor, value)

    def roots(self, tensor: Any) -> frozenset[int]:
        """Parameters that a tensor which does not depend on the input was made of."""
        if isinstance(tensor, nn.Parameter):
            return frozenset([id(tensor)])
        known = self._roots.get(id(tensor))
        return known[1] if known else frozenset()

    def new_params(self, *tensors: Any) -> int:
        """Numbers in the parameters that these tensors are made of, of those that were not asked for before."""
        total = 0
        for tensor in tensors:
            if isinstance(tensor, Tensor) and (roots := self.roots(tensor)) and not roots <= self._counted:
                self._counted |= roots
                total += tensor.numel()
        return total

    def node(self, kind: Kind, width: int, operands: Sequence[Operand], **costs: Any) -> int:
        """Add a node, named after the module that runs, and return its index."""
        name = self.path.name
        self._names[name] = count = self._names.get(name, 0) + 1
        named = name if count == 1 else f"{name}#{count}"
        return self.drafts.add(Node(named, kind, width, operands=tuple(operands), **costs))

    def refuse(self, call: Call, reason: str, out: Tensor) -> Value:
        """Note an operation that cannot be described; it counts only if it leads to the output."""
        operands = [operand(v) for t in tensors_of(call.given) if (v := self.value(t)) is not None]
        index = self.drafts.add(Node(self.path.name, "add", 1, operands=tuple(operands)))
        self.drafts.refusals[index] = (self.path.name, reason)
        return unknown(index, out.shape)

    def holds(self, value: Value, reason: str) -> bool:
        """Whether a tensor holds the result of an operation that is refused for that reason."""
        nodes = operand(value).channels.sources.tolist()
        return any(self.drafts.refusals.get(node, ("", ""))[1] == reason for node in nodes)

    def cut_gate(self) -> None:
        """Note that the running module scales one tensor by another."""
        self.cut[self.path.name] = None

    def _run_on_meta(self, call: Call, args: Any, kwargs: Any, tensors: Sequence[Tensor]) -> Any:
        if call.func._schema.is_mutable and isinstance(args[0], Tensor) and not args[0].is_meta:
            return args[0]  # a constant is written to: what is known of it is all that changes
        if call.name in SHAPE_KEEPING and args[0].is_meta:
            return _like(call, args[0])
        if not all(tensor.is_meta for tensor in tensors):
            args, kwargs = tree_map_only(Tensor, _on_meta, (args, kwargs))
        if "device" in kwargs and kwargs["device"] is not None:
            kwargs = {**kwargs, "device": torch.device("meta")}
        try:
            return call.func(*args, **kwargs)
        except (NotImplementedError, torch._subclasses.fake_tensor.DataDependentOutputException) as error:
            raise DataDependentError(self.path.name, call.name) from error

    def _describe(self, call: Call, tensors: Sequence[Tensor]) -> None:
        outs = list(tensors_of([call.out]))
        if not outs:
            return
        described = self._handled(call, outs)
        for out, value in zip(outs, described, strict=False):
            if value is not None:
                self.track(out, value)
        if call.func._schema.is_mutable:
            self._written(call, tensors[0])

    def _handled(self, call: Call, outs: Sequence[Tensor]) -> Sequence[Value | None]:
        handler = self._handler_of(call)
        reason = f"operator {call.name.removeprefix('aten::')}"
        if self.path.within(RECURRENT_MODULES):
            handler, reason = None, reasons.RECURRENT
        try:
            described = handler(self, call) if handler else None
        except MixedError as error:
            described, reason = None, f"{reason} {error}"
        if described is None:
            return (
                [self.refuse(call, reason, outs[0])] * len(outs)
                if len(outs) == 1
                else [self.refuse(call, reason, out) for out in outs]
            )
        return [described] if isinstance(described, Value) else described

    def _written(self, call: Call, target: Tensor) -> None:
        """A tensor was changed in place: if it is a part of another, that one is known no more."""
        base = target._base
        changes = call.name.removesuffix("_") not in UNCHANGING
        if base is not None and base is not target and changes and id(target) in self._values:
            known = self._values[id(target)][1]
            if base.numel() == target.numel() and base.shape == target.shape:
                self.track(base, known)
            else:
                self.track(base, self.refuse(call, reasons.PARTLY_WRITTEN, base))


_ALIKE = ("relu", "silu", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "sigmoid", "tanh", "gelu", "elu")
SHAPE_KEEPING = {f"aten::{name}{suffix}" for name in _ALIKE for suffix in ("", "_")} | {"aten::native_batch_norm"}
"""Operators whose result has the shape of their first argument: those that are not worth a run on meta tensors."""

UNCHANGING = {"aten::relu", "aten::hardtanh", "aten::silu", "aten::hardswish", "aten::leaky_relu", "aten::elu"}
"""Operators after which the channels are what they were: in place, they may work on a part of a tensor."""


class DataDependentError(ModelError):
    """What the model does depends on the numbers that it is given."""

    def __init__(self, module: str, operator: str) -> None:
        self.module, self.reason = module, f"{operator.removeprefix('aten::')} depends on the values of its input"
        super().__init__(f"{module}: {self.reason}")


def tensors_of(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among an operator's arguments or results, those in lists included."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (item for item in value if isinstance(item, Tensor))


def operand(value: Value) -> Operand:
    """Everything a value holds, as an operand."""
    return Operand(Channels.of(value.codes), value.linear, value.upsampled)


def _like(call: Call, tensor: Tensor) -> Any:
    """The result of an operator that keeps the shape; the statistics of a norm in evaluation mode are empty."""
    if call.func._schema.is_mutable:
        return tensor
    out = torch.empty_like(tensor)
    return out if len(call.func._schema.returns) == 1 else (out, tensor.new_empty(0), tensor.new_empty(0))


def _on_meta(tensor: Tensor) -> Tensor:
    if tensor.is_meta:
        return tensor
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")

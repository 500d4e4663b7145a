"""A dispatch mode that reads the layer graph of a model while it runs on tensors without memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nnmass.errors import ModelError, ResourceError
from nnmass.topology.graph import Channels, Kind, Node, Operand
from nnmass.tracing import reasons
from nnmass.tracing.borrowing import ModulePath
from nnmass.tracing.call import Call
from nnmass.tracing.constants import Constants, draws
from nnmass.tracing.drafts import Drafts
from nnmass.tracing.grids import Grids
from nnmass.tracing.layout import MixedError, Value, unknown, view
from nnmass.tracing.operator_costs import macs_of
from nnmass.tracing.views import Views, same_numbers
from nnmass.tracing.without_memory import Budget, needs_numbers, run_on_constants, run_on_meta, tensors_of

Handler = Callable[["Tracer", "Call"], Value | Sequence[Value | None] | None]
RECURRENT_MODULES = (nn.RNNBase, nn.RNNCellBase)


class Tracer(TorchDispatchMode):
    """Follows every tensor that depends on the input.

    Attributes:
        drafts: nodes found so far.
        grids: positions that are the same.
        constants: tensors that do not depend on the input.
        macs: multiply-accumulates so far, of every operator, whatever becomes of it.
        uncounted: operators whose multiply-accumulates are not known, by the modules that ran them.
        cut: modules whose output only scales another tensor.

    Args:
        path: the module that is running.
        handler_of: what to do with an operator; None for one that cannot be described.
        check_inputs: called with every operator before it runs; may raise.
    """

    def __init__(
        self,
        path: ModulePath,
        handler_of: "Callable[[Call], Handler | None]",
        check_inputs: "Callable[[Tracer, Call], None]",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path, self.drafts, self.macs = path, Drafts(), 0
        self.uncounted: dict[str, str] = {}
        self.cut: dict[str, None] = {}
        self._handler_of, self._check_inputs = handler_of, check_inputs
        self._values: dict[int, tuple[Tensor, Value]] = {}  # tensors are kept, so that their ids stay theirs
        self._views, self._budget = Views(), Budget()
        self._roots: dict[int, tuple[Tensor, frozenset[nn.Parameter]]] = {}
        self._counted: set[nn.Parameter] = set()
        self._names: dict[str, int] = {}
        self.grids, self.constants = Grids(), Constants()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, on meta tensors where numbers are not known, and note what it did."""
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled():  # in which operators come whole, and views are not known as such
            with torch.inference_mode(False), torch.no_grad(), self:
                return func(*args, **kwargs)
        args, kwargs = self.constants.arguments(func, args, kwargs)
        call = Call(func, args, kwargs)
        tensors = list(tensors_of(call.given))
        self._check_inputs(self, call)
        tracked = any(id(t) in self._values for t in tensors)
        try:
            call.out = self._run(call, args, kwargs, tensors, tracked=tracked)
        except (NotImplementedError, RuntimeError) as error:
            if needs_numbers(error):
                drawn = any(map(self.constants.is_drawn, tensors)) or (not tracked and draws(func))
                whose = "random numbers" if drawn else "the values of its input" if tracked else PARAMETERS
                raise DataDependentError(self.path.name, call.name, whose) from error
            raise
        self._count(call)
        if tracked:
            self._describe(call)
        elif tensors:
            roots = frozenset().union(*(self.roots(t) for t in tensors))
            for leaf in tensors_of([call.out]) if roots else ():
                self._roots[id(leaf)] = (leaf, roots)
        return call.out

    def _run(self, call: Call, args: Any, kwargs: Any, tensors: Sequence[Tensor], *, tracked: bool) -> Any:
        func, written = call.func, call.written()
        if tracked or any(t.is_meta for t in tensors) or any(map(self.constants.is_unknown, written)):
            out = run_on_meta(func, args, kwargs, tensors)
            if not tracked:
                self.constants.lose(written)
        elif draws(func):
            return self.constants.draw(func, args, kwargs, written)
        elif (large := self._budget.too_large(func, args, kwargs, tensors)) is not None:
            self.constants.lose(written)
            out = written[0] if written else large
        else:
            self.constants.will_be_written(written)
            out = run_on_constants(func, args, kwargs)
            self.constants.made(tensors_of([out]), tensors)
        if any(map(self.constants.is_drawn, tensors)) or (not tracked and draws(func)):
            self.constants.note_drawn([*tensors_of([out]), *written])
        return out

    def value(self, tensor: Any) -> Value | None:
        """What is known of a tensor; None if it does not depend on the input."""
        known = self._values.get(id(tensor))
        return known[1] if known else None

    def track(self, tensor: Tensor, value: Value) -> None:
        """Remember what is known of a tensor."""
        if id(tensor) not in self._values:
            self._views.see(tensor)
        self._values[id(tensor)] = (tensor, value)

    def roots(self, tensor: Any) -> frozenset[nn.Parameter]:
        """Parameters that a tensor which does not depend on the input was made of."""
        if isinstance(tensor, nn.Parameter):
            return frozenset([tensor])
        known = self._roots.get(id(tensor))
        return known[1] if known else frozenset()

    def new_params(self, *tensors: Any) -> int:
        """Numbers in the parameters that these tensors are made of, and that were not asked for before."""
        new = frozenset().union(*(self.roots(tensor) for tensor in tensors)) - self._counted
        self._counted |= new
        return sum(parameter.numel() for parameter in new)

    def node(self, kind: Kind, width: int, operands: Iterable[Operand], **costs: Any) -> int:
        """Add a node, named after the module that runs, and return its index."""
        name = self.path.name
        self._names[name] = count = self._names.get(name, 0) + 1
        named = name if count == 1 else f"{name}#{count}"
        return self.drafts.add(Node(named, kind, width, operands=tuple(operands), **costs))

    def refuse(self, call: Call, reason: str, out: Tensor) -> Value:
        """Note an operation that cannot be described; it counts only if it leads to the output."""
        values = [v for t in tensors_of(call.given) if (v := self.value(t)) is not None]
        index = self.drafts.add(Node(self.path.name, "add", 1, operands=tuple(map(operand, values))))
        self.drafts.refusals[index] = (self.path.name, reason)
        return unknown(index, out.shape, values)

    def holds(self, value: Value, reason: str) -> bool:
        """Whether a tensor holds the result of an operation that is refused for that reason."""
        nodes = operand(value).channels.sources.tolist()
        return any(self.drafts.refusals.get(node, ("", ""))[1] == reason for node in nodes)

    def cut_gate(self) -> None:
        """Note that the running module scales one tensor by another."""
        self.cut[self.path.name] = None

    def _count(self, call: Call) -> None:
        macs = macs_of(call)
        self.macs += macs or 0
        if macs is None:
            self.uncounted.setdefault(self.path.name, call.name.removeprefix("aten::"))

    def _describe(self, call: Call) -> None:
        written = call.written()
        longest = max((size for tensor in tensors_of([*call.given, call.out]) for size in tensor.shape), default=0)
        if longest > _LONGEST:
            raise ResourceError(f"{longest:,} numbers along one dimension; at most {_LONGEST:,} are followed")
        outs = list(tensors_of([call.out])) or written
        described = self._handled(call, outs)
        for out, value in zip(outs, described, strict=True):
            if value is not None:
                self.track(out, value)
        for target in written:
            if described[0] is not None:
                self.track(target, described[0])
                self._changed(call, target, described[0])

    def _handled(self, call: Call, outs: Sequence[Tensor]) -> Sequence[Value | None]:
        handler = self._handler_of(call)
        reason = f"operator {call.name.removeprefix('aten::')}"
        if self.path.within(RECURRENT_MODULES):
            handler, reason = None, reasons.RECURRENT
        try:
            described = handler(self, call) if handler else None
        except MixedError as error:
            described, reason = None, f"{reason} {error}"
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # in a form not thought of
            described, reason = None, f"{reason}, called in a way that is not understood"
        known = [described] if isinstance(described, Value) else described or []
        return [*known, *(self.refuse(call, reason, out) for out in outs[len(known) :])]

    def _changed(self, call: Call, target: Tensor, value: Value) -> None:
        """A tensor was changed in place: so are its views, and what it is a view of."""
        for other in self._views.touched_with(target):
            known = self.value(other)
            if call.name in UNCHANGING and known is not None:
                self.track(other, replace(known, linear=False))
            elif same_numbers(target, other):
                self.track(other, self._viewed(call, value, other))
            else:
                self.track(other, self.refuse(call, reasons.PARTLY_WRITTEN, other))

    def _viewed(self, call: Call, value: Value, other: Tensor) -> Value:
        try:
            return view(value, other.shape)
        except MixedError:
            return self.refuse(call, reasons.PARTLY_WRITTEN, other)


_LONGEST = 2**26  # numbers along one dimension, which may have to be numbered

UNCHANGING = {f"aten::{name}_" for name in ("relu", "hardtanh", "silu", "hardswish", "leaky_relu", "elu")}
"""Operators after which the channels are what they were: in place, they may work on a part of a tensor."""


PARAMETERS = "the values of parameters"
_READABLE = {"_local_scalar_dense": "a number or condition"}


class DataDependentError(ModelError):
    """What the model does depends on the numbers that it is given, or on its parameters."""

    def __init__(self, module: str, operator: str, whose: str) -> None:
        space, _, name = operator.partition("::")
        self.module, self.reason = module, f"operator {operator}"
        if space == "aten":
            self.reason = f"{_READABLE.get(name, name)} depends on {whose}"
        super().__init__(f"{module}: {self.reason}")


def operand(value: Value) -> Operand:
    """Everything a value holds, as an operand."""
    return Operand(Channels.of(value.codes), value.linear, value.upsampled)

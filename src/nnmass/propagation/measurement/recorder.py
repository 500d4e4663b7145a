"""A function mode that reads the Jacobian of every layer off a forward pass.

Any PyTorch model is read while it runs, at the level of `torch.nn.functional`, so that modules and plain functions are
seen alike.  The pass is cut at its nodes: inputs, outputs of layers, sums of different nodes, pooled and resized maps.
Between two cuts autograd follows whatever the model does.  A convolution or linear layer takes the derivative of what
lies between the nodes and itself as its D, if that is element-wise, and is skipped with the reason if it is not.  A
norm that follows a layer directly is that layer's P.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from nnmass.errors import InvalidValueError, first_line
from nnmass.propagation.measurement import calls
from nnmass.propagation.measurement.elementwise import compact, derivative, leaves_of, local_derivative, tensors
from nnmass.propagation.measurement.layer_calls import as_convolution, as_linear, as_padding
from nnmass.propagation.measurement.linear_maps import Convolution, Factor, LayerJacobian, Linear
from nnmass.propagation.measurement.norms import frozen, norm_of
from nnmass.propagation.measurement.trails import UNSEEN, Trail, joined

KEPT_SIZE = 65_536
"""Of layers with larger inputs or outputs the derivatives are kept at the probed samples only."""

Belongs: TypeAlias = Callable[[str, str], bool]
"""Whether the norm in the module of the first path belongs to the layer of the second, which it follows directly."""


@dataclass(frozen=True)
class _Node:
    """A leaf of autograd: what it is called, and the nodes that it was computed from without a layer between."""

    name: str
    origins: frozenset[int]


class Recorder(TorchFunctionMode):
    """Sees every call of a forward pass.

    Attributes:
        layers: the convolutions and linear layers so far.
        order: names of all layers that ran, those that cannot be measured included.
        skipped: those that cannot be measured, and why.
        steps: module paths of what else is left out, and why.
        gradients_were_off: whether a layer ran where the model had switched gradients off.

    Args:
        samples: the inputs at which large layers are kept.
        batch: how many inputs there are.
        path: of the module that is running.
        every_input: whether other convolutions are kept at all inputs.
        belongs: which norms belong to the layers that they follow.
        always_follow: whether derivatives are followed where the model switches gradients off.
    """

    def __init__(
        self,
        samples: Tensor,
        batch: int,
        path: Callable[[], str],
        *,
        every_input: bool,
        belongs: Belongs,
        always_follow: bool = False,
    ) -> None:
        super().__init__()
        self.layers: list[LayerJacobian] = []
        self.order: list[str] = []
        self.skipped: dict[str, str] = {}
        self.steps: dict[tuple[str, str], bool] = {}
        self.gradients_were_off = False
        self._samples, self._batch, self._module = samples, batch, path
        self._every_input, self._belongs, self._always = every_input, belongs, always_follow
        self._trails: Any = WeakTensorKeyDictionary()
        self._nodes: Any = WeakTensorKeyDictionary()
        self._whole_numbers: Any = WeakTensorKeyDictionary()
        self._count = 0

    def begin(self, inputs: Tensor) -> Tensor:
        """Return the inputs as the first node."""
        if inputs.is_floating_point():
            return self._cut(inputs, Trail(words=("input",)))
        self._whole_numbers[inputs] = True
        return inputs

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = calls.plain_name(func)
        if name == "_set_grad_enabled":
            return func(*args, **kwargs)
        if name in calls.LAYERS and not torch.is_grad_enabled():
            self.gradients_were_off = True
        with self._followed():
            if kwargs.get("out") is not None:
                return _written(self._call(name, func, args, kwargs | {"out": None}), kwargs["out"])
            return self._call(name, func, args, kwargs)

    def _followed(self) -> AbstractContextManager[Any]:
        """Gradients on, where the model has switched them off around its layers."""
        if not self._always and not torch.is_inference_mode_enabled():
            return nullcontext()
        stack = ExitStack()
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        return stack

    def _call(self, name: str, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        if name in calls.LAYERS:
            return self._layer(name, func, args, kwargs)
        if name in calls.READINGS:
            args = [value.detach() if isinstance(value, Tensor) else value for value in args]
        active = [tensor for tensor in tensors((args, kwargs)) if tensor.requires_grad]
        if not active:
            return self._constant(name, func, args, kwargs)
        norm = norm_of(func)
        if norm is not None:
            return self._norm(name, norm, args, kwargs)
        if torch.is_grad_enabled():  # else the model detaches what it makes here
            if calls.pools_positions(name, args, kwargs):
                return self._pool(name, func, args, kwargs, active)
            if name in calls.SUMS and len(active) > 1 and self._are_apart(active):
                return self._sum(name, func, args, kwargs)
        return self._step(name, func, args, kwargs, active)

    def _trail(self, x: Tensor) -> Trail:
        """How a tensor came about; of one that was changed behind our back, or made unseen, little is known."""
        found: Trail | None = self._trails.get(x)
        if found is None:
            return UNSEEN
        if found.version != x._version:
            return replace(UNSEEN, words=found.words, joined=found.joined)
        return found

    def _keep(self, x: Tensor, trail: Trail) -> None:
        self._trails[x] = replace(trail, version=x._version)

    def _cut(self, value: Tensor, trail: Trail, *, name: str = "", origins: frozenset[int] = frozenset()) -> Tensor:
        """Make a node: a leaf of its own for autograd, of which the model is given a copy to change as it likes."""
        with torch.enable_grad():
            leaf = value.detach().requires_grad_()
            given = leaf.clone()
        self._count += 1
        self._nodes[leaf] = _Node(name or ", ".join(trail.words), origins or frozenset({self._count}))
        self._keep(given, trail)
        return given

    def _origins(self, x: Tensor) -> frozenset[int]:
        nodes = [self._nodes.get(leaf) for leaf in leaves_of(x)]
        return frozenset().union(*(node.origins for node in nodes if node is not None))

    def _are_apart(self, active: Sequence[Tensor]) -> bool:
        one, other = (self._origins(x) for x in active[:2])
        return not one & other

    def _constant(self, name: str, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """Run what depends on no node; the first numbers made of whole ones (an embedding) are the first node."""
        result = func(*args, **kwargs)
        if not any(tensor in self._whole_numbers for tensor in tensors((args, kwargs))):
            return result
        if isinstance(result, Tensor) and result.is_floating_point():
            return self._cut(result, Trail(words=(name,)))
        for tensor in tensors(result):
            self._whole_numbers[tensor] = True
        return result

    def _step(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], active: Sequence[Tensor]
    ) -> Any:
        """Run anything else; autograd follows it."""
        trails = [self._trail(tensor) for tensor in active]
        given = [(tensor, tensor._version) for tensor in tensors((args, kwargs)) if not tensor.is_inference()]
        result = func(*args, **kwargs)
        same = [tensor for tensor, version in given if tensor._version == version]
        changed = [tensor for tensor, version in given if tensor._version != version]
        made = [tensor for tensor in tensors(result) if not any(tensor is one for one in same)]
        trail = joined(name, trails)
        follows = torch.is_grad_enabled() and trail.named and not changed and all(trail.known for trail in trails)
        slopes = self._slopes_of(name, func, args, kwargs, active, result) if follows else None
        for k, tensor in enumerate((*made, *changed)):
            if tensor.requires_grad:
                known = slopes is not None and k < len(slopes)
                self._keep(tensor, replace(trail, known=known, slope=slopes[k] if slopes and known else None))
        if name == "pad":
            x, rest, options = calls.split_input(args, kwargs)
            padding = as_padding(*rest, **options)
            self._keep(result, replace(self._trail(result), source=None if padding is None else (x, padding)))
        return result

    def _slopes_of(
        self,
        name: str,
        func: Callable[..., Any],
        args: Any,
        kwargs: dict[str, Any],
        active: Sequence[Tensor],
        made: Any,
    ) -> Sequence[Tensor | None]:
        """Slopes of what a named function gave."""
        before = [self._trail(tensor).slope for tensor in active]
        if name not in calls.MOVEMENTS | calls.COPIES:
            slope = local_derivative(made, active[0])
            return [slope if before[0] is None else slope * before[0]]
        if not any(slope is not None for slope in before) and _all_active(args, kwargs):
            return [None for _ in tensors(made)]
        with torch.no_grad():
            return [*tensors(func(*self._slopes(args), **self._slopes(kwargs)))]

    def _slopes(self, value: Any) -> Any:
        """Return arguments with every tensor of numbers replaced by its slope."""
        if isinstance(value, Tensor) and value.is_floating_point():
            if not value.requires_grad:
                return torch.zeros_like(value)
            slope = self._trail(value).slope
            return torch.ones_like(value) if slope is None else slope.expand_as(value)
        if isinstance(value, list | tuple):
            return type(value)(self._slopes(entry) for entry in value)
        if isinstance(value, dict):
            return {key: self._slopes(entry) for key, entry in value.items()}
        return value

    def _sum(self, name: str, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """Add different nodes: a node."""
        with torch.no_grad():
            result = func(*args, **kwargs)
        node = self._cut(result, Trail(words=(name,)))
        if not any(result is given for given in tensors(args)):
            return node
        if not result._is_view():
            result.detach_()
        result.copy_(node)  # from now on it depends on the node alone
        self._keep(result, Trail(words=(name,)))
        return result

    def _pool(
        self, name: str, func: Callable[..., Any], args: Any, kwargs: dict[str, Any], active: Sequence[Tensor]
    ) -> Any:
        """Pool or resize a map: a node, which is said."""
        with torch.no_grad():
            result = func(*args, **kwargs)
        reason = f"{name} mixes positions and belongs to no layer: what reads it is measured from its output on"
        self.steps[self._module() or "model", reason] = True
        origins = frozenset().union(*(self._origins(x) for x in active))
        parts = [
            self._cut(part, Trail(words=(name,)), origins=origins) if part.is_floating_point() else part
            for part in tensors(result)
        ]
        return parts[0] if isinstance(result, Tensor) else _like(result, parts)

    def _norm(self, name: str, norm: Callable[..., tuple[Tensor, Tensor]], args: Any, kwargs: dict[str, Any]) -> Any:
        x, rest, options = calls.split_input(args, kwargs)
        trail = self._trail(x)
        try:
            with torch.no_grad():
                value, scale = norm(x, *rest, **options)
        except ValueError as error:  # too few numbers for a variance
            where = self._module() or "the model"
            raise InvalidValueError(f"{where} has no statistics at these inputs: {first_line(error)}") from error
        if (
            trail.layer is None
            or not torch.is_grad_enabled()
            or not self._belongs(self._module(), self.layers[trail.layer].name)
        ):
            result = frozen(x, value, scale)
            slope = scale if trail.slope is None else scale * trail.slope
            self._keep(result, replace(trail, words=(*trail.words, name), slope=slope, layer=None, source=None))
            return result
        layer = self.layers[trail.layer]
        factor = layer.factors[0]
        kept = scale if factor.samples is None or len(scale) == 1 else scale[factor.samples]
        outer = kept if factor.outer is None else kept * factor.outer
        self.layers[trail.layer] = replace(layer, factors=(replace(factor, outer=outer),))
        return self._cut(value, Trail(layer=trail.layer), name=layer.name, origins=self._origins(x))

    def _layer(self, name: str, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        x, rest, options = calls.split_input(args, kwargs)
        with torch.no_grad():
            result = func(*args, **kwargs)
        path = self._path()
        self.order.append(path)
        padded = self._trail(x).source
        source, padding = padded if padded is not None else (x, None)
        reason = self._unsupported(name, source, (rest, options))
        if not reason:
            make = as_linear if name == "linear" else as_convolution
            linear = make(source, padding, *rest, **options)
            _check_finite(linear.weight, f"the weights of {path}")
            _check_finite(source, f"the input of {path}")
            slope, reason = self._slope(source)
        if reason:
            self.skipped[path] = reason
            return self._cut(result, Trail(), name=path)
        self.layers.append(self._jacobian(path, linear, source, slope, result))
        return self._cut(result, Trail(layer=len(self.layers) - 1), name=path)

    def _slope(self, read: Tensor) -> tuple[Tensor | None, str]:
        """φ′ of what a layer reads, None where it is 1; or why there is none."""
        trail = self._trail(read)
        leaves = [leaf for leaf in leaves_of(read) if leaf in self._nodes]
        if not leaves:
            return None, "it reads what does not depend on the inputs, or what the model detaches from them"
        if trail.known:
            return trail.slope, ""
        found = derivative(read, leaves, named=trail.named, moved=trail.moved, joined=trail.joined)
        if found.slope is None:
            nodes = " and ".join(dict.fromkeys(self._nodes[leaf].name or "the layer before" for leaf in leaves))
            return None, f"it reads {', '.join(trail.words) or 'a function'} of {nodes}: {found.reason}"
        return compact(found.slope) if trail.steady else found.slope, ""

    def _jacobian(
        self, path: str, linear: Linear | Convolution, x: Tensor, slope: Tensor | None, result: Tensor
    ) -> LayerJacobian:
        factor = Factor(linear, slope, None, tuple(x.shape[1:]), tuple(result.shape[1:]))
        large = max(math.prod(factor.in_shape), math.prod(factor.out_shape)) > KEPT_SIZE
        if large or (isinstance(linear, Convolution) and not self._every_input):
            factor = replace(factor.at(self._samples), samples=self._samples)
        trail = self._trail(x)
        return LayerJacobian(path, (factor,), ", ".join(trail.words) or ("layer" if trail.known else "function"))

    def _path(self) -> str:
        path = self._module() or "model"
        taken = set(self.order)
        count = 2
        while path in taken:
            path = f"{self._module() or 'model'}#{count}"
            count += 1
        return path

    def _unsupported(self, name: str, x: Tensor, weights: Any) -> str:
        dimensions = 2 if name == "linear" else int(name[4]) + 2
        if x.dim() != dimensions:
            kind = "a linear layer over positions" if name == "linear" else "a convolution without a batch axis"
            return f"{kind}: it reads a tensor of shape {tuple(x.shape)}"
        if x.shape[0] != self._batch:
            return f"it reads {x.shape[0]} samples where the model reads {self._batch}: the batch axis was changed"
        if x.numel() == 0 or any(tensor.numel() == 0 for tensor in tensors(weights)):
            return "it has no numbers"
        if any(tensor.is_complex() for tensor in tensors((x, weights))):
            return "it computes with complex numbers"
        if any(tensor.requires_grad for tensor in tensors(weights)):
            return "its weights depend on the inputs"
        return ""


def is_finite(x: Tensor) -> bool:
    """Whether there is neither NaN nor infinity; the sum, which one of them would spoil, is quick to take."""
    return bool(torch.isfinite(x.sum())) or bool(torch.isfinite(x).all())


def _check_finite(x: Tensor, what: str) -> None:
    if not is_finite(x):
        raise InvalidValueError(f"{what} must be finite, got NaN or infinity")


def _all_active(args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether no numbers that are constant are joined to others."""
    return all(tensor.requires_grad for tensor in tensors((args, kwargs)) if tensor.is_floating_point())


def _written(result: Any, out: Any) -> Any:
    """Write results into the tensors that the model gave for them."""
    for value, target in zip(tensors(result), tensors(out), strict=False):
        with torch.no_grad():
            target.resize_(value.shape)
        target.copy_(value)
    return out


def _like(result: Any, parts: Sequence[Any]) -> Any:
    """A tuple of results, of the type of the given one."""
    return tuple(parts) if type(result) is tuple else type(result)(parts)

"""A function mode that follows the derivatives of a forward pass.

Any PyTorch model is read while it runs, at the level of `torch.nn.functional`, so that modules and plain functions are
seen alike.  Every tensor carries the derivative of the element-wise operations between the last node (an input, a
sum, a pooled map, the output of a layer) and itself; concatenation, selection and reshaping move it along.  A
convolution or linear layer then takes it as its D, and starts anew.  A norm that follows a layer directly is that
layer's P.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from nnmass.errors import InvalidValueError
from nnmass.propagation.measurement.layer_calls import as_convolution, as_linear, as_padding
from nnmass.propagation.measurement.linear_maps import Convolution, Factor, LayerJacobian, Linear, Padding
from nnmass.propagation.measurement.norms import NORMS

ACTIVATIONS = (
    *("celu", "clamp", "clip", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu"),
    *("logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softplus", "softshrink"),
    *("softsign", "tanh", "tanhshrink", "threshold"),
)
"""Element-wise functions whose derivative is taken along."""

MOVEMENTS = (
    *("__getitem__", "alpha_dropout", "cat", "channel_shuffle", "chunk", "clone", "concat", "concatenate"),
    *("contiguous", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "flatten"),
    *("index_select", "narrow", "permute", "pixel_shuffle", "pixel_unshuffle", "reshape", "split", "squeeze", "stack"),
    *("tensor_split", "to", "transpose", "unbind", "unflatten", "unsqueeze", "view", "view_as"),
)
"""What moves numbers without changing them."""

KEPT_SIZE = 65_536
"""Of layers with larger inputs or outputs the derivatives are kept at the probed samples only."""


@dataclass
class _Trail:
    """How a tensor came about since the last node: ``slope`` is None where that is 1."""

    slope: Tensor | None = None
    words: tuple[str, ...] = ()
    layer: int | None = None  # made by this layer, and nothing since
    source: tuple[Tensor, Padding] | None = None  # padded from this tensor


class Recorder(TorchFunctionMode):
    """Sees every call of a forward pass.

    Attributes:
        layers: the convolutions and linear layers so far.
        skipped: those that cannot be measured, and why.

    Args:
        samples: the inputs at which large layers are kept.
        batch: how many inputs there are.
        names: its last entry is the path of the module that is running.
        every_input: whether other convolutions are kept at all inputs.
    """

    def __init__(self, samples: Tensor, batch: int, names: Sequence[str], *, every_input: bool) -> None:
        super().__init__()
        self._every_input = every_input
        self.layers: list[LayerJacobian] = []
        self.skipped: dict[str, str] = {}
        self._samples, self._batch, self._names = samples, batch, names
        self._trails: Any = WeakTensorKeyDictionary()
        layers = ("linear", "conv1d", "conv2d", "conv3d")
        groups = ((ACTIVATIONS, self._activation), (MOVEMENTS, self._movement), (NORMS, self._norm))
        self._handlers = {name: handle for names, handle in groups for name in names}
        self._handlers |= {"pad": self._pad} | dict.fromkeys(layers, self._layer)

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        plain = name if name.startswith("__") else name.removesuffix("_")
        handle = self._handlers.get(plain)
        if handle is None:
            return self._node(name, func, args, kwargs or {})
        return handle(plain, func, args, kwargs or {})

    def _trail(self, x: Tensor) -> _Trail:
        found: _Trail = self._trails.get(x) or _Trail(words=("input",))
        return found

    def _node(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run anything else: what it makes, or changes in place, is a node."""
        result = func(*args, **kwargs)
        changed = [*_tensors(result)]
        if args and (name.endswith("_") or name.startswith("__i")) and isinstance(args[0], Tensor):
            changed.append(args[0])
        for tensor in changed:
            if tensor.is_floating_point():
                self._trails[tensor] = _Trail(words=(name.strip("_"),))
        return result

    def _activation(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        x, rest, options = _split_input(args, kwargs)
        trail = self._trail(x)
        slope = _derivative(func, x, rest, options)
        if trail.slope is not None:
            slope = slope * trail.slope
        result = func(*args, **kwargs)
        self._trails[result] = _Trail(slope, (*trail.words, name))
        return result

    def _movement(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        moved = [t for t in _tensors((args, kwargs)) if t.is_floating_point()]
        if not moved or all(tensor is moved[0] for tensor in _tensors(result)):
            return result
        trails = [self._trail(tensor) for tensor in moved]
        words = tuple(dict.fromkeys(word for trail in trails for word in trail.words))
        slopes: Any = [None] * len(list(_tensors(result)))
        if any(trail.slope is not None for trail in trails):
            slopes = _tensors(func(*self._slopes(args), **self._slopes(kwargs)))
        for tensor, slope in zip(_tensors(result), slopes, strict=True):
            self._trails[tensor] = _Trail(slope, words)
        return result

    def _slopes(self, value: Any) -> Any:
        """Return arguments with every tensor of numbers replaced by its derivative."""
        if isinstance(value, Tensor) and value.is_floating_point():
            slope = self._trail(value).slope
            return torch.ones_like(value) if slope is None else slope.expand_as(value)
        if isinstance(value, list | tuple):
            return type(value)(self._slopes(entry) for entry in value)
        if isinstance(value, dict):
            return {key: self._slopes(entry) for key, entry in value.items()}
        return value

    def _norm(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        x, rest, options = _split_input(args, kwargs)
        trail = self._trail(x)
        result, scale = NORMS[name](x, *rest, **options)
        words = (*trail.words, name)
        if trail.layer is None:
            self._trails[result] = _Trail(scale if trail.slope is None else scale * trail.slope, words)
            return result
        layer = self.layers[trail.layer]
        factor = layer.factors[0]
        kept = scale if factor.samples is None or len(scale) == 1 else scale[factor.samples]
        outer = kept if factor.outer is None else kept * factor.outer
        self.layers[trail.layer] = replace(layer, factors=(replace(factor, outer=outer),))
        self._trails[result] = _Trail(layer=trail.layer)
        return result

    def _pad(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        result = self._node(name, func, args, kwargs)
        x, rest, options = _split_input(args, kwargs)
        padding = as_padding(*rest, **options)
        if padding is not None:
            self._trails[result] = _Trail(words=("pad",), source=(x, padding))
        return result

    def _layer(self, name: str, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        x, rest, options = _split_input(args, kwargs)
        result = func(*args, **kwargs)
        path = self._path()
        self._trails[result] = _Trail()
        padded = self._trail(x).source
        source, padding = padded if padded is not None else (x, None)
        reason = self._unsupported(name, source)
        if reason:
            self.skipped[path] = reason
            return result
        make = as_linear if name == "linear" else as_convolution
        linear = make(source, padding, *rest, **options)
        _check_finite(linear.weight, f"the weights of {path}")
        _check_finite(source, f"the input of {path}")
        self.layers.append(self._jacobian(path, linear, source, result))
        self._trails[result] = _Trail(layer=len(self.layers) - 1)
        return result

    def _jacobian(self, path: str, linear: Linear | Convolution, x: Tensor, result: Tensor) -> LayerJacobian:
        trail = self._trail(x)
        factor = Factor(linear, trail.slope, None, tuple(x.shape[1:]), tuple(result.shape[1:]))
        large = max(math.prod(factor.in_shape), math.prod(factor.out_shape)) > KEPT_SIZE
        if large or (isinstance(linear, Convolution) and not self._every_input):
            factor = replace(factor.at(self._samples), samples=self._samples)
        return LayerJacobian(path, (factor,), ", ".join(trail.words) or "layer")

    def _path(self) -> str:
        path = self._names[-1] or "model"
        taken = {layer.name for layer in self.layers} | set(self.skipped)
        count = 2
        while path in taken:
            path = f"{self._names[-1] or 'model'}#{count}"
            count += 1
        return path

    def _unsupported(self, name: str, x: Tensor) -> str:
        dimensions = 2 if name == "linear" else int(name[4]) + 2
        if x.dim() != dimensions:
            kind = "a linear layer over positions" if name == "linear" else "a convolution without a batch axis"
            return f"{kind}: it reads a tensor of shape {tuple(x.shape)}"
        if x.shape[0] != self._batch:
            return f"it reads {x.shape[0]} samples where the model reads {self._batch}: the batch axis was changed"
        return ""


def is_finite(x: Tensor) -> bool:
    """Whether there is neither NaN nor infinity; the sum, which one of them would spoil, is quick to take."""
    return bool(torch.isfinite(x.sum())) or bool(torch.isfinite(x).all())


def _check_finite(x: Tensor, what: str) -> None:
    if not is_finite(x):
        raise InvalidValueError(f"{what} must be finite, got NaN or infinity")


def _tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor within arguments or results."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _tensors(entry)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))


def _split_input(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Tensor, Sequence[Any], dict[str, Any]]:
    """Return the first argument, called ``input`` where it is named, and the others."""
    if args:
        return args[0], args[1:], kwargs
    return kwargs["input"], (), {key: value for key, value in kwargs.items() if key != "input"}


def _derivative(func: Callable[..., Any], x: Tensor, rest: Sequence[Any], options: dict[str, Any]) -> Tensor:
    """Element-wise derivative of an element-wise function."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(func(leaf.clone(), *rest, **options).sum(), leaf)
    return slope

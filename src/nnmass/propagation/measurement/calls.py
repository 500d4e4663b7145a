"""What the calls of a forward pass do to derivatives, by their names."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

LAYERS = ("linear", "conv1d", "conv2d", "conv3d")
"""Layers with a weight matrix."""

ACTIVATIONS = frozenset(
    (
        *("celu", "clamp", "clip", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu"),
        *("logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softplus", "softshrink"),
        *("softsign", "tanh", "tanhshrink", "threshold"),
    )
)
"""Functions that are known to be element-wise; any other is checked."""

COPIES = frozenset(("clone", "contiguous", "double", "float", "to"))
"""What leaves every number where and as it is."""

DROPOUTS = frozenset(("alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"))
"""What multiplies by random numbers, if it does anything."""

MOVEMENTS = frozenset(
    (
        *("__getitem__", "cat", "channel_shuffle", "chunk", "concat", "concatenate", "flatten", "flip", "index_select"),
        *("moveaxis", "movedim", "narrow", "permute", "pixel_shuffle", "pixel_unshuffle", "ravel", "reshape", "roll"),
        *("select", "split", "squeeze", "stack", "swapaxes", "swapdims", "t", "tensor_split", "transpose", "unbind"),
        *("unflatten", "unsqueeze", "view", "view_as"),
    )
)
"""What moves numbers without changing them."""

JOINTS = frozenset(("cat", "concat", "concatenate", "stack"))
"""Movements that lay several parts side by side."""

SUMS = frozenset(("add", "sub", "subtract"))
"""Their result is a node where it joins different nodes."""

AFFINE = frozenset(
    (
        *("add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "truediv", "neg", "negative"),
        *("batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm"),
    )
)
"""What may have the same derivative at every input."""

READINGS = frozenset(
    (
        "numpy",
        "tolist",
        "item",
        "__array__",
        "__bool__",
        "__complex__",
        "__dlpack__",
        "__float__",
        "__index__",
        "__int__",
    )
)
"""What takes numbers out of a tensor, where autograd cannot follow."""

_REDUCTIONS = frozenset(("mean", "sum", "amax", "amin", "max", "min"))
_RESAMPLINGS = frozenset(("interpolate", "upsample", "upsample_nearest", "upsample_bilinear"))


def plain_name(func: Callable[..., Any]) -> str:
    """Name of a function, the same for its in-place and its reflected form."""
    name: str = getattr(func, "__name__", "")
    if not name.startswith("__"):
        return name.removesuffix("_")
    if name in ("__getitem__", "__setitem__", *READINGS):
        return name
    core = name.strip("_")
    return core[1:] if core[:1] in ("i", "r") and core[1:] in (*SUMS, "mul", "truediv", "div", "pow") else core


def pools_positions(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether a call makes a pooled or resized map: fewer or more positions, every channel for itself."""
    if "pool" in name or name in _RESAMPLINGS:
        return True
    if name not in _REDUCTIONS or not args or not isinstance(args[0], Tensor):
        return False
    given = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else None))
    axes = (given,) if isinstance(given, int) and not isinstance(given, bool) else given
    if not isinstance(axes, list | tuple) or not axes or not all(isinstance(axis, int) for axis in axes):
        return False
    dimensions = args[0].dim()
    reduced = {axis % dimensions for axis in axes} if dimensions else set()
    return dimensions >= 3 and 0 not in reduced and not (dimensions >= 4 and reduced == {1})


def split_input(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Tensor, Sequence[Any], dict[str, Any]]:
    """Return the first argument, called ``input`` where it is named, and the others."""
    if args:
        return args[0], args[1:], kwargs
    return kwargs["input"], (), {key: value for key, value in kwargs.items() if key != "input"}

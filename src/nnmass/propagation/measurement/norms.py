"""Norms with their statistics held fixed: what they multiply every element by.

The signatures are those of `torch.nn.functional`, and of the functions of the same names in `torch`.  Batch norm is
computed with the statistics of the batch, whatever the module has stored.  Each function returns the output and the
scale that broadcasts to it.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """γ / √(variance over batch and positions + eps), per channel."""
    result = F.batch_norm(x, None, None, weight, bias, True, 0.0, eps)
    axes = [0, *range(2, x.dim())]
    scale = torch.rsqrt(x.var(axes, correction=0, keepdim=True) + eps)
    return result, scale * _channels(weight, x)


def instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """γ / √(variance over positions + eps), per sample and channel."""
    result = F.instance_norm(x, None, None, weight, bias, True, 0.0, eps)
    scale = torch.rsqrt(x.var(list(range(2, x.dim())), correction=0, keepdim=True) + eps)
    return result, scale * _channels(weight, x)


def group_norm(
    x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> tuple[Tensor, Tensor]:
    """γ / √(variance over the group's channels and positions + eps), per sample and channel."""
    result = F.group_norm(x, num_groups, weight, bias, eps)
    variance = x.reshape(len(x), num_groups, -1).var(2, correction=0)
    per_channel = torch.rsqrt(variance + eps).repeat_interleave(x.shape[1] // num_groups, 1)
    return result, per_channel.reshape(*x.shape[:2], *[1] * (x.dim() - 2)) * _channels(weight, x)


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """γ / √(variance over the last axes + eps)."""
    result = F.layer_norm(x, normalized_shape, weight, bias, eps)
    axes = list(range(x.dim() - len(normalized_shape), x.dim()))
    scale = torch.rsqrt(x.var(axes, correction=0, keepdim=True) + eps)
    return result, scale if weight is None else scale * weight


def rms_norm(
    x: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> tuple[Tensor, Tensor]:
    """γ / √(mean square over the last axes + eps)."""
    result = F.rms_norm(x, normalized_shape, weight, eps)
    axes = list(range(x.dim() - len(normalized_shape), x.dim()))
    least = torch.finfo(x.dtype).eps if eps is None else eps
    scale = torch.rsqrt(x.square().mean(axes, keepdim=True) + least)
    return result, scale if weight is None else scale * weight


def _channels(weight: Tensor | None, x: Tensor) -> Tensor | float:
    return 1.0 if weight is None else weight.reshape(1, -1, *[1] * (x.dim() - 2))


def _torch_batch_norm(
    input: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, training: Any, momentum: Any, eps: float, _: Any
) -> tuple[Tensor, Tensor]:
    return batch_norm(input, None, None, weight, bias, eps=eps)


def _torch_instance_norm(
    input: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, use: Any, momentum: Any, eps: float, _: Any
) -> tuple[Tensor, Tensor]:
    return instance_norm(input, None, None, weight, bias, eps=eps)


def _torch_layer_norm(
    input: Tensor, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any, **__: Any
) -> tuple[Tensor, Tensor]:
    return layer_norm(input, normalized_shape, weight, bias, eps)


def _torch_group_norm(
    input: Tensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any, **__: Any
) -> tuple[Tensor, Tensor]:
    return group_norm(input, num_groups, weight, bias, eps)


Norm: TypeAlias = Callable[..., tuple[Tensor, Tensor]]

_NORMS: dict[Any, Norm] = {
    F.batch_norm: batch_norm,
    F.instance_norm: instance_norm,
    F.group_norm: group_norm,
    F.layer_norm: layer_norm,
    F.rms_norm: rms_norm,
    torch.batch_norm: _torch_batch_norm,
    torch.instance_norm: _torch_instance_norm,
    torch.group_norm: _torch_group_norm,
    torch.layer_norm: _torch_layer_norm,
    torch.rms_norm: rms_norm,
}


def norm_of(func: Callable[..., Any]) -> Norm | None:
    """Return what stands for a norm; None for any other function."""
    return _NORMS.get(func)


def frozen(x: Tensor, value: Tensor, scale: Tensor) -> Tensor:
    """Return the value as a function of x whose derivative is the scale."""
    result: Tensor = _Frozen.apply(x, value, scale)  # type: ignore[no-untyped-call]
    return result


class _Frozen(torch.autograd.Function):
    """A norm whose statistics do not change with what it reads."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (scale,) = ctx.saved_tensors
        return gradients[0] * scale, None, None

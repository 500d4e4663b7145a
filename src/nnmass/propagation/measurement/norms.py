"""Norms with their statistics held fixed: what they multiply every element by.

The signatures are those of `torch.nn.functional`.  Batch norm is computed with the statistics of the batch, whatever
the module has stored.  Each function returns the output and the scale that broadcasts to it.
"""

from collections.abc import Callable, Sequence

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


def _channels(weight: Tensor | None, x: Tensor) -> Tensor | float:
    return 1.0 if weight is None else weight.reshape(1, -1, *[1] * (x.dim() - 2))


NORMS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "batch_norm": batch_norm,
    "instance_norm": instance_norm,
    "group_norm": group_norm,
    "layer_norm": layer_norm,
}

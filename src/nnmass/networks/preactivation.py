"""Batch norm, ReLU and convolution of gathered channels, training in a fraction of the memory.

A skip channel has the same batch statistics wherever it is read, so they are computed once per layer instead of once
per reader.  And nothing as wide as a layer's input is kept for the backward pass: it is gathered and normalised again
from the layers' outputs (the memory-efficient DenseNet of Pleiss et al., arXiv:1707.06990, without its second
convolution).  The result is that of the three modules on the concatenation.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from nnmass.networks.skips import LayerInput

Statistics: TypeAlias = tuple[Tensor, Tensor]
"""Biased variance and mean of every channel of an output over batch and positions."""


def batch_statistics(output: Tensor) -> Statistics:
    """Statistics of one layer's output, (batch, width, h, w), each (width,)."""
    variance, mean = _Statistics.apply(output)  # type: ignore[no-untyped-call]
    return variance, mean


def norm_relu_conv(
    norm: nn.BatchNorm2d,
    conv: nn.Conv2d,
    layer_input: LayerInput,
    outputs: Sequence[Tensor],
    statistics: Sequence[Statistics],
) -> Tensor:
    """Convolution of ReLU of training-mode batch norm of a layer's input.

    Args:
        norm: the batch norm; its running statistics are updated as it would do.
        conv: the convolution: square, stride 1, no bias.
        layer_input: what the layer reads.
        outputs: outputs of all earlier layers of the cell.
        statistics: their statistics.
    """
    direct = layer_input.direct
    assert direct is not None
    parts = [statistics[-1], *([s[channels] for s in statistics[j]] for j, channels in layer_input.origins)]
    variance, mean = (torch.cat([part[k] for part in parts]) for k in (0, 1))
    _update_running_statistics(norm, variance, mean, count=direct.numel() // direct.shape[1])
    sources = [outputs[j] for j, _ in layer_input.origins]
    channels = [picked for _, picked in layer_input.origins]
    learned = (mean, variance, norm.weight, norm.bias, conv.weight)
    result: Tensor = _NormReLUConv.apply(norm.eps, channels, *learned, direct, *layer_input.skips, *sources)  # type: ignore[no-untyped-call]
    return result


def is_plain(norm: nn.Module, conv: nn.Module) -> bool:
    """Whether `norm_relu_conv` may stand for calling the modules: a training batch norm as PyTorch's, no hooks."""
    return (
        type(norm) is nn.BatchNorm2d
        and type(conv) is nn.Conv2d
        and conv.bias is None
        and conv.padding_mode == "zeros"
        and (conv.stride, conv.dilation, conv.groups) == ((1, 1), (1, 1), 1)
        and conv.padding == (conv.kernel_size[0] // 2,) * 2
        and norm.training
        and norm.affine
        and norm.track_running_stats
        and norm.momentum is not None
        and not (_has_hooks(norm) or _has_hooks(conv))
    )


def _has_hooks(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


@torch.no_grad()
def _update_running_statistics(norm: nn.BatchNorm2d, variance: Tensor, mean: Tensor, count: int) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * (count / max(count - 1, 1)), norm.momentum)


class _Statistics(torch.autograd.Function):
    """Biased variance and mean per channel; batch norm's own kernel is three times faster than ``var_mean``."""

    @staticmethod
    def forward(ctx: Any, output: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = torch.ops.aten.batch_norm_update_stats(output, None, None, 0.0)
        ctx.save_for_backward(output, mean)
        return variance, mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_variance: Tensor, to_mean: Tensor) -> Tensor:
        output, mean = ctx.saved_tensors
        count = output.numel() // output.shape[1]
        slope = 2 * to_variance / count
        offset = to_mean / count - slope * mean
        return torch.addcmul(offset.view(1, -1, 1, 1), output, slope.view(1, -1, 1, 1))


class _NormReLUConv(torch.autograd.Function):
    """conv(ReLU(norm(cat(direct, skips)))) for given statistics; keeps references to whole outputs only."""

    @staticmethod
    def forward(
        ctx: Any,
        eps: float,
        channels: list[Tensor],
        mean: Tensor,
        variance: Tensor,
        weight: Tensor,
        bias: Tensor,
        kernel: Tensor,
        direct: Tensor,
        *rest: Tensor,
    ) -> Tensor:
        skips, sources = rest[: len(channels)], rest[len(channels) :]
        joined = torch.cat([direct, *skips], 1)
        active = F.batch_norm(joined, mean, variance, weight, bias, training=False, eps=eps).relu_()
        ctx.eps, ctx.count = eps, len(channels)
        ctx.save_for_backward(mean, variance, weight, bias, kernel, direct, *channels, *sources)
        return F.conv2d(active, kernel, padding=kernel.shape[-1] // 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        mean, variance, weight, bias, kernel, direct, *rest = ctx.saved_tensors
        channels, sources = rest[: ctx.count], rest[ctx.count :]
        picked = [source.index_select(1, index) for source, index in zip(sources, channels, strict=True)]
        joined = torch.cat([direct, *picked], 1)
        active = F.batch_norm(joined, mean, variance, weight, bias, training=False, eps=ctx.eps).relu_()
        padding = [kernel.shape[-1] // 2] * 2
        to_active, to_kernel, _ = torch.ops.aten.convolution_backward(
            gradient, active, kernel, None, [1, 1], padding, [1, 1], False, [0, 0], 1, [True, True, False]
        )
        to_normed = torch.ops.aten.threshold_backward(to_active, active, 0)
        del active, to_active
        # Batch norm as in evaluation mode: the statistics are inputs here, and have gradients of their own.
        to_joined, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            to_normed, joined, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        inverse = torch.rsqrt(variance + ctx.eps)
        to_mean = -weight * inverse * to_bias
        to_variance = -0.5 * weight * inverse**2 * to_weight
        pieces = to_joined.split([direct.shape[1], *(len(index) for index in channels)], 1)
        none = [None] * len(sources)
        return None, None, to_mean, to_variance, to_weight, to_bias, to_kernel, *pieces, *none

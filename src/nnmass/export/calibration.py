"""Networks of the same structure whose outputs are of order one and depend on every layer."""

import copy
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

SCALE = 0.5
"""Standard deviation of every layer's output."""
_JITTER = 0.2  # biases and scales of channels differ by this, relatively, so that no two channels are alike


@torch.no_grad()
def calibrated(
    network: nn.Module, inputs: Sequence[Tensor], *, shift: float, kept: Collection[str] = (), seed: int = 0
) -> nn.Module:
    """Copy a network, scale its layers in the order of their calls, and draw its biases.

    Drawn weights say nothing about a deep network: its outputs vanish, or its last bias alone is seen.  Here every
    convolution, linear layer and batch norm puts out numbers of mean ``shift`` × `SCALE` and standard deviation `SCALE`
    over the inputs, by one number per layer: what a layer does with its channels stays as it was
    (layer-sequential unit variance, arXiv:1511.06422).

    Args:
        network: in evaluation mode; it stays as it is.
        inputs: of one forward pass.
        shift: mean of the layers' outputs; the larger, the fewer of them an activation function cuts off.
        kept: tensors of the state that keep their values.
        seed: of the biases and scales.
    """
    scaled = copy.deepcopy(network)
    draw = _Drawn(shift, torch.Generator().manual_seed(seed))
    with ExitStack() as hooks, torch.random.fork_rng(devices=[]):
        for name, module in scaled.named_modules():
            keys = (*module._parameters, *module._buffers)
            if any(f"{name}.{key}".lstrip(".") in kept for key in keys):
                continue
            if isinstance(module, _BatchNorm) and module.running_mean is not None:
                hooks.callback(module.register_forward_pre_hook(draw.norm).remove)
            elif isinstance(module, nn.Linear | _ConvNd) and isinstance(module.weight, nn.Parameter):
                hooks.callback(module.register_forward_hook(draw.layer).remove)
        scaled(*inputs)
    return scaled


class _Drawn:
    """Hooks that set biases and scales while a batch passes through."""

    def __init__(self, shift: float, generator: torch.Generator) -> None:
        self.shift, self.generator = shift, generator
        self.seen: set[int] = set()

    def norm(self, norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Take the statistics of a norm's input; draw its scales and biases."""
        assert isinstance(norm, _BatchNorm)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        if not self._is_first(norm):
            return
        seen = inputs[0].transpose(0, 1).flatten(1).float()
        norm.running_mean.copy_(seen.mean(1))
        norm.running_var.copy_(seen.var(1, correction=0))
        if norm.affine:
            norm.weight.copy_(SCALE * self._near_one(norm.weight))
            norm.bias.copy_(self.shift * SCALE * self._near_one(norm.bias))

    def layer(self, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        """Scale a layer's weights and draw its biases; returns what it then puts out."""
        assert isinstance(layer, nn.Linear | _ConvNd)
        channel = 1 if isinstance(layer, _ConvNd) else output.dim() - 1
        if not self._is_first(layer) or (isinstance(layer, _ConvNd) and output.dim() == len(layer.kernel_size) + 1):
            return None
        values = output.transpose(0, channel).flatten(1).float()
        scale = values.var(1, correction=0).mean().sqrt() / SCALE
        if not (torch.isfinite(scale) and scale > 0):
            return None
        layer.weight.div_(scale)
        if layer.bias is None:
            return output / scale
        shape = [-1 if axis == channel else 1 for axis in range(output.dim())]
        moved = (output - layer.bias.view(shape)) / scale
        mean = (values.mean(1) - layer.bias) / scale
        layer.bias.copy_(self.shift * SCALE * self._near_one(layer.bias) - mean)
        return moved + layer.bias.view(shape)

    def _is_first(self, module: nn.Module) -> bool:
        first = id(module) not in self.seen
        self.seen.add(id(module))
        return first

    def _near_one(self, like: Tensor) -> Tensor:
        return 1 + _JITTER * torch.randn(like.shape, generator=self.generator, dtype=torch.float32)

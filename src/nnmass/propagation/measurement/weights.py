"""Drawing a network's weights anew."""

import torch
from torch import Tensor, nn

from nnmass.propagation.initialisation import Initialisation


@torch.no_grad()
def initialise(model: nn.Module, init: Initialisation, seed: int) -> None:
    """Draw the weights and biases of every convolution and linear layer.

    Args:
        model: changed in place; norms are left alone.
        init: how; PyTorch's default leaves the model as it was built.
        seed: of a generator of its own.
    """
    if init.kind == "default":
        return
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            module.weight.copy_(_drawn(module.weight, init, generator))
            if module.bias is not None:
                module.bias.zero_()


def _drawn(weight: Tensor, init: Initialisation, generator: torch.Generator) -> Tensor:
    drawn = torch.empty(weight.shape)
    if init.kind == "orthogonal":
        return nn.init.orthogonal_(drawn, generator=generator)
    fan_in, fan_out = weight[0].numel(), len(weight) * weight[0, 0].numel()
    return drawn.normal_(0, init.weight_variance(fan_in, fan_out) ** 0.5, generator=generator)

"""Batch norms of untrained networks, given the statistics of what passes through them."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nnmass.timing.engines import evaluation
from nnmass.timing.inputs import random_inputs
from nnmass.tracing.input_types import InputType


def settled(
    network: nn.Module, shapes: Sequence[tuple[int, ...]], *, batch: int = 4, types: Sequence[InputType | str] = ()
) -> nn.Module:
    """Give batch norms statistics of data, without which activations of an untrained network vanish or overflow.

    Numbers that underflow or overflow take longer.  The network is never in training mode; norms that have seen data
    stay as they are.

    Args:
        network: its norms' statistics are set; put into evaluation mode.
        shapes: of its inputs, without the batch.
        batch: inputs whose statistics are taken.
        types: of its inputs.

    Raises:
        ModelError: its forward pass fails.
    """
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and _is_untouched(module)]
    if norms:
        run = evaluation(network, random_inputs(network, shapes, batch, types))
        with ExitStack() as hooks, torch.random.fork_rng(devices=[]):
            for norm in norms:
                hooks.callback(norm.register_forward_pre_hook(_take_statistics).remove)
            run()
    return network


def _is_untouched(norm: _BatchNorm) -> bool:
    """Whether a norm has never seen data."""
    mean, variance = norm.running_mean, norm.running_var
    return mean is not None and variance is not None and not bool(mean.any()) and bool((variance == 1).all())


def _take_statistics(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
    (x, *_) = inputs
    assert isinstance(norm, _BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    seen: Tensor = x.detach().float().transpose(0, 1).flatten(1)
    norm.running_mean.copy_(seen.mean(1))
    if seen.shape[1] > 1:
        norm.running_var.copy_(seen.var(1))

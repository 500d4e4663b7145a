"""Optimizers and their schedules from a `TrainingConfig`."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nnmass.training.config import TrainingConfig


def make_optimizer(config: TrainingConfig, parameters: Iterable[Tensor | nn.Parameter]) -> torch.optim.Optimizer:
    """Make the optimizer of a configuration."""
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True)
    return torch.optim.SGD(
        parameters,
        config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        fused=True,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, config: TrainingConfig, *, step: int, steps: int) -> None:
    """Set the learning rate of one of ``steps`` steps, counted from 0: linear warm-up, then the schedule."""
    warmup = config.warmup_epochs * steps / config.epochs
    if step < warmup:
        fraction = min((step + 1) / warmup, 1.0)
    elif config.schedule == "cosine":
        fraction = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
    else:
        fraction = 1.0
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * fraction

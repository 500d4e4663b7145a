"""Optimizers and their schedules from a `TrainingConfig`."""

import difflib
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from nnmass.errors import InvalidValueError, first_line
from nnmass.plain_text import plain
from nnmass.tracing.libraries import import_library
from nnmass.training.config import TrainingConfig

Schedule: TypeAlias = Callable[[int], None]
"""Sets the learning rate of a step, counted from 0 over all epochs; it depends on nothing that came before."""

_FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What timm raises at options that are none: it does not check them."""
_SHOWN = 8
_EVERY_EPOCH = ("plateau", "none")


def make_optimizer(config: TrainingConfig, model: nn.Module | Iterable[Tensor]) -> torch.optim.Optimizer:
    """Make the optimizer of a configuration.

    Args:
        config: how to train.
        model: a network, or its parameters; timm's optimizers need a network, whose biases and norms do not decay.

    Raises:
        InvalidValueError: timm has no such optimizer, or it takes no such options.
        ModelError: timm is needed and not installed.
    """
    if config.optimizer.startswith("timm:"):
        return _timm_optimizer(config, model)
    parameters = model.parameters() if isinstance(model, nn.Module) else model
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


def make_schedule(optimizer: torch.optim.Optimizer, config: TrainingConfig, *, steps: int) -> Schedule:
    """Make the schedule of a configuration: linear warm-up, then what it names; or all as timm does it.

    Args:
        optimizer: whose learning rate is set.
        config: how to train.
        steps: of an epoch.

    Raises:
        InvalidValueError: timm has no such schedule that goes step by step, or it takes no such options.
        ModelError: timm is needed and not installed.
    """
    if config.schedule.startswith("timm:"):
        return _timm_schedule(optimizer, config, steps)
    total, warmup = config.epochs * steps, config.warmup_epochs * steps

    def set_rate(step: int) -> None:
        if step < warmup:
            fraction = min((step + 1) / warmup, 1.0)
        elif config.schedule == "cosine":
            fraction = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
        else:
            fraction = 1.0
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * fraction

    return set_rate


def learning_rates(config: TrainingConfig, *, steps: int) -> Iterator[float]:
    """Learning rates of the steps from 0 on, as `make_schedule` sets them.

    Args:
        config: how to train.
        steps: of an epoch.
    """
    optimizer = torch.optim.SGD([torch.zeros(1)], config.learning_rate)
    set_rate = make_schedule(optimizer, config, steps=steps)
    for step in range(config.epochs * steps):
        set_rate(step)
        yield float(optimizer.param_groups[0]["lr"])


def _timm_optimizer(config: TrainingConfig, model: nn.Module | Iterable[Tensor]) -> torch.optim.Optimizer:
    optim: Any = import_library("timm.optim")
    name = config.optimizer.removeprefix("timm:")
    known = optim.list_optimizers()
    if name.removeprefix("lookahead_") not in known:
        close = difflib.get_close_matches(name, known) or [*known[:_SHOWN], f"and {len(known) - _SHOWN} others"]
        shown = plain(repr(name), limit=80)
        raise InvalidValueError(f"training: optimizer: timm has none named {shown}; it has {', '.join(close)}")
    settings = {"lr": config.learning_rate, "weight_decay": config.weight_decay, "momentum": config.momentum}
    try:
        made: torch.optim.Optimizer = optim.create_optimizer_v2(
            model, opt=name, **{**settings, **config.optimizer_options}
        )
    except _FAILURES as error:
        raise InvalidValueError(f"training: {config.optimizer} cannot be made ({first_line(error)})") from None
    if getattr(made, "is_second_order", False):
        raise InvalidValueError(f"training: {config.optimizer} needs second derivatives, which are not computed here")
    return made


def _timm_schedule(optimizer: torch.optim.Optimizer, config: TrainingConfig, steps: int) -> Schedule:
    scheduler: Any = import_library("timm.scheduler")
    name = config.schedule.removeprefix("timm:")
    if name in _EVERY_EPOCH:
        raise InvalidValueError(f"training: schedule {config.schedule} does not follow from the step alone")
    settings = {"num_epochs": config.epochs, "warmup_epochs": config.warmup_epochs}
    try:
        made, _ = scheduler.create_scheduler_v2(
            optimizer,
            sched=name,
            step_on_epochs=False,
            updates_per_epoch=steps,
            **{**settings, **config.schedule_options},
        )
    except _FAILURES as error:
        raise InvalidValueError(f"training: schedule {config.schedule} cannot be made ({first_line(error)})") from None

    def set_rate(step: int) -> None:
        try:
            made.step_update(step)
        except _FAILURES as error:
            reason = plain(first_line(error), limit=200)
            raise InvalidValueError(
                f"training: schedule {config.schedule} does not work with these schedule_options ({reason})"
            ) from None

    return set_rate


@contextmanager
def options_checked(config: TrainingConfig) -> Iterator[None]:
    """Say of a failing step that it is the optimizer's options that it fails with, where some were given.

    Raises:
        InvalidValueError: timm has taken them, but cannot work with them.
    """
    try:
        yield
    except _FAILURES as error:
        if not config.optimizer_options:
            raise
        reason = plain(first_line(error), limit=200)
        raise InvalidValueError(
            f"training: {config.optimizer} does not work with these optimizer_options ({reason})"
        ) from None

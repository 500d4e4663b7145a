"""What changes while a network is trained, and what a checkpoint holds of it."""

import math
import os
from typing import Any

import torch
from torch import Tensor, nn

from nnmass.architectures import Specification
from nnmass.errors import CheckpointError, first_line
from nnmass.plain_text import plain
from nnmass.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_state,
    save_checkpoint,
    set_optimizer_state,
)
from nnmass.training.config import TrainingConfig
from nnmass.training.extension import counted, require_part_of
from nnmass.training.optimizers import make_optimizer
from nnmass.training.place import Place


class TrainingState:
    """A network in training.

    Attributes:
        model: the network itself, whose weights are kept.
        joined: the same, joined with other processes where there are some.
        forward: what is called: the same again, perhaps compiled.
        optimizer: of its weights.
        average: moving averages of its parameters and buffers, by name; empty without them.
        epoch: that is being trained, from 0.
        step: of the epoch, from 0.
        loss: sum of the losses of this epoch's samples.
        train_loss: mean loss of each finished epoch.
        validation_accuracy: after each finished epoch.
    """

    def __init__(self, spec: Specification, config: TrainingConfig, seed: int, place: Place) -> None:
        self.config, self.place = config, place
        self.model: Any = spec.build(seed)
        self.model.to(place.device)
        if config.channels_last:
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.joined = place.joined(self.model)
        self.forward: Any = torch.compile(self.joined) if config.compile else self.joined
        self.optimizer = make_optimizer(config, self.model)
        self.average = _floats(self.model, copied=True) if config.ema else {}
        self.epoch = self.step = 0
        self.loss = torch.zeros((), device=place.device, dtype=torch.float64)
        self.train_loss: list[float] = []
        self.validation_accuracy: list[float] = []

    @torch.no_grad()
    def follow(self) -> None:
        """Let the moving averages follow the weights by one step; they start as plain means."""
        steps = self.epoch * 1_000_000 + self.step  # only its beginning matters
        decay = min(self.config.ema, (1 + steps) / (10 + steps))
        for name, tensor in _floats(self.model).items():
            self.average[name].lerp_(tensor, 1 - decay)

    @torch.no_grad()
    def swap_average(self) -> None:
        """Exchange weights and moving averages; twice is as before."""
        for name, tensor in _floats(self.model).items() if self.average else ():
            kept = tensor.clone()
            tensor.copy_(self.average[name])
            self.average[name].copy_(kept)

    def resume(self, path: str | os.PathLike[str] | None, run: dict[str, Any], *, steps: int) -> None:
        """Take up a checkpoint, if there is one.

        Args:
            path: the file.
            run: describes the run; that of the checkpoint may have had another number of epochs.
            steps: of an epoch.

        Raises:
            CheckpointError: damaged, of another run, or made by somebody who did not know what it must hold.
        """
        saved = load_checkpoint(path) if path is not None else None
        if saved is None:
            return
        try:
            require_part_of(saved, run, self.config, steps=steps, where=path)
            self._take_up(saved, steps)
        except CheckpointError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: damaged, or not a checkpoint ({first_line(error)})") from None

    def _take_up(self, saved: Checkpoint, steps: int) -> None:
        values = saved.values
        self.epoch, self.step = counted(values["epoch"], self.config.epochs), counted(values["step"], steps - 1)
        self.train_loss = _numbers(values["train_loss"], self.epoch)
        self.validation_accuracy = _numbers(values["validation_accuracy"], self.epoch)
        _check_alike(saved.part("model"), self.model.state_dict())
        _check_alike(saved.part("average"), self.average)
        _check_alike({"loss": saved.tensors["loss"]}, {"loss": self.loss})
        self.model.load_state_dict(saved.part("model"))
        set_optimizer_state(self.optimizer, saved.part("optimizer"), values["optimizer"])
        for name, tensor in saved.part("average").items():
            self.average[name].copy_(tensor)
        self.loss.copy_(saved.tensors["loss"] if self.place.first else torch.zeros(()))
        self.place.set_scaling(values["scaling"])

    def save(self, path: str | os.PathLike[str], run: dict[str, Any]) -> None:
        """Write a checkpoint, if this is the process that writes."""
        moments, numbers = optimizer_state(self.optimizer)
        parts: dict[str, dict[str, Tensor]] = {
            "model": self.model.state_dict(),
            "optimizer": moments,
            "average": self.average,
        }
        loss = self.place.total(self.loss.clone())  # of this epoch so far, over all processes
        if self.place.first:
            tensors = {f"{part}/{name}": tensor for part, own in parts.items() for name, tensor in own.items()}
            values = {
                "epoch": self.epoch,
                "step": self.step,
                "train_loss": self.train_loss,
                "validation_accuracy": self.validation_accuracy,
                "scaling": self.place.scaling(),
                "optimizer": numbers,
            }
            save_checkpoint(path, Checkpoint(run, {**tensors, "loss": loss}, values))
        self.place.wait()


def _floats(model: nn.Module, *, copied: bool = False) -> dict[str, Tensor]:
    """Parameters and buffers that can be averaged."""
    found = {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    return {name: tensor.detach().clone() for name, tensor in found.items()} if copied else found


def _numbers(values: Any, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"it does not hold the figures of {count} epochs")
    found = [value for value in values if type(value) is float and math.isfinite(value)]
    if len(found) != count:
        raise ValueError("its figures are no numbers")
    return found


def _check_alike(tensors: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """Refuse tensors of other names, sizes or types, and other links than the network's own."""
    if different := sorted(set(tensors) ^ set(own)):
        raise ValueError(f"it has or lacks {plain(different[0], limit=80)}")
    for name, tensor in own.items():
        saved = tensors[name]
        if saved.shape != tensor.shape or saved.dtype != tensor.dtype:
            raise ValueError(f"its {name} is of another size or type")
        if "skips" in name.split(".") and not torch.equal(saved, tensor.cpu()):
            raise ValueError(f"its {name} holds other links")

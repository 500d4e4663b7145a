"""Training one network: a plain loop."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnmass.architectures import DenseMLP, Specification
from nnmass.data import Dataset
from nnmass.errors import DataError, NNMassError
from nnmass.training.batches import TensorSplit, check_fits, crop_and_flip, epoch_batches, to_tensors
from nnmass.training.checkpoint import load_checkpoint, save_checkpoint
from nnmass.training.config import TrainingConfig
from nnmass.training.optimizers import make_optimizer, set_learning_rate
from nnmass.training.result import TrainingResult

Progress: TypeAlias = Callable[[int], None]
"""Called with the number of epochs that were finished since the last call."""

_EVALUATION_BATCH = 1_000
_DROPOUT = 1  # sets its random numbers apart from those of augmentation


class DivergedError(NNMassError):
    """The training loss became infinite or not a number."""


def train(
    spec: Specification,
    data: Dataset,
    config: TrainingConfig | None = None,
    *,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train the network of a specification on a data set.

    Links, weights, batches and dropout follow from ``seed``; a run that was killed and resumed gives the weights of
    one that was not, given the same number of threads.  On a CUDA device the forward pass runs in bfloat16.

    Args:
        spec: the network.
        data: what to learn; the test part is measured once, after the last epoch.
        config: how to train; by default 30 epochs of Adam.
        seed: at least 0.
        checkpoint: file to write after each epoch and to resume from; removed by nobody.
        device: where; by default CUDA if there is any, else the CPU.
        progress: told of finished epochs.

    Raises:
        DataError: the data does not fit the specification.
        CheckpointError: the checkpoint is damaged or of another run.
        DivergedError: the loss became infinite or not a number.
    """
    config = config or TrainingConfig()
    check_fits(spec, data)
    if config.augment == "crop-flip" and len(data.input_shape) != 3:
        raise DataError(f"{data.name}: crop-flip needs images, but its inputs have the shape {data.input_shape}")
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    flat = isinstance(spec, DenseMLP) and config.augment == "none"
    parts = {
        name: to_tensors(data, getattr(data, name), device=place, flat=flat) for name in ("train", "validation", "test")
    }
    state = _State(spec, config, seed, place)
    run = _describe(state.model.spec, data, config, seed)
    done = state.resume(checkpoint, run)
    if progress and done:
        progress(done)
    for epoch in range(done, config.epochs):
        with _random_numbers_of(seed, epoch, place):
            state.train_loss.append(_train_epoch(state, parts["train"], epoch))
        state.validation_accuracy.append(accuracy(state.model, parts["validation"]))
        if checkpoint is not None:
            state.save(checkpoint, run)
        if progress:
            progress(1)
    return TrainingResult(
        spec=state.model.spec,
        seed=seed,
        config=config,
        train_loss=tuple(state.train_loss),
        validation_accuracy=tuple(state.validation_accuracy),
        test_accuracy=accuracy(state.model, parts["test"]),
        model=state.model.eval(),
    )


@torch.no_grad()
def accuracy(model: nn.Module, part: TensorSplit) -> float:
    """Share of inputs whose largest logit is that of their label; the model's mode is left as it was."""
    training = model.training
    model.eval()
    try:
        batches = zip(part.inputs.split(_EVALUATION_BATCH), part.labels.split(_EVALUATION_BATCH), strict=True)
        correct = sum(int((model(inputs).argmax(1) == labels).sum()) for inputs, labels in batches)
    finally:
        model.train(training)
    return correct / len(part)


class _State:
    """What changes while a network is trained, and what a checkpoint holds."""

    def __init__(self, spec: Specification, config: TrainingConfig, seed: int, device: torch.device) -> None:
        self.config, self.seed, self.device = config, seed, device
        self.model: Any = spec.build(seed).to(device)
        self.optimizer = make_optimizer(config, self.model.parameters())
        self.train_loss: list[float] = []
        self.validation_accuracy: list[float] = []

    def resume(self, path: str | os.PathLike[str] | None, run: dict[str, Any]) -> int:
        """Take up a checkpoint; returns the number of epochs that it has behind it."""
        saved = load_checkpoint(path, run=run) if path is not None else None
        if saved is None:
            return 0
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.train_loss, self.validation_accuracy = saved["train_loss"], saved["validation_accuracy"]
        return len(self.train_loss)

    def save(self, path: str | os.PathLike[str], run: dict[str, Any]) -> None:
        save_checkpoint(
            path,
            {
                "run": run,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "train_loss": self.train_loss,
                "validation_accuracy": self.validation_accuracy,
            },
        )

    def mixed_precision(self) -> AbstractContextManager[object]:
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()


@contextmanager
def _random_numbers_of(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Make what dropout draws a function of seed and epoch alone; the caller's random state stays as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch, _DROPOUT]).generate_state(1)[0]))
        yield


def _train_epoch(state: _State, part: TensorSplit, epoch: int) -> float:
    config = state.config
    augmentation = torch.Generator().manual_seed(int(np.random.SeedSequence([state.seed, epoch]).generate_state(1)[0]))
    batches_per_epoch = -(-len(part) // config.batch_size)
    total = torch.zeros((), device=state.device)
    state.model.train()
    batches = epoch_batches(part, batch_size=config.batch_size, seed=state.seed, epoch=epoch)
    for i, (inputs, labels) in enumerate(batches):
        seen = crop_and_flip(inputs, augmentation) if config.augment == "crop-flip" else inputs
        set_learning_rate(
            state.optimizer, config, step=epoch * batches_per_epoch + i, steps=config.epochs * batches_per_epoch
        )
        with state.mixed_precision():
            loss: Tensor = F.cross_entropy(state.model(seen), labels)
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        total += loss.detach() * len(labels)
    mean = float(total) / len(part)
    if not torch.isfinite(total):
        raise DivergedError(
            f"the training loss became {mean} in epoch {epoch + 1} of {config.epochs} (seed {state.seed})"
        )
    return mean


def _describe(spec: Specification, data: Dataset, config: TrainingConfig, seed: int) -> dict[str, Any]:
    return {
        "spec": spec.model_dump_json(),
        "data": f"{data.name} ({data.source}, digest {data.digest[:12]})",
        "training": config.model_dump(),
        "seed": seed,
    }

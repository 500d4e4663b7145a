"""Training one network: a plain loop."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnmass.architectures import DenseMLP, Specification, check_seed
from nnmass.data import Data
from nnmass.errors import DataError, NNMassError
from nnmass.training.augmentation import Pixels, augmented, cross_entropy
from nnmass.training.batches import Feed, check_fits, feeds, pixels_of
from nnmass.training.config import TrainingConfig
from nnmass.training.metrics import Metrics
from nnmass.training.optimizers import make_schedule, options_checked
from nnmass.training.place import Place, find_place
from nnmass.training.result import TrainingResult
from nnmass.training.state import TrainingState

Progress: TypeAlias = Callable[[int], None]
"""Called with the number of epochs that were finished since the last call."""

CHECKPOINT_SECONDS = 60.0
"""How often a checkpoint is written within an epoch; there is one after each epoch besides."""
_EVALUATION_BATCH = 1_000
_DROPOUT = 1  # sets its random numbers apart from those of augmentation


class DivergedError(NNMassError):
    """The training loss became infinite or not a number."""


def train(
    spec: Specification,
    data: Data,
    config: TrainingConfig | None = None,
    *,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    metrics: Metrics | None = None,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train the network of a specification on a data set.

    Links, weights, batches, augmentation and dropout follow from ``seed``; a run that was killed at any step and
    resumed gives the weights of one that was not, given the same number of threads.  Started several times by
    ``accelerate launch``, the processes share every batch.

    Args:
        spec: the network.
        data: what to learn, in memory or as a stream; the test part is measured once, after the last epoch.
        config: how to train; by default 30 epochs of Adam.
        seed: from 0 to 2⁶³ - 1.
        checkpoint: file to write after each epoch, and within it now and then, and to resume from; removed by nobody.
            A run may be called with more epochs than before: it goes on, and ends as one of so many epochs would,
            where the learning rates of the steps that are done do not depend on the number of epochs.
        checkpoint_seconds: between checkpoints within an epoch.
        metrics: gets a row per epoch.
        device: where; by default CUDA if there is any, else the CPU.
        progress: told of finished epochs.

    Raises:
        InvalidValueError: a seed or device out of range.
        DataError: the data does not fit the specification.
        CheckpointError: the checkpoint is damaged, of another run or beyond this one, or cannot be written.
        DivergedError: the loss became infinite or not a number.
    """
    config = config or TrainingConfig()
    check_seed(seed)
    check_fits(spec, data)
    if config.alters_images and len(data.input_shape) != 3:
        raise DataError(
            f"{data.name}: {_altering(config)} needs images, but its inputs have the shape {data.input_shape}"
        )
    place = find_place(device, config.precision)
    flat = isinstance(spec, DenseMLP) and not config.alters_images
    parts = feeds(data, device=place.device, flat=flat)
    state = TrainingState(spec, config, seed, place)
    run = _describe(state.model.spec, data, config, seed)
    state.resume(checkpoint, run, steps=-(-len(parts["train"]) // config.batch_size))
    if progress and state.epoch:
        progress(state.epoch)
    loop = _Loop(state, seed, pixels_of(data, device=place.device), checkpoint, checkpoint_seconds, run)
    while state.epoch < config.epochs:
        row = loop.epoch(parts["train"])
        state.validation_accuracy.append(share(loop.answers(parts["validation"])))
        state.epoch, state.step = state.epoch + 1, 0
        state.loss.zero_()
        if checkpoint is not None:
            state.save(checkpoint, run)
        if metrics is not None and place.first:
            metrics.add({"epoch": state.epoch, **row, "validation_accuracy": state.validation_accuracy[-1]})
        if progress:
            progress(1)
    answers = loop.answers(parts["test"])
    state.swap_average()
    return TrainingResult(
        spec=state.model.spec,
        seed=seed,
        config=config,
        train_loss=tuple(state.train_loss),
        validation_accuracy=tuple(state.validation_accuracy),
        test_accuracy=share(answers),
        answers=answers,
        model=state.model.eval(),
    )


class _Loop:
    """Epochs of a network in training."""

    def __init__(
        self,
        state: TrainingState,
        seed: int,
        pixels: Pixels,
        checkpoint: str | os.PathLike[str] | None,
        checkpoint_seconds: float,
        run: dict[str, Any],
    ) -> None:
        self.state, self.place, self.config = state, state.place, state.config
        self.seed, self.pixels, self.run = seed, pixels, run
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.checkpoint_seconds = checkpoint_seconds

    def epoch(self, part: Feed) -> dict[str, float]:
        """Train an epoch, or what is left of it, and say how it went."""
        state, config, place = self.state, self.config, self.place
        steps = -(-len(part) // config.batch_size)
        set_rate = make_schedule(state.optimizer, config, steps=steps)
        state.forward.train()
        began = saved = time.monotonic()
        waited, seen = 0.0, 0
        batches = part.batches(
            batch_size=config.batch_size,
            seed=self.seed,
            epoch=state.epoch,
            start=state.step,
            rank=place.rank,
            world=place.world,
        )
        with _random_state_kept(place.device):
            while state.step < steps:
                asked = time.monotonic()
                inputs, labels = next(batches)
                waited += time.monotonic() - asked
                count = min(config.batch_size, len(part) - state.step * config.batch_size)
                set_rate(state.epoch * steps + state.step)
                self._step(inputs, labels, count)
                state.step += 1
                seen += count
                if self._due(saved) and state.step < steps:
                    self._save()
                    saved = time.monotonic()
        total = float(place.total(state.loss))
        mean = total / len(part)
        if not np.isfinite(mean):
            raise DivergedError(
                f"the training loss became {mean} in epoch {state.epoch + 1} of {config.epochs} (seed {self.seed})"
            )
        state.train_loss.append(mean)
        seconds = time.monotonic() - began
        rate = state.optimizer.param_groups[0]["lr"]
        return {
            "train_loss": mean,
            "learning_rate": rate,
            "images_per_second": seen / seconds,
            "waited_for_data": waited / seconds,
        }

    def _step(self, inputs: Tensor, labels: Tensor, count: int) -> None:
        state, config, place = self.state, self.config, self.place
        seed = (self.seed, state.epoch, state.step, place.rank)
        torch.manual_seed(_number(*seed, _DROPOUT))
        if config.alters_images:
            inputs, labels = augmented(config, inputs, labels, self.pixels, seed=seed)
        if config.channels_last and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        state.optimizer.zero_grad()
        pieces = list(zip(inputs.chunk(config.accumulate), labels.chunk(config.accumulate), strict=True))
        for i, (some, theirs) in enumerate(pieces):
            if i + 1 < len(pieces):
                with place.apart(state.joined):
                    self._backward(some, theirs, count)
            else:
                self._backward(some, theirs, count)
        with options_checked(config):
            place.step(state.optimizer)
        if config.ema:
            state.follow()

    def _backward(self, inputs: Tensor, labels: Tensor, count: int) -> None:
        with self.place.forward():
            logits = self.state.forward(inputs)
        loss = cross_entropy(logits.float(), labels, label_smoothing=self.config.label_smoothing)
        self.place.backward(loss * self.place.world / count)  # joined processes average their gradients
        self.state.loss += loss.detach()

    def _due(self, saved: float) -> bool:
        """Whether a checkpoint within the epoch is due; the first process decides for all."""
        if self.checkpoint is None:
            return False
        due = self.place.first and time.monotonic() - saved >= self.checkpoint_seconds
        if self.place.world == 1:
            return due
        return bool(self.place.total(torch.tensor(float(due), device=self.place.device)))

    def _save(self) -> None:
        assert self.checkpoint is not None
        self.state.save(self.checkpoint, self.run)

    def answers(self, part: Feed) -> npt.NDArray[np.bool_]:
        """Which samples of a part are classified rightly, by the moving averages where there are any."""
        self.state.swap_average()
        with self.place.forward():
            own = own_answers(self.state.model, part, self.place)
        self.state.swap_average()
        return np.asarray(self.place.total(own).cpu().numpy() > 0)


@torch.no_grad()
def own_answers(model: nn.Module, part: Feed, place: Place) -> Tensor:
    """1 for inputs, of this process, whose largest logit is that of their label; the model's mode is left as it was."""
    training = model.training
    model.eval()
    answers = torch.zeros(len(part), dtype=torch.int64, device=place.device)
    own, seen = answers[place.rank :: place.world], 0
    try:
        for inputs, labels in part.in_order(batch_size=_EVALUATION_BATCH, rank=place.rank, world=place.world):
            own[seen : seen + len(labels)] = model(inputs).argmax(1) == labels
            seen += len(labels)
    finally:
        model.train(training)
    return answers


def share(answers: npt.NDArray[np.bool_]) -> float:
    """Share of right answers."""
    return int(answers.sum()) / len(answers)


@contextmanager
def _random_state_kept(device: torch.device) -> Iterator[None]:
    """Leave the caller's random state as it was; every step seeds its own."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _number(*seed: int) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def _altering(config: TrainingConfig) -> str:
    """The first thing that needs images."""
    if config.augment != "none":
        return config.augment
    return next(name for name in ("cutout", "randaugment", "mixup") if getattr(config, name))


def _describe(spec: Specification, data: Data, config: TrainingConfig, seed: int) -> dict[str, Any]:
    return {
        "spec": spec.model_dump_json(),
        "data": f"{data.name} ({data.source}, digest {data.digest[:12]})",
        "training": config.model_dump(mode="json"),
        "seed": seed,
    }

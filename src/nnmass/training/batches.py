"""Batches: the same order for the same seed, whoever trains."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from nnmass.architectures import DenseMLP, Specification, require_specification
from nnmass.data import Data, Dataset, ImageStream, Split, StreamPart
from nnmass.errors import DataError, WrongTypeError
from nnmass.training.augmentation import Pixels


@dataclass(frozen=True)
class TensorSplit:
    """One part of a data set on a device, normalised.

    Attributes:
        inputs: float tensor (samples, ...).
        labels: int64 tensor (samples,).
    """

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(
        self, *, batch_size: int, seed: int, epoch: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch, in an order that seed and epoch alone decide.

        Args:
            batch_size: samples per batch, over all processes; the last batch may be smaller.
            seed: of the run.
            epoch: from 0.
            start: batches that are left out, as they were seen before an interruption.
            rank: which process this is; it gets every ``world``-th sample of a batch, perhaps none of the last one.
            world: how many processes there are.
        """
        order = epoch_order(len(self), seed=seed, epoch=epoch).to(self.labels.device)
        for index in order.split(batch_size)[start:]:
            own = index[rank::world]
            yield self.inputs[own], self.labels[own]

    def in_order(self, *, batch_size: int, rank: int = 0, world: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every sample once, in its own order; process r of several has sample r and every ``world``-th on."""
        yield from zip(
            self.inputs[rank::world].split(batch_size), self.labels[rank::world].split(batch_size), strict=True
        )


@dataclass(frozen=True)
class StreamedSplit:
    """One part of a stream of images, normalised on a device batch by batch."""

    stream: ImageStream
    part: StreamPart
    pixels: Pixels

    def __len__(self) -> int:
        return len(self.part)

    def batches(
        self, *, batch_size: int, seed: int, epoch: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch; see `TensorSplit.batches`."""
        options = {"batch_size": batch_size, "seed": seed, "epoch": epoch, "start": start, "rank": rank, "world": world}
        yield from map(self._ready, self.stream.batches(self.part, training=True, **options))

    def in_order(self, *, batch_size: int, rank: int = 0, world: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every image once; see `TensorSplit.in_order`."""
        batches = self.stream.batches(self.part, batch_size=batch_size * world, training=False, rank=rank, world=world)
        yield from map(self._ready, batches)

    def _ready(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        device = self.pixels.mean.device
        images, labels = (tensor.to(device, non_blocking=True) for tensor in batch)
        return images.float().div_(255).sub_(self.pixels.mean).div_(self.pixels.std), labels


Feed: TypeAlias = TensorSplit | StreamedSplit
"""What a network is trained or measured on."""


def feeds(data: Data, *, device: torch.device, flat: bool = False) -> dict[str, Feed]:
    """The training, validation and test part of data, for a device."""
    names = ("train", "validation", "test")
    if isinstance(data, ImageStream):
        pixels = pixels_of(data, device=device)
        return {name: StreamedSplit(data, getattr(data, name), pixels) for name in names}
    return {name: to_tensors(data, getattr(data, name), device=device, flat=flat) for name in names}


def to_tensors(data: Dataset, split: Split, *, device: torch.device, flat: bool = False) -> TensorSplit:
    """Normalise a part of a data set and move it to a device; ``flat`` makes each input one row."""
    inputs = torch.from_numpy(split.inputs).to(device)
    scaled = inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs.clone()
    pixels = pixels_of(data, device=device)
    scaled.sub_(pixels.mean).div_(pixels.std)
    return TensorSplit(scaled.flatten(1) if flat else scaled, torch.from_numpy(split.labels).to(device))


def pixels_of(data: Data, *, device: torch.device) -> Pixels:
    """How the inputs of `to_tensors` come from the pixels of a data set."""
    shape = (-1, *([1] * (len(data.input_shape) - 1)))
    mean, std = (torch.tensor(v, dtype=torch.float32, device=device).view(shape) for v in (data.mean, data.std))
    return Pixels(mean, std)


def check_fits(spec: Specification, data: Data) -> None:
    """Check that a network of this specification can read this data.

    Raises:
        DataError: the shape of an input or the number of classes differs; says which is needed.
    """
    require_specification(spec)
    if not hasattr(data, "input_shape"):
        raise WrongTypeError(f"data must be a data set (nnmass.load_data reads one), got {type(data).__name__}")
    got = data.input_shape
    flat = isinstance(spec, DenseMLP)
    fits = int(np.prod(got)) == spec.input_shape[0] if flat else got == spec.input_shape
    if not fits:
        needs = f"{spec.input_shape[0]} values" if flat else f"the shape {spec.input_shape}"
        raise DataError(f"{data.name}: its inputs have the shape {got}, but the specification reads {needs}")
    if data.num_classes != spec.num_classes:  # type: ignore[attr-defined]
        classes = spec.num_classes  # type: ignore[attr-defined]
        raise DataError(f"{data.name}: has {data.num_classes} classes, but the specification has {classes}")


def epoch_order(count: int, *, seed: int, epoch: int) -> Tensor:
    """Order of the samples in one epoch: a function of seed and epoch alone, so that training can be resumed."""
    return torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(count))

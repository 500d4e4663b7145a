"""Batches: the same order for the same seed, whoever trains."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nnmass.architectures import DenseMLP, Specification
from nnmass.data import Dataset, Split
from nnmass.errors import DataError

_SHIFT = 4  # pixels


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


def to_tensors(data: Dataset, split: Split, *, device: torch.device, flat: bool = False) -> TensorSplit:
    """Normalise a part of a data set and move it to a device; ``flat`` makes each input one row."""
    inputs = torch.from_numpy(split.inputs).to(device)
    scaled = inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs.clone()
    shape = (-1, *([1] * (scaled.ndim - 2)))
    mean, std = (torch.tensor(v, dtype=scaled.dtype, device=device).view(shape) for v in (data.mean, data.std))
    scaled.sub_(mean).div_(std)
    return TensorSplit(scaled.flatten(1) if flat else scaled, torch.from_numpy(split.labels).to(device))


def check_fits(spec: Specification, data: Dataset) -> None:
    """Check that a network of this specification can read this data.

    Raises:
        DataError: the shape of an input or the number of classes differs; says which is needed.
    """
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


def epoch_batches(split: TensorSplit, *, batch_size: int, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of one epoch: inputs (batch, ...) and labels (batch,)."""
    order = epoch_order(len(split), seed=seed, epoch=epoch).to(split.labels.device)
    for index in order.split(batch_size):
        yield split.inputs[index], split.labels[index]


def crop_and_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to 4 pixels each way, filling with the mean, and mirror half of them.

    Args:
        images: (batch, channels, h, w), normalised.
        generator: on the CPU.
    """
    count, _, height, width = images.shape
    padded = F.pad(images, (_SHIFT,) * 4)
    top, left = (torch.randint(2 * _SHIFT + 1, (count,), generator=generator).to(images.device) for _ in range(2))
    mirrored = torch.randint(2, (count,), generator=generator).to(images.device).bool()
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    sample = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

"""What is done to the images of a batch before a network sees them, on the device where they are."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nnmass.errors import DataError
from nnmass.tracing.libraries import import_library
from nnmass.training.config import TrainingConfig

_SHIFT = 4  # pixels
_OPERATIONS = 2
_BINS = 31  # of magnitudes, as RandAugment counts them
_ALIKE = 8  # images that share one draw of operations


@dataclass(frozen=True)
class Pixels:
    """How normalised inputs come from pixels in [0, 1].

    Attributes:
        mean: (channels, 1, 1), or as many as inputs have.
        std: likewise.
    """

    mean: Tensor
    std: Tensor


def augmented(
    config: TrainingConfig, inputs: Tensor, labels: Tensor, pixels: Pixels, *, seed: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Alter a batch as a configuration says.

    Args:
        config: how.
        inputs: (batch, channels, h, w), normalised.
        labels: (batch,) classes.
        pixels: of the data, for operations on colours.
        seed: everything random follows from it.

    Returns:
        Inputs, and labels as classes, or (batch, 3) as class, other class and share of the first where they are mixed.
    """
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    if config.augment == "crop-flip":
        inputs = crop_and_flip(inputs, generator)
    if config.randaugment:
        inputs = random_operations(inputs, pixels, config.randaugment, generator)
    if config.cutout:
        inputs = cut_out(inputs, config.cutout, generator)
    if config.mixup:
        return mixed_up(inputs, labels, config.mixup, np.random.default_rng(seed))
    return inputs, labels


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


def cut_out(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Blank a square of each image, centred anywhere in it, with the mean (arXiv:1708.04552).

    Args:
        images: (batch, channels, h, w), normalised.
        side: of the square, in pixels; what lies outside the image is cut off.
        generator: on the CPU.
    """
    count, _, height, width = images.shape
    blank = []
    for size in (height, width):
        first = torch.randint(size, (count, 1), generator=generator) - side // 2
        place = torch.arange(size)
        blank.append(((place >= first) & (place < first + side)).to(images.device))
    return images.masked_fill((blank[0][:, :, None] & blank[1][:, None, :])[:, None], 0.0)


def random_operations(images: Tensor, pixels: Pixels, magnitude: int, generator: torch.Generator) -> Tensor:
    """Two random operations on colours or geometry, with torchvision's RandAugment (arXiv:1909.13719).

    Some neighbours in the batch share a draw.

    Args:
        images: (batch, channels, h, w), normalised; 1 or 3 channels.
        pixels: to get colours back.
        magnitude: up to 30.
        generator: on the CPU.

    Raises:
        ModelError: torchvision is missing.
        DataError: images of other numbers of channels.
    """
    if images.shape[1] not in {1, 3}:
        raise DataError(f"RandAugment needs images of 1 or 3 channels, got {images.shape[1]}")
    operation = import_library("torchvision.transforms.v2").RandAugment(
        num_ops=_OPERATIONS, magnitude=magnitude, num_magnitude_bins=_BINS
    )
    colours = (images * pixels.std + pixels.mean).clamp(0, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        altered = torch.cat([operation(part) for part in colours.split(_ALIKE)])
    return (altered - pixels.mean) / pixels.std


def mixed_up(images: Tensor, labels: Tensor, alpha: float, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix each image with another of the batch, all in one proportion (arXiv:1710.09412).

    Args:
        images: (batch, ...).
        labels: (batch,) classes.
        alpha: of the Beta distribution of the proportion.
        generator: draws proportion and partners.

    Returns:
        Images, and (batch, 3): class, the partner's class, and the share of the former.
    """
    share = float(generator.beta(alpha, alpha))
    partner = torch.from_numpy(generator.permutation(len(labels))).to(images.device)
    targets = torch.stack(
        [labels.double(), labels[partner].double(), torch.full_like(labels, share, dtype=torch.double)], 1
    )
    return share * images + (1 - share) * images[partner], targets


def cross_entropy(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Summed cross-entropy of a batch, in nats, for classes or for what `mixed_up` made of them."""
    if labels.ndim == 1:
        return F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="sum")
    first, second, share = labels[:, 0].long(), labels[:, 1].long(), labels[:, 2].to(logits.dtype)
    one, other = (
        F.cross_entropy(logits, classes, label_smoothing=label_smoothing, reduction="none")
        for classes in (first, second)
    )
    return (share * one + (1 - share) * other).sum()

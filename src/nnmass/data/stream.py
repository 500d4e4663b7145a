"""Images that are decoded as they are needed, for data that does not fit into memory."""

import hashlib
import io
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from nnmass.data.augmentation import ImageAugmentation
from nnmass.data.dataset import Dataset
from nnmass.data.image_files import ImageFiles, folder_files, parquet_files, tar_files
from nnmass.data.parquet import PARTS, parquet_parts
from nnmass.errors import DataError

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_ORDER, _IMAGE = 0, 1  # set the random numbers of orders and of images apart


@dataclass(frozen=True)
class StreamPart:
    """One part of a stream.

    Attributes:
        name: of the part.
        files: its encoded images.
    """

    name: str
    files: ImageFiles

    def __len__(self) -> int:
        return len(self.files.labels)


@dataclass(frozen=True)
class ImageStream:
    """A data set of images that stays where it is.

    Attributes:
        name: its name.
        train: what is trained on.
        validation: held out; where a data set has one held-out part, as ImageNet has, it is the test part too.
        test: for measuring.
        num_classes: number of classes.
        image_size: side of the square that a network sees, in pixels.
        augmentation: what is done to training images.
        workers: processes that decode.
        max_corrupt: share of a part's images that may be unreadable; they are skipped and listed.
        source: where it came from, as results should say.
        mean: per channel, of pixels in [0, 1]; ImageNet's.
        std: likewise.
        skipped: where unreadable images lie.
    """

    name: str
    train: StreamPart
    validation: StreamPart
    test: StreamPart
    num_classes: int
    image_size: int
    augmentation: ImageAugmentation = field(default_factory=ImageAugmentation)
    workers: int = 0
    max_corrupt: float = 0.01
    source: str = ""
    mean: tuple[float, ...] = _IMAGENET_MEAN
    std: tuple[float, ...] = _IMAGENET_STD
    skipped: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return (3, self.image_size, self.image_size)

    @property
    def digest(self) -> str:
        """SHA-256 of what it holds: names and labels, not pixels; and of how images are altered."""
        found = hashlib.sha256(repr((self.num_classes, self.image_size, self.augmentation)).encode())
        for part in (self.train, self.validation, self.test):
            found.update(np.ascontiguousarray(part.files.labels).tobytes())
            names = (part.files.name(i) for i in range(0, len(part), max(len(part) // 1_000, 1)))
            found.update("\n".join(Path(name).name for name in names).encode())
        return found.hexdigest()

    def batches(
        self,
        part: StreamPart,
        *,
        batch_size: int,
        seed: int = 0,
        epoch: int = 0,
        training: bool,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of a part: uint8 images (batch, 3, side, side) and labels (batch,).

        In training, the order follows from seed and epoch alone, and what is done to an image from seed, epoch and
        image: whoever goes on at some batch, with any number of workers, sees what an uninterrupted run sees.  Images
        of one chunk (a row group of Parquet) come near each other.

        Args:
            part: one of this stream's.
            batch_size: images per batch, over all processes.
            seed: of the run.
            epoch: from 0.
            training: whether images are shuffled and altered; else they come in order, resized and cropped.
            start: batches that are left out.
            rank: which process this is; it gets every ``world``-th image of a batch.
            world: how many there are.

        Raises:
            DataError: more images than `max_corrupt` cannot be decoded.
        """
        order = _order(part.files, seed, epoch) if training else np.arange(len(part))
        plans = [order[i : i + batch_size][rank::world] for i in range(start * batch_size, len(order), batch_size)]
        jobs = _Jobs(part.files, order, plans, self.augmentation, self.image_size, (seed, epoch) if training else None)
        options: dict[str, Any] = {"generator": torch.Generator()}  # the caller's random numbers stay where they are
        if self.workers:
            options |= {"num_workers": self.workers, "prefetch_factor": 2, "multiprocessing_context": "forkserver"}
            options |= {"pin_memory": torch.cuda.is_available()}  # a thread then fetches them while the GPU computes
        for images, labels, unreadable in DataLoader(jobs, batch_size=None, **options):
            self._note(part, unreadable)
            yield images, labels

    def _note(self, part: StreamPart, unreadable: dict[str, str]) -> None:
        self.skipped.update(unreadable)
        most = self.max_corrupt * (len(self.train) + len(self.validation))
        if unreadable and len(self.skipped) > most:
            where, why = next(iter(self.skipped.items()))
            raise DataError(
                f"{self.name}: {len(self.skipped)} images cannot be decoded, more than {self.max_corrupt:.3g} of all; "
                f"the first is {where} ({why})"
            )


Data: TypeAlias = Dataset | ImageStream
"""What a network can be trained on."""


@dataclass(frozen=True)
class _Jobs(TorchDataset[tuple[Tensor, Tensor, dict[str, str]]]):
    """Batches, decoded one at a time."""

    files: ImageFiles
    order: npt.NDArray[np.int64]
    plans: Sequence[npt.NDArray[np.int64]]
    augmentation: ImageAugmentation
    image_size: int
    seed: tuple[int, int] | None

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor, dict[str, str]]:
        transform = _transform(self.augmentation, self.image_size, self.seed is not None)
        unreadable: dict[str, str] = {}
        images, labels = [], []
        with _random_states_kept():
            for i in self.plans[k]:
                chosen, image = self._readable(int(i), unreadable)
                if self.seed is not None:
                    _set_random_states(*self.seed, chosen)
                images.append(torch.as_tensor(transform(image)))
                labels.append(int(self.files.labels[chosen]))
        shape = (0, 3, self.image_size, self.image_size)
        stacked = torch.stack(images) if images else torch.zeros(shape, dtype=torch.uint8)
        return stacked, torch.tensor(labels, dtype=torch.int64), unreadable

    def _readable(self, i: int, unreadable: dict[str, str]) -> tuple[int, Any]:
        """The image, or the next that can be decoded."""
        for step in range(len(self.files.labels)):
            candidate = (i + step) % len(self.files.labels)
            try:
                return candidate, _decoded(self.files.read(candidate))
            except (OSError, ValueError, SyntaxError) as error:
                unreadable[self.files.name(candidate)] = str(error).splitlines()[0] if str(error) else "damaged"
        raise DataError(f"{self.files.name(i)}: no image of this part can be decoded")


@cache
def _transform(augmentation: ImageAugmentation, image_size: int, training: bool) -> Any:
    return augmentation.transform(image_size, training=training)


def _decoded(content: bytes) -> Any:
    with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "BMP", "WEBP")) as image:
        return image.convert("RGB")


def _order(files: ImageFiles, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """A permutation in which chunks are shuffled, and images within them."""
    generator = np.random.default_rng([seed, epoch, _ORDER])
    keys = generator.permutation(int(files.chunks.max(initial=0)) + 1)[files.chunks]
    order: npt.NDArray[np.int64] = np.lexsort((generator.random(len(files.labels)), keys))
    return order


def _set_random_states(seed: int, epoch: int, image: int) -> None:
    number = int(np.random.SeedSequence([seed, epoch, image, _IMAGE]).generate_state(1)[0])
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 - timm's transforms draw from it
    # decoding is on the CPU; torch.manual_seed would tell every other device too
    torch.default_generator.manual_seed(number)


@contextmanager
def _random_states_kept() -> Iterator[None]:
    state, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numbers)  # noqa: NPY002


def open_stream(
    path: str | os.PathLike[str],
    *,
    image_size: int = 224,
    augmentation: ImageAugmentation | None = None,
    workers: int = 0,
    max_corrupt: float = 0.01,
    least_classes: int = 2,
) -> ImageStream:
    """Open a folder of images without reading them.

    Three layouts are known: ``train`` and ``val`` (or ``validation``, ``test``) with a folder per class; WebDataset
    shards ``train*.tar``, ``val*.tar``; Parquet files ``train*.parquet``, ``valid*.parquet`` of the Hugging Face hub.

    Args:
        path: the folder.
        image_size: side of the square that a network sees, in pixels.
        augmentation: of training images; by default crops and flips.
        workers: processes that decode; 0: this one.
        max_corrupt: share of images that may be unreadable.
        least_classes: fewest classes that there must be.

    Raises:
        DataError: none of these layouts, no held-out part, too few classes, labels that training lacks.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found = _parts(folder)
    held_out = [found[name] for name in ("validation", "test") if name in found]
    if "train" not in found or not held_out:
        raise DataError(
            f"{folder}: needs a part to train on and one held out (val, validation or test), has {[*found]}"
        )
    train = found["train"]
    classes = int(train.labels.max(initial=-1)) + 1
    if classes < least_classes:
        raise DataError(f"{folder}: has {classes} classes, needs at least {least_classes}")
    for part in held_out:
        if part.labels.max(initial=0) >= classes:
            raise DataError(
                f"{folder}: a held-out image has label {part.labels.max()}, training has 0 ... {classes - 1}"
            )
    return ImageStream(
        name=folder.name,
        train=StreamPart("train", train),
        validation=StreamPart("validation", held_out[0]),
        test=StreamPart("test", held_out[-1]),
        num_classes=classes,
        image_size=image_size,
        augmentation=augmentation or ImageAugmentation(),
        workers=workers,
        max_corrupt=max_corrupt,
        source=folder.name,
    )


def _parts(folder: Path) -> dict[str, ImageFiles]:
    parquet = sorted(folder.glob("*.parquet"))
    if parquet:
        return {name: parquet_files(files) for name, files in parquet_parts(parquet).items()}
    shards = sorted(folder.glob("*.tar"))
    if shards:
        return {name: tar_files(files) for name, files in parquet_parts(shards).items()}
    train = folder / "train"
    classes = sorted(entry.name for entry in train.iterdir() if entry.is_dir()) if train.is_dir() else []
    if not classes:
        raise DataError(f"{folder}: needs train/CLASS/*.jpg, train*.tar or train*.parquet")
    names = {name: next((folder / n for n in names if (folder / n).is_dir()), None) for name, names in PARTS.items()}
    return {name: folder_files(root, classes) for name, root in names.items() if root is not None}

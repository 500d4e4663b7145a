"""Images that are decoded as they are needed, for data that does not fit into memory."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from nnmass.data.augmentation import ImageAugmentation
from nnmass.data.dataset import Dataset
from nnmass.data.image_files import ImageFiles
from nnmass.data.images import open_image
from nnmass.data.layouts import MAX_CORRUPT, check_image_size, find_images, refuse_too_many, require_pixels
from nnmass.errors import DataError, ImageError, ResourceError, first_line
from nnmass.representation import brief

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_ORDER, _IMAGE = 0, 1  # set the random numbers of orders and of images apart


@dataclass(frozen=True)
class StreamPart:
    """One part of a stream.

    Attributes:
        name: of the part.
        files: its encoded images.
    """

    __repr__ = brief

    name: str
    files: ImageFiles

    def __len__(self) -> int:
        return len(self.files.labels)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Labels of the images, in their order."""
        return self.files.labels


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
        jpeg_copy_of: as of a `Dataset`; a stream is not looked through for it.
        skipped: where unreadable images lie.
    """

    __repr__ = brief

    name: str
    train: StreamPart
    validation: StreamPart
    test: StreamPart
    num_classes: int
    image_size: int
    augmentation: ImageAugmentation = field(default_factory=ImageAugmentation)
    workers: int = 0
    max_corrupt: float = MAX_CORRUPT
    source: str = ""
    mean: tuple[float, ...] = _IMAGENET_MEAN
    std: tuple[float, ...] = _IMAGENET_STD
    jpeg_copy_of: str | None = None
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
            ResourceError: a batch that is larger than memory, or a process that was killed.
        """
        side = self.image_size
        require_pixels(min(batch_size, len(part)), 3, side, side, what=f"{self.name}, a batch")
        order = _order(part.files, seed, epoch) if training else np.arange(len(part))
        plans = [order[i : i + batch_size][rank::world] for i in range(start * batch_size, len(order), batch_size)]
        total = len(self.train) + len(self.validation)
        options: dict[str, Any] = {"augmentation": self.augmentation, "image_size": self.image_size}
        options |= {"refuse": partial(refuse_too_many, total=total, share=self.max_corrupt, where=self.name)}
        jobs = _Jobs(part.files, order, plans, seed=(seed, epoch) if training else None, **options)
        options = {"generator": torch.Generator()}  # the caller's random numbers stay where they are
        if self.workers:
            options |= {"num_workers": self.workers, "prefetch_factor": 2, "multiprocessing_context": "forkserver"}
            options |= {"pin_memory": torch.cuda.is_available()}  # a thread then fetches them while the GPU computes
        loaded = iter(DataLoader(jobs, batch_size=None, **options))
        while (batch := _next_batch(loaded)) is not None:
            images, labels, unreadable = batch
            self.skipped.update(unreadable)
            jobs.refuse(self.skipped)
            yield images, labels


def _next_batch(loaded: Iterator["_Batch | DataError"]) -> "_Batch | None":
    """The next batch, or None at the end."""
    try:
        found = next(loaded)
    except StopIteration:
        return None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise ResourceError(f"a process that decodes images was ended ({first_line(error)})") from None
    if isinstance(found, DataError):
        raise found
    return found


Data: TypeAlias = Dataset | ImageStream
"""What a network can be trained on."""
_Batch: TypeAlias = tuple[Tensor, Tensor, dict[str, str]]
"""Images, labels, and what could not be read."""


@dataclass(frozen=True)
class _Jobs(TorchDataset[_Batch | DataError]):
    """Batches, decoded one at a time; an error is given, and not raised, so that it passes between processes whole."""

    files: ImageFiles
    order: npt.NDArray[np.int64]
    plans: Sequence[npt.NDArray[np.int64]]
    augmentation: ImageAugmentation
    image_size: int
    refuse: Callable[[Mapping[str, str]], None]
    seed: tuple[int, int] | None

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, k: int) -> _Batch | DataError:
        try:
            return self._batch(k)
        except DataError as error:
            return error

    def _batch(self, k: int) -> _Batch:
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
                return candidate, open_image(self.files.read(candidate)).convert("RGB")
            except ImageError as error:
                unreadable[self.files.name(candidate)] = str(error)
                self.refuse(unreadable)
        raise DataError(f"{self.files.name(i)}: no image of this part can be decoded")


@cache
def _transform(augmentation: ImageAugmentation, image_size: int, training: bool) -> Any:
    return augmentation.transform(image_size, training=training)


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
    max_corrupt: float = MAX_CORRUPT,
    least_classes: int = 2,
) -> ImageStream:
    """Open a folder of images without reading them.

    Three layouts are known: ``train`` and ``val`` (or ``validation``, ``test``) with a folder per class; WebDataset
    shards ``train*.tar``, ``val*.tar``; Parquet files ``train*.parquet``, ``valid*.parquet`` of the Hugging Face hub.
    They are found and checked as `read_folder` does; a held-out part has to be there, and one alone serves for
    validation and for testing.

    Args:
        path: the folder.
        image_size: side of the square that a network sees, in pixels.
        augmentation: of training images; by default crops and flips.
        workers: processes that decode; 0: this one.
        max_corrupt: share of images that may be unreadable.
        least_classes: fewest classes that there must be.

    Raises:
        DataError: none of these layouts, no held-out part, too few classes, labels that training lacks.
        ResourceError: images too large for memory.
    """
    folder = Path(path)
    check_image_size(image_size, what=str(folder))
    require_pixels(1, 3, image_size, image_size, what=str(folder))
    found = find_images(folder)
    held_out = [found.files[name] for name in ("validation", "test") if name in found.files]
    if not held_out:
        raise DataError(
            f"{folder}: needs a part to train on and one held out (val, validation or test), has {[*found.files]}"
        )
    if found.num_classes < least_classes:
        raise DataError(f"{folder}: has {found.num_classes} classes, needs at least {least_classes}")
    return ImageStream(
        name=folder.name,
        train=StreamPart("train", found.files["train"]),
        validation=StreamPart("validation", held_out[0]),
        test=StreamPart("test", held_out[-1]),
        num_classes=found.num_classes,
        image_size=image_size,
        augmentation=augmentation or ImageAugmentation(),
        workers=workers,
        max_corrupt=max_corrupt,
        source=folder.name,
    )

"""The training loop of the published ``train_mlp.py``, around the published network.

The script itself cannot be imported: it parses the command line and needs torchvision.  Its loop is written anew here,
statement for statement in what it computes: the same data set items, loader, optimizer and bookkeeping.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from nnmass.data import Dataset, Split
from published import load_model_zoo, seed_everything

BATCH, TEST_BATCH = 64, 100
"""The published loaders' batch sizes; they load in the training process, in a new order in each epoch."""


class Images(TorchDataset[tuple[Tensor, int]]):
    """Images as torchvision's MNIST with ToTensor gives them: through PIL to a float tensor, one by one."""

    def __init__(self, split: Split) -> None:
        self.data, self.targets = torch.tensor(split.inputs[:, 0]), torch.tensor(split.labels)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image (1, height, width) in [0, 1], and its label."""
        picture, label = Image.fromarray(self.data[index].numpy()), int(self.targets[index])
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        pixels = pixels.view(picture.size[1], picture.size[0], len(picture.getbands())).permute(2, 0, 1).contiguous()
        return pixels.to(torch.float32).div(255), label


@dataclass(frozen=True)
class Trained:
    """One network trained by the published loop.

    Attributes:
        train_seconds: of the steps that were made.
        steps: how many those were.
        test_seconds: of the evaluation on the test part.
        test_accuracy: in [0, 1].
    """

    train_seconds: float
    steps: int
    test_seconds: float
    test_accuracy: float


class PublishedTrainer:
    """Trains published networks on a data set.

    Args:
        folder: the published code.
        data: images; its training and test parts are used.
    """

    def __init__(self, folder: Path, data: Dataset) -> None:
        self._zoo: Any = load_model_zoo(folder)
        self._train = DataLoader(Images(data.train), batch_size=BATCH, shuffle=True)
        self._test = DataLoader(Images(data.test), batch_size=TEST_BATCH, shuffle=False)
        self.steps_per_epoch = len(self._train)
        self.log: list[tuple[float, float]] = []  # what the script writes to a file: accuracy and loss while training

    def __call__(
        self, width: int, depth: int, max_skips: int, *, seed: int, epochs: int = 1, steps: int | None = None
    ) -> Trained:
        """Train one network for whole epochs, or for the first ``steps`` of one epoch.

        Args:
            width: neurons per layer.
            depth: layers.
            max_skips: the published ``tc``.
            seed: of links, weights and batches.
            epochs: passes over the training part.
            steps: stop after so many in the (only) epoch.
        """
        seed_everything(seed)
        model = self._zoo.Dense_MLP(width, depth, max_skips, input_dims=784, num_classses=10)
        criterion = nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        start = time.perf_counter()
        done = 0
        for _ in range(epochs):
            done += self._epoch(model, criterion, optimizer, steps)
        trained = time.perf_counter()
        accuracy = self._accuracy(model, criterion)
        return Trained(trained - start, done, time.perf_counter() - trained, accuracy)

    def _epoch(self, model: Any, criterion: nn.Module, optimizer: torch.optim.Optimizer, steps: int | None) -> int:
        correct: Any = 0
        total = 0
        total_loss: Any = 0
        for i, (images, labels) in enumerate(self._train):
            loss, outputs = _step(model, criterion, optimizer, images, labels)
            _, predicted = torch.max(outputs.data, 1)
            total += labels.size(0)
            correct += (predicted == labels).sum()
            total_loss = total_loss + loss
            if i + 1 == steps:
                break
        self.log.append((float(correct) / total, total_loss.item() / (i + 1)))
        return i + 1

    def _accuracy(self, model: Any, criterion: nn.Module) -> float:
        correct = total = 0
        total_loss = 0.0
        model.eval()
        for images, labels in self._test:
            with torch.no_grad():
                outputs = model(images.view(images.size(0), -1))
                total_loss += criterion(outputs, labels).item()
                total += labels.size(0)
                correct += outputs.max(1)[1].eq(labels).sum().item()
        return correct / total


def _step(
    model: Any, criterion: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    optimizer.zero_grad()
    outputs = model(images.view(images.size(0), -1))
    loss = criterion(outputs, labels)
    loss.backward()
    optimizer.step()
    return loss, outputs

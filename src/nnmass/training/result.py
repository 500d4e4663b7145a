"""What training a network gave."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmass.architectures import Specification
from nnmass.networks import Network
from nnmass.representation import brief
from nnmass.training.config import TrainingConfig


@dataclass(frozen=True)
class TrainingResult:
    """One trained network and its figures.

    Attributes:
        spec: its specification, links included.
        seed: what its links, weights and batches were drawn from.
        config: how it was trained.
        train_loss: mean cross-entropy of each epoch's batches, in nats.
        validation_accuracy: after each epoch, in [0, 1].
        test_accuracy: after the last epoch, in [0, 1].
        answers: (test samples,) whether the network classifies each rightly, in the order of the test part.
        model: the network, in evaluation mode.
    """

    __repr__ = brief

    spec: Specification
    seed: int
    config: TrainingConfig
    train_loss: tuple[float, ...]
    validation_accuracy: tuple[float, ...]
    test_accuracy: float
    answers: npt.NDArray[np.bool_] = field(repr=False, compare=False)
    model: Network

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the weights; a loss that was not finite is None."""
        return {
            "spec": self.spec.model_dump(mode="json", exclude_none=True),
            "nn_mass": self.spec.nn_mass,
            "params": self.spec.params,
            "macs": self.spec.macs,
            "seed": self.seed,
            "training": self.config.model_dump(mode="json"),
            "train_loss": [loss if math.isfinite(loss) else None for loss in self.train_loss],
            "validation_accuracy": list(self.validation_accuracy),
            "test_accuracy": self.test_accuracy,
        }

"""How large an experiment on images is run: on two cores in a minute, in an hour or two, or as published."""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from nnmass.data import Dataset, reduced
from nnmass.training import TrainingConfig

Scale: TypeAlias = Literal["smoke", "small", "full"]
SCALES: tuple[Scale, ...] = get_args(Scale)


@dataclass(frozen=True)
class Size:
    """Images, passes and seeds of one scale.

    Attributes:
        epochs: passes over the training part.
        seeds: networks of each specification.
        image_size: side in pixels; None: the data's own.
        train: training images; None: all.
        test: test images; None: all.
        recipe: other values of the `TrainingConfig`.
        dataset: name of the data set, in place of the experiment's.
        streamed: whether images are decoded as they are needed, at `image_size` pixels.
    """

    epochs: int
    seeds: int
    image_size: int | None = None
    train: int | None = None
    test: int | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    dataset: str | None = None
    streamed: bool = False

    def data(self, whole: Dataset) -> Dataset:
        """The data of this scale."""
        return reduced(whole, image_size=self.image_size, train=self.train, test=self.test)

    def config(self, *, epochs: int | None = None) -> TrainingConfig:
        """How networks are trained: SGD with Nesterov's momentum, warm-up, a cosine schedule, crops and flips."""
        epochs = epochs or self.epochs
        return TrainingConfig(**{**_RECIPE, "warmup_epochs": min(1, epochs / 10), **self.recipe, "epochs": epochs})


_RECIPE: dict[str, Any] = {
    "batch_size": 128,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "nesterov": True,
    "weight_decay": 5e-4,
    "schedule": "cosine",
    "augment": "crop-flip",
}

"""How a network is trained."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nnmass.architectures import DenseMLP, Specification, explain
from nnmass.data import Dataset
from nnmass.errors import InvalidValueError


class TrainingConfig(BaseModel):
    """Everything that training depends on besides the specification, the data and the seed.

    Attributes:
        epochs: passes over the training part.
        batch_size: samples per step; the last batch of an epoch may be smaller.
        optimizer: ``"adam"`` or ``"sgd"``.
        learning_rate: at the start.
        momentum: of SGD.
        weight_decay: L2 penalty, as the optimizer applies it.
        schedule: ``"constant"``, or ``"cosine"`` down to 0 over all steps.
        augment: ``"none"``, or ``"crop-flip"``: shifts by up to 4 pixels and horizontal flips, for images.

    Raises:
        InvalidValueError: a value out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=1)
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    schedule: Literal["constant", "cosine"] = "constant"
    augment: Literal["none", "crop-flip"] = "none"

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidValueError(f"training: {explain(error)}") from None


_MLP = {
    "mnist": TrainingConfig(epochs=5),
    "fashion-mnist": TrainingConfig(epochs=5),
    "digits": TrainingConfig(epochs=30, batch_size=32),
    "linear": TrainingConfig(epochs=100, batch_size=100),
    "circle": TrainingConfig(epochs=50, batch_size=100),
}


def default_config(spec: Specification, data: Dataset) -> TrainingConfig:
    """How networks like this one are trained on this data unless told otherwise.

    DenseMLPs: Adam at 1e-3 for the epochs of the paper's experiments.  DenseCNNs: SGD at 0.1 with momentum, weight
    decay 5e-4 and a cosine schedule over 30 epochs, with crops and flips for colour images.
    """
    if isinstance(spec, DenseMLP):
        return _MLP.get(data.name, TrainingConfig())
    colour = len(data.input_shape) == 3 and data.input_shape[0] == 3
    return TrainingConfig(
        optimizer="sgd",
        learning_rate=0.1,
        weight_decay=5e-4,
        schedule="cosine",
        augment="crop-flip" if colour else "none",
    )

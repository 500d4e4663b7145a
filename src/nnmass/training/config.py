"""How a network is trained."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from nnmass.architectures import DenseMLP, Specification, explain
from nnmass.errors import InvalidValueError
from nnmass.validated import Validated

if TYPE_CHECKING:
    from nnmass.data import Data

Precision = Literal["auto", "float32", "bfloat16", "float16"]


class TrainingConfig(Validated):
    """Everything that training depends on besides the specification, the data and the seed.

    Attributes:
        epochs: passes over the training part.
        batch_size: samples per step; the last batch of an epoch may be smaller.
        optimizer: ``"adam"``, ``"sgd"``, or one of timm's, as in ``"timm:lamb"``.
        optimizer_options: further arguments of ``timm.optim.create_optimizer_v2``.
        learning_rate: at the start, or after the warm-up.
        momentum: of SGD.
        nesterov: whether SGD's momentum is Nesterov's.
        weight_decay: L2 penalty, as the optimizer applies it.
        schedule: ``"constant"``, ``"cosine"`` down to 0 over all steps that follow the warm-up, or one of timm's, step
            by step, as in ``"timm:poly"``.
        schedule_options: further arguments of ``timm.scheduler.create_scheduler_v2``.
        warmup_epochs: over which the learning rate rises linearly to its full value.
        label_smoothing: share of the target that all classes have alike (arXiv:1512.00567).
        augment: ``"none"``, or ``"crop-flip"``: shifts by up to 4 pixels and horizontal flips, for images.
        cutout: side of a square that is blanked out of each image, in pixels (arXiv:1708.04552); 0: none.
        randaugment: magnitude, of at most 30, of two random operations on each image (arXiv:1909.13719); 0: none.
        mixup: alpha of the Beta distribution by which images and labels are mixed (arXiv:1710.09412); 0: none.
        ema: decay of the moving average of weights that is evaluated and kept; 0: none.
        accumulate: parts of a batch whose gradients are added up before a step; norms see one part at a time.
        precision: of the forward pass; ``"auto"`` is bfloat16 on CUDA, else float32.
        channels_last: whether images and convolutions are laid out channel by channel within a pixel.
        compile: whether the network is compiled.

    Raises:
        InvalidValueError: a value out of range.

    Examples:
        >>> config = TrainingConfig(epochs=5, optimizer="sgd", learning_rate=0.1, schedule="cosine")
        >>> config.epochs, config.batch_size, config.momentum
        (5, 64, 0.9)
    """

    epochs: int = Field(default=30, ge=1, le=10**6)
    batch_size: int = Field(default=64, ge=1, le=2**31 - 1)
    optimizer: str = "adam"
    optimizer_options: dict[str, JsonValue] = Field(default_factory=dict)
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    nesterov: bool = False
    schedule: str = "constant"
    schedule_options: dict[str, JsonValue] = Field(default_factory=dict)
    warmup_epochs: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    augment: Literal["none", "crop-flip"] = "none"
    cutout: int = Field(default=0, ge=0, le=65_536)
    randaugment: int = Field(default=0, ge=0, le=30)
    mixup: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    ema: float = Field(default=0.0, ge=0, lt=1)
    accumulate: int = Field(default=1, ge=1)
    precision: Precision = "auto"
    channels_last: bool = False
    compile: bool = False

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidValueError(f"training: {explain(error)}") from None
        if self.warmup_epochs > self.epochs:
            raise InvalidValueError(f"training: warmup_epochs {self.warmup_epochs} exceeds epochs {self.epochs}")
        for name, own in _OWN.items():
            chosen = getattr(self, name)
            if chosen in own and getattr(self, f"{name}_options"):
                raise InvalidValueError(f"training: {name}_options are for timm's, but {name} is {chosen!r}")
            if chosen not in own and not chosen.startswith("timm:"):
                first, second = own
                raise InvalidValueError(
                    f"training: {name} should be {first!r}, {second!r}, or timm's, as 'timm:NAME', got {chosen!r}"
                )
        if self.nesterov and not self.momentum and self.optimizer == "sgd":
            raise InvalidValueError("training: nesterov needs a momentum above 0, got momentum 0")
        if self.accumulate > self.batch_size:
            raise InvalidValueError(f"training: accumulate {self.accumulate} exceeds batch_size {self.batch_size}")

    def recorded(self) -> dict[str, Any]:
        """Values by which a run is known: what came after the first version counts only where it is made use of."""
        values, plain = self.model_dump(mode="json"), TrainingConfig().model_dump(mode="json")
        return {name: value for name, value in values.items() if name in _FIRST or value != plain[name]}

    @property
    def alters_images(self) -> bool:
        """Whether inputs must be images: they are shifted, blanked, distorted or mixed."""
        return self.augment != "none" or bool(self.cutout or self.randaugment or self.mixup)

    @property
    def unstacked(self) -> tuple[str, ...]:
        """Names of what was asked for that `train_stacked` cannot do."""
        plain = TrainingConfig()
        changed = tuple(name for name in _UNSTACKED if getattr(self, name) != getattr(plain, name))
        return (*changed, *(name for name, own in _OWN.items() if getattr(self, name) not in own))


_OWN = {"optimizer": ("adam", "sgd"), "schedule": ("constant", "cosine")}
_FIRST = {
    "epochs", "batch_size", "optimizer", "learning_rate", "momentum", "weight_decay", "schedule", "augment",
}  # fmt: skip
_UNSTACKED = (
    "label_smoothing", "augment", "cutout", "randaugment", "mixup", "ema", "accumulate", "precision", "channels_last",
    "compile",
)  # fmt: skip

_MLP = {
    "mnist": TrainingConfig(epochs=5),
    "fashion-mnist": TrainingConfig(epochs=5),
    "digits": TrainingConfig(epochs=30, batch_size=32),
    "linear": TrainingConfig(epochs=100, batch_size=100),
    "circle": TrainingConfig(epochs=50, batch_size=100),
}


def default_config(spec: Specification, data: "Data") -> TrainingConfig:
    """How networks like this one are trained on this data unless told otherwise.

    DenseMLPs: Adam at 1e-3 for the epochs of the paper's experiments.  DenseCNNs: SGD at 0.1 with momentum, weight
    decay 5e-4 and a cosine schedule over 30 epochs, with crops and flips for colour images; a stream has its own.
    """
    from nnmass.data import ImageStream

    if isinstance(spec, DenseMLP):
        return _MLP.get(data.name, TrainingConfig())
    colour = not isinstance(data, ImageStream) and len(data.input_shape) == 3 and data.input_shape[0] == 3
    return TrainingConfig(
        optimizer="sgd",
        learning_rate=0.1,
        weight_decay=5e-4,
        schedule="cosine",
        augment="crop-flip" if colour else "none",
    )

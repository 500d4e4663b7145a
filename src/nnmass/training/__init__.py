"""Training: one network, or many small ones in a stack."""

from typing import TYPE_CHECKING

from nnmass.faces import on_demand

if TYPE_CHECKING:
    from nnmass.training.batches import check_fits
    from nnmass.training.checkpoint import load_weights, save_weights, weights_bytes
    from nnmass.training.config import TrainingConfig, default_config
    from nnmass.training.cost import training_macs
    from nnmass.training.loop import DivergedError, Progress, train
    from nnmass.training.metrics import Metrics
    from nnmass.training.place import is_first
    from nnmass.training.result import TrainingResult
    from nnmass.training.stack import StackedDenseMLP
    from nnmass.training.stacked import train_stacked

__all__ = [
    "DivergedError",
    "Metrics",
    "Progress",
    "StackedDenseMLP",
    "TrainingConfig",
    "TrainingResult",
    "check_fits",
    "default_config",
    "is_first",
    "load_weights",
    "save_weights",
    "train",
    "train_stacked",
    "training_macs",
    "weights_bytes",
]

__getattr__ = on_demand(__name__)

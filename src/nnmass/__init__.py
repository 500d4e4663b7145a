"""nnmass: choose, shrink and explain a deep network from its topology, before anyone trains it.

After Bhardwaj, Li and Marculescu, "How does topology influence gradient propagation and model performance of deep
networks with DenseNet-type skip connections?", CVPR 2021 (arXiv:1910.00780).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnmass.architectures import (
        CifarResNet,
        DenseCNN,
        DenseMLP,
        MobileNetV2,
        ResNet,
        Specification,
        WideResNet,
        load_spec,
    )
    from nnmass.data import load_data
    from nnmass.designing import compress
    from nnmass.errors import NNMassError
    from nnmass.prediction import MassPredictor
    from nnmass.propagation import Initialisation, expected_isometry, isometry
    from nnmass.sweeps import RunStore, run_sweep
    from nnmass.topology import Cell, average_degree, cell_density, nn_mass, num_skips, possible_skips
    from nnmass.tracing import analyze
    from nnmass.training import TrainingConfig, train

__all__ = [
    "Cell",
    "CifarResNet",
    "DenseCNN",
    "DenseMLP",
    "Initialisation",
    "MassPredictor",
    "MobileNetV2",
    "NNMassError",
    "ResNet",
    "RunStore",
    "Specification",
    "TrainingConfig",
    "WideResNet",
    "analyze",
    "average_degree",
    "cell_density",
    "compress",
    "expected_isometry",
    "isometry",
    "load_data",
    "load_spec",
    "nn_mass",
    "num_skips",
    "possible_skips",
    "run_sweep",
    "train",
]

_ROOMS = {
    "architectures": (
        "CifarResNet",
        "DenseCNN",
        "DenseMLP",
        "MobileNetV2",
        "ResNet",
        "Specification",
        "WideResNet",
        "load_spec",
    ),
    "data": ("load_data",),
    "designing": ("compress",),
    "errors": ("NNMassError",),
    "prediction": ("MassPredictor",),
    "propagation": ("Initialisation", "expected_isometry", "isometry"),
    "sweeps": ("RunStore", "run_sweep"),
    "topology": ("Cell", "average_degree", "cell_density", "nn_mass", "num_skips", "possible_skips"),
    "tracing": ("analyze",),
    "training": ("TrainingConfig", "train"),
}


def __getattr__(name: str) -> object:
    """Load a public name's room when it is first used, so that ``import nnmass`` costs next to nothing."""
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"nnmass.{room}"), name)
    raise AttributeError(f"module 'nnmass' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

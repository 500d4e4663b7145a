"""nnmass: choose, shrink and explain a deep network from its topology, before anyone trains it.

After Bhardwaj, Li and Marculescu, "How does topology influence gradient propagation and model performance of deep
networks with DenseNet-type skip connections?", CVPR 2021 (arXiv:1910.00780).
"""

from typing import TYPE_CHECKING

from nnmass.faces import on_demand
from nnmass.version import __version__

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
    from nnmass.designing import (
        CifarResNetSpace,
        DenseCNNSpace,
        DenseMLPSpace,
        MobileNetV2Space,
        ResNetSpace,
        WideResNetSpace,
        compress,
        design,
        load_space,
        pareto_front,
    )
    from nnmass.errors import NNMassError
    from nnmass.latency import LatencyTable
    from nnmass.prediction import MassPredictor
    from nnmass.propagation import Initialisation, expected_isometry, isometry
    from nnmass.sweeps import RunStore, run_sweep
    from nnmass.topology import Cell, average_degree, cell_density, nn_mass, num_skips, possible_skips
    from nnmass.tracing import analyze
    from nnmass.training import TrainingConfig, train

__all__ = [
    "Cell",
    "CifarResNet",
    "CifarResNetSpace",
    "DenseCNN",
    "DenseCNNSpace",
    "DenseMLP",
    "DenseMLPSpace",
    "Initialisation",
    "LatencyTable",
    "MassPredictor",
    "MobileNetV2",
    "MobileNetV2Space",
    "NNMassError",
    "ResNet",
    "ResNetSpace",
    "RunStore",
    "Specification",
    "TrainingConfig",
    "WideResNet",
    "WideResNetSpace",
    "__version__",
    "analyze",
    "average_degree",
    "cell_density",
    "compress",
    "design",
    "expected_isometry",
    "isometry",
    "load_data",
    "load_space",
    "load_spec",
    "nn_mass",
    "num_skips",
    "pareto_front",
    "possible_skips",
    "run_sweep",
    "train",
]

__getattr__ = on_demand(__name__)


def __dir__() -> list[str]:
    return __all__

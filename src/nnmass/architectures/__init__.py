"""Specifications of networks, with mass, parameters and MACs in closed form.  No PyTorch."""

from nnmass.architectures.cifar_resnet import CifarResNet, Shortcut
from nnmass.architectures.costs import (
    POOLED,
    CellCosts,
    Convolution,
    Costs,
    cell_costs,
    cell_resolutions,
    cell_values,
    dense_cnn_costs,
    dense_mlp_costs,
    head_costs,
)
from nnmass.architectures.dense_cnn import DenseCNN
from nnmass.architectures.dense_mlp import Activation, DenseMLP
from nnmass.architectures.files import load_spec, spec_from_dict
from nnmass.architectures.mobilenet_v2 import InvertedResidualShape, MobileNetV2
from nnmass.architectures.residual import (
    BlockShape,
    Stages,
)
from nnmass.architectures.resnet import EXPANSION, STEM, ResNet
from nnmass.architectures.specification import (
    LinkedSpecification,
    Links,
    Specification,
    check_seed,
    explain,
    require_specification,
)
from nnmass.architectures.wide_resnet import WIDE_STEM, WideResNet

__all__ = [
    "EXPANSION",
    "POOLED",
    "STEM",
    "WIDE_STEM",
    "Activation",
    "BlockShape",
    "CellCosts",
    "CifarResNet",
    "Convolution",
    "Costs",
    "DenseCNN",
    "DenseMLP",
    "InvertedResidualShape",
    "LinkedSpecification",
    "Links",
    "MobileNetV2",
    "ResNet",
    "Shortcut",
    "Specification",
    "Stages",
    "WideResNet",
    "cell_costs",
    "cell_resolutions",
    "cell_values",
    "check_seed",
    "dense_cnn_costs",
    "dense_mlp_costs",
    "explain",
    "head_costs",
    "load_spec",
    "require_specification",
    "spec_from_dict",
]

"""PyTorch modules built from specifications."""

from nnmass.networks.build import Network, build
from nnmass.networks.cifar_resnet import CifarResNetNetwork
from nnmass.networks.dense_cnn import DenseCell, DenseCNNNetwork, DenseLayer
from nnmass.networks.dense_mlp import ACTIVATIONS, DenseMLPNetwork
from nnmass.networks.mobilenet_v2 import InvertedResidual, MobileNetV2Network
from nnmass.networks.residual import ResidualNetwork
from nnmass.networks.resnet import PaddedShortcut, ResidualBlock, ResNetNetwork
from nnmass.networks.skips import SkipLinks
from nnmass.networks.wide_resnet import PreactivationBlock, WideResNetNetwork

__all__ = [
    "ACTIVATIONS",
    "CifarResNetNetwork",
    "DenseCNNNetwork",
    "DenseCell",
    "DenseLayer",
    "DenseMLPNetwork",
    "InvertedResidual",
    "MobileNetV2Network",
    "Network",
    "PaddedShortcut",
    "PreactivationBlock",
    "ResNetNetwork",
    "ResidualBlock",
    "ResidualNetwork",
    "SkipLinks",
    "WideResNetNetwork",
    "build",
]

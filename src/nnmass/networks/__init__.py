"""PyTorch modules built from specifications."""

from nnmass.networks.build import Network, build
from nnmass.networks.dense_cnn import DenseCell, DenseCNNNetwork, DenseLayer
from nnmass.networks.dense_mlp import ACTIVATIONS, DenseMLPNetwork
from nnmass.networks.mobilenet_v2 import InvertedResidual, MobileNetV2Network
from nnmass.networks.resnet import ResidualBlock, ResNetNetwork
from nnmass.networks.skips import SkipLinks

__all__ = [
    "ACTIVATIONS",
    "DenseCNNNetwork",
    "DenseCell",
    "DenseLayer",
    "DenseMLPNetwork",
    "InvertedResidual",
    "MobileNetV2Network",
    "Network",
    "ResNetNetwork",
    "ResidualBlock",
    "SkipLinks",
    "build",
]

"""Sets of specifications to choose from, as data."""

from nnmass.designing.spaces.dense import DENSITY_CAP
from nnmass.designing.spaces.dense_cnn import DenseCNNSpace
from nnmass.designing.spaces.dense_mlp import DenseMLPSpace
from nnmass.designing.spaces.files import default_space, load_space, space_from_dict, space_of, with_constants
from nnmass.designing.spaces.mobilenet_v2 import MobileNetV2Space, StageSpace
from nnmass.designing.spaces.resnet import ResNetSpace
from nnmass.designing.spaces.small_resnets import CifarResNetSpace, WideResNetSpace
from nnmass.designing.spaces.space import Space

__all__ = [
    "DENSITY_CAP",
    "CifarResNetSpace",
    "DenseCNNSpace",
    "DenseMLPSpace",
    "MobileNetV2Space",
    "ResNetSpace",
    "Space",
    "StageSpace",
    "WideResNetSpace",
    "default_space",
    "load_space",
    "space_from_dict",
    "space_of",
    "with_constants",
]

"""Networks from specifications."""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from nnmass.architectures import (
    CifarResNet,
    DenseCNN,
    DenseMLP,
    LinkedSpecification,
    MobileNetV2,
    ResNet,
    Specification,
    WideResNet,
)
from nnmass.errors import InvalidValueError
from nnmass.networks.cifar_resnet import CifarResNetNetwork
from nnmass.networks.dense_cnn import DenseCNNNetwork
from nnmass.networks.dense_mlp import DenseMLPNetwork
from nnmass.networks.mobilenet_v2 import MobileNetV2Network
from nnmass.networks.residual import ResidualNetwork
from nnmass.networks.resnet import ResNetNetwork
from nnmass.networks.wide_resnet import WideResNetNetwork

Network: TypeAlias = DenseMLPNetwork | DenseCNNNetwork | ResidualNetwork | MobileNetV2Network

_NETWORKS: dict[type[Specification], Callable[[Any], Network]] = {
    DenseMLP: DenseMLPNetwork,
    DenseCNN: DenseCNNNetwork,
    ResNet: ResNetNetwork,
    CifarResNet: CifarResNetNetwork,
    WideResNet: WideResNetNetwork,
    MobileNetV2: MobileNetV2Network,
}


def build(spec: Specification, seed: int = 0) -> Network:
    """Build the network of a specification: links where it has none, and weights, from ``seed``.

    The weights are drawn by PyTorch's default initialisation, those of a ResNet or MobileNetV2 as torchvision does,
    those of a CifarResNet or WideResNet as their published code does.
    Links and weights come from two generators, so that the same seed gives the same weights whether the links were
    drawn or given.  The caller's random state stays as it was.

    Raises:
        InvalidValueError: a negative seed, or a family without a builder.
    """
    if seed < 0:
        raise InvalidValueError(f"seed must be at least 0, got {seed}")
    network = next((network for family, network in _NETWORKS.items() if isinstance(spec, family)), None)
    if network is None:
        raise InvalidValueError(f"no builder for the family {spec.family!r}")
    linked = spec.with_links(seed) if isinstance(spec, LinkedSpecification) and spec.links is None else spec
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return network(linked)

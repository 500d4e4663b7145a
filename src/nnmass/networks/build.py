"""Networks from specifications."""

from typing import TypeAlias

import torch

from nnmass.architectures import DenseCNN, DenseMLP, LinkedSpecification, MobileNetV2, ResNet, Specification
from nnmass.errors import InvalidValueError
from nnmass.networks.dense_cnn import DenseCNNNetwork
from nnmass.networks.dense_mlp import DenseMLPNetwork
from nnmass.networks.mobilenet_v2 import MobileNetV2Network
from nnmass.networks.resnet import ResNetNetwork

Network: TypeAlias = DenseMLPNetwork | DenseCNNNetwork | ResNetNetwork | MobileNetV2Network


def build(spec: Specification, seed: int = 0) -> Network:
    """Build the network of a specification: links where it has none, and weights, from ``seed``.

    The weights are drawn by PyTorch's default initialisation, those of a ResNet or MobileNetV2 as torchvision does.
    Links and weights come from two generators, so that the same seed gives the same weights whether the links were
    drawn or given.  The caller's random state stays as it was.

    Raises:
        InvalidValueError: a negative seed, or a family without a builder.
    """
    if seed < 0:
        raise InvalidValueError(f"seed must be at least 0, got {seed}")
    linked = spec.with_links(seed) if isinstance(spec, LinkedSpecification) and spec.links is None else spec
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if isinstance(linked, DenseMLP):
            return DenseMLPNetwork(linked)
        if isinstance(linked, DenseCNN):
            return DenseCNNNetwork(linked)
        if isinstance(linked, ResNet):
            return ResNetNetwork(linked)
        if isinstance(linked, MobileNetV2):
            return MobileNetV2Network(linked)
    raise InvalidValueError(f"no builder for the family {spec.family!r}")

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
from nnmass.architectures.specification import check_seed, require_specification
from nnmass.errors import InvalidValueError
from nnmass.memory import require_memory
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
        InvalidValueError: a seed outside 0 … 2⁶³ - 1, or a family without a builder.
        ResourceError: weights, links and modules need more memory than this machine has.
    """
    require_specification(spec)
    check_seed(seed)
    network = next((network for family, network in _NETWORKS.items() if isinstance(spec, family)), None)
    if network is None:
        raise InvalidValueError(f"no builder for the family {spec.family!r}")
    require_memory(_bytes_needed(spec), f"a {spec.family} of {spec.params:,} parameters")
    linked = spec.with_links(seed) if isinstance(spec, LinkedSpecification) and spec.links is None else spec
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return network(linked)


def _bytes_needed(spec: Specification) -> int:
    """Weights of 32 bits, links as Python's integers, and some 10 kB for the modules of a layer."""
    skips = sum(cell.num_skips for cell in spec.cells) if isinstance(spec, LinkedSpecification) else 0
    layers = sum(cell.depth for cell in spec.cells)
    return 4 * spec.params + 36 * skips + 10_000 * layers

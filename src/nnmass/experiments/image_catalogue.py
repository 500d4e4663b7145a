"""The experiments on images, by name: networks, data and size at every scale."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from nnmass.architectures import DenseCNN, LinkedSpecification, MobileNetV2, Specification
from nnmass.data import Data
from nnmass.experiments.image_networks import (
    UNSEEN_DENSE_DEPTHS,
    Networks,
    dense_cnns,
    dense_cnns_of_equal_mass,
    imagenet_resnets,
    mobilenets,
    resnets,
    wide_resnets,
)
from nnmass.experiments.scales import Scale, Size
from nnmass.training import training_macs

_SMOKE = Size(epochs=2, seeds=2, image_size=8, train=200, test=100, recipe={"batch_size": 32}, dataset="digits")
_SMALL = Size(
    epochs=6,
    seeds=3,
    image_size=16,
    train=3_000,
    test=2_000,
    recipe={"batch_size": 64, "learning_rate": 0.02},  # at 0.1 some runs stopped learning
)
_FULL = Size(epochs=200, seeds=3, recipe={"cutout": 16})
_CIFAR: dict[Scale, Size] = {"smoke": _SMOKE, "small": _SMALL, "full": _FULL}
_IMAGENET: dict[Scale, Size] = {
    "smoke": _SMOKE,
    "small": Size(epochs=10, seeds=3, image_size=32, train=10_000, recipe={"batch_size": 64}),
    "full": Size(
        epochs=150,
        seeds=3,
        image_size=224,
        recipe={"batch_size": 256, "label_smoothing": 0.1, "weight_decay": 4e-5, "augment": "none"},
        dataset="imagenet",
        streamed=True,
    ),
}
_RESNETS_IMAGENET = {**_IMAGENET, "small": replace(_IMAGENET["small"], epochs=6, train=4_000)}


@dataclass(frozen=True)
class AccuracyStudy:
    """Accuracy against mass, parameters and MACs.

    Attributes:
        title: what it shows.
        data: name of the data set, unless another is given.
        networks: at each scale.
        sizes: at each scale.
        unseen: groups, as the store names depths, that are predicted from the others.
        part: names the networks that each is compared with, where not all are.
    """

    title: str
    data: str
    networks: Networks
    sizes: dict[Scale, Size]
    unseen: Callable[[Scale], Sequence[str]] = lambda _: ()
    part: Callable[[Specification], str] = lambda _: ""


@dataclass(frozen=True)
class CompressionStudy:
    """Large networks against designed ones.

    Attributes:
        title: what it shows.
        data: name of the data set, unless another is given.
        networks: the references, at each scale.
        sizes: at each scale.
        keep_macs: share of the reference's MACs, at each scale.
        published: what the paper reports, for the verdict.
    """

    title: str
    data: str
    networks: Networks
    sizes: dict[Scale, Size]
    keep_macs: dict[Scale, float]
    published: str


@dataclass(frozen=True)
class ConvergenceStudy:
    """Training loss of networks of equal mass and different depth.

    Attributes:
        title: what it shows.
        data: name of the data set, unless another is given.
        grid: networks with the masses that they are meant to have, at each scale.
        sizes: at each scale.
    """

    title: str
    data: str
    grid: Callable[[Data, Scale], list[tuple[int, LinkedSpecification]]]
    sizes: dict[Scale, Size]

    def networks(self, data: Data, scale: Scale) -> list[Specification]:
        """The networks of the grid."""
        return [spec for _, spec in self.grid(data, scale)]


Study: TypeAlias = AccuracyStudy | CompressionStudy | ConvergenceStudy


def _dense_references(data: Data, scale: Scale) -> list[Specification]:
    widths, depth, skips = {
        "smoke": ((2, 4, 4), 16, [(4, 6, 6)]),
        "small": ((8, 16, 32), 16, [(20, 20, 16), (10, 20, 40)]),
        "full": ((32, 64, 128), 16, [(80, 80, 65), (40, 80, 125)]),
    }[scale]
    channels, side, _ = data.input_shape
    return [
        DenseCNN(
            widths=widths,
            depth=depth,
            max_skips=chosen,
            image_size=side,
            in_channels=channels,
            num_classes=data.num_classes,
        )
        for chosen in skips
    ]


def _mobilenet_references(data: Data, scale: Scale) -> list[Specification]:
    channels, side, _ = data.input_shape
    width = {"smoke": 0.25, "small": 0.35, "full": 1.0}[scale]
    return [MobileNetV2(width_mult=width, image_size=side, in_channels=channels, num_classes=data.num_classes)]


def _widths(spec: Specification) -> str:
    assert isinstance(spec, DenseCNN)
    return f"widths {', '.join(map(str, spec.widths))}"


def _unseen_dense(scale: Scale) -> Sequence[str]:
    return [str(depth) for depth in UNSEEN_DENSE_DEPTHS[scale]]


_PAPER_CIFAR = "the paper: 5.02 M parameters, 1.95 GFLOPs at 3.0 % error; 3.82 M, 1.2 GFLOPs at 3.18 % (CIFAR-10, full)"
_PAPER_IMAGENET = "the paper: 73.3 % top-1 at 393 M MACs and 3.7 M parameters (ImageNet, full)"

STUDIES: dict[str, Study] = {
    "cnn-cifar10": AccuracyStudy("DenseCNNs; depths predicted", "cifar10", dense_cnns, _CIFAR, _unseen_dense, _widths),
    "cnn-cifar100": AccuracyStudy("the same on 100 classes", "cifar100", dense_cnns, _CIFAR, _unseen_dense, _widths),
    "resnet-cifar10": AccuracyStudy("ResNets, blocks of every stage", "cifar10", resnets, _CIFAR),
    "wrn-cifar10": AccuracyStudy("Wide-ResNets, depth and width", "cifar10", wide_resnets, _CIFAR),
    "mobilenet-cifar10": AccuracyStudy("MobileNetV2s, expansion and blocks", "cifar10", mobilenets, _CIFAR),
    "convergence-cifar10": ConvergenceStudy(
        "loss of DenseCNNs of equal mass", "cifar10", dense_cnns_of_equal_mass, _CIFAR
    ),
    "resnet-imagenet": AccuracyStudy(
        "ResNets on images of ImageNet", "tiny-imagenet-100", imagenet_resnets, _RESNETS_IMAGENET
    ),
    "compress-cifar10": CompressionStudy(
        "DenseCNNs and ones of their mass at fewer MACs",
        "cifar10",
        _dense_references,
        _CIFAR,
        {"smoke": 0.62, "small": 0.62, "full": 0.62},
        _PAPER_CIFAR,
    ),
    "mobilenet-imagenet": CompressionStudy(
        "MobileNetV2 and one of its mass at fewer MACs",
        "tiny-imagenet-100",
        _mobilenet_references,
        _IMAGENET,
        {"smoke": 0.8, "small": 0.8, "full": 0.66},  # of small images the head takes the larger share
        _PAPER_IMAGENET,
    ),
}


def macs_at(specs: Sequence[Specification], size: Size, *, train: int) -> float:
    """Multiply-accumulates of training networks at a scale.

    Args:
        specs: the networks.
        size: epochs, seeds, images.
        train: training images of the whole data set.
    """
    samples = min(train, size.train or train)
    return training_macs(specs, samples=samples, epochs=size.epochs, seeds=size.seeds)

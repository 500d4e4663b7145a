"""The networks of the experiments on images, at each scale."""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

from nnmass.architectures import (
    CifarResNet,
    DenseCNN,
    LinkedSpecification,
    MobileNetV2,
    ResNet,
    Specification,
    WideResNet,
)
from nnmass.data import Data
from nnmass.experiments.scales import Scale
from nnmass.verification import skips_of_mass

Networks: TypeAlias = Callable[[Data, Scale], list[Specification]]
"""The networks of an experiment, for images and classes of a data set."""

DENSE_DEPTHS: dict[Scale, tuple[int, ...]] = {
    "smoke": (8, 10, 12),
    "small": (8, 10, 13, 16),
    "full": (10, 13, 16, 21, 12, 18),  # per cell: the paper's 31, 40, 49, 64 layers, and two that it has not
}
UNSEEN_DENSE_DEPTHS: dict[Scale, tuple[int, ...]] = {"smoke": (10,), "small": (10, 16), "full": (12, 18)}
"""Depths of a cell that are predicted from the others."""
_DENSE_WIDTHS: dict[Scale, tuple[tuple[int, ...], ...]] = {
    "smoke": ((2, 4, 4),),
    "small": ((8, 16, 32),),
    "full": ((16, 32, 64), (32, 64, 128), (48, 96, 192)),  # the paper's width multipliers 1, 2, 3
}
_SKIPS_PER_WIDTH: dict[Scale, tuple[float, ...]] = {
    "smoke": (0.5, 2.0),
    "small": (0.25, 0.5, 1.0, 2.0, 3.0, 4.0),
    "full": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0),
}
_EQUAL_MASSES: dict[Scale, tuple[int, ...]] = {"smoke": (8, 16, 30), "small": (40, 120, 360), "full": (150, 500, 1500)}
_EQUAL_DEPTHS: dict[Scale, tuple[int, ...]] = {"smoke": (8, 10, 12), "small": (8, 10, 13, 16), "full": (10, 13, 16, 21)}
_STAGE_WIDTHS: dict[Scale, tuple[int, ...]] = {"smoke": (4, 8, 8), "small": (8, 16, 32), "full": (16, 32, 64)}


def dense_cnns(data: Data, scale: Scale) -> list[Specification]:
    """DenseCNNs of several depths, and from few skips to many; at full scale of three widths."""
    choices = itertools.product(_DENSE_WIDTHS[scale], DENSE_DEPTHS[scale], _SKIPS_PER_WIDTH[scale])
    return [
        _dense_cnn(data, widths, depth, [max(round(times * width), 1) for width in widths])
        for widths, depth, times in choices
    ]


def dense_cnn_of_mass(data: Data, widths: Sequence[int], depth: int, mass: float) -> DenseCNN:
    """The DenseCNN of a depth whose mass comes nearest, each cell with the share of its width."""
    skips = [skips_of_mass(width, depth, mass * width / sum(widths)) for width in widths]
    return _dense_cnn(data, widths, depth, skips)


def dense_cnns_of_equal_mass(data: Data, scale: Scale) -> list[tuple[int, LinkedSpecification]]:
    """At each of three masses a DenseCNN of every depth."""
    widths = _DENSE_WIDTHS[scale][len(_DENSE_WIDTHS[scale]) // 2]
    choices = itertools.product(_EQUAL_MASSES[scale], _EQUAL_DEPTHS[scale])
    return [(mass, dense_cnn_of_mass(data, widths, depth, mass)) for mass, depth in choices]


def _dense_cnn(data: Data, widths: Sequence[int], depth: int, skips: Sequence[int]) -> DenseCNN:
    channels, side, _ = data.input_shape
    return DenseCNN(
        widths=tuple(widths),
        depth=depth,
        max_skips=tuple(skips),
        image_size=side,
        in_channels=channels,
        num_classes=data.num_classes,
    )


def resnets(data: Data, scale: Scale) -> list[Specification]:
    """ResNets for CIFAR: blocks per stage vary, alike and shifted between stages."""
    choices: dict[Scale, list[tuple[int, int, int]]] = {
        "smoke": [(1, 1, 1), (1, 1, 2), (2, 1, 1), (2, 2, 2)],
        "small": list(itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 3))),
        "full": [(3, 3, 3), (5, 5, 5), (7, 7, 7), (9, 9, 9), (2, 3, 7), (7, 3, 2), (3, 5, 10), (10, 5, 3), (2, 9, 5)],
    }
    channels, side, _ = data.input_shape
    return [
        CifarResNet(
            layers=layers,
            widths=_STAGE_WIDTHS[scale],
            image_size=side,
            in_channels=channels,
            num_classes=data.num_classes,
        )
        for layers in choices[scale]
    ]


def imagenet_resnets(data: Data, scale: Scale) -> list[Specification]:
    """ResNets of basic blocks, at full scale with ImageNet's stem; blocks per stage vary."""
    if scale != "full":
        return resnets(data, scale)
    choices = [(2, 2, 2, 2), (3, 4, 6, 3), (2, 3, 4, 2), (2, 2, 6, 2), (4, 2, 2, 2), (2, 2, 2, 4), (2, 4, 6, 2)]
    channels, side, _ = data.input_shape
    return [
        ResNet(block="basic", layers=layers, image_size=side, in_channels=channels, num_classes=data.num_classes)
        for layers in choices
    ]


def wide_resnets(data: Data, scale: Scale) -> list[Specification]:
    """Wide-ResNets: depth and width."""
    choices: dict[Scale, list[tuple[int, int]]] = {
        "smoke": [(10, 1), (16, 1), (22, 1)],
        "small": list(itertools.product((10, 16, 22, 28), (1, 2))),
        "full": list(itertools.product((10, 16, 22, 28, 40), (1, 2, 4, 8))),
    }
    channels, side, _ = data.input_shape
    return [
        WideResNet(depth=depth, widen_factor=widen, image_size=side, in_channels=channels, num_classes=data.num_classes)
        for depth, widen in choices[scale]
    ]


def mobilenets(data: Data, scale: Scale) -> list[Specification]:
    """MobileNetV2s for small images: expansions and blocks per stage vary, the first strides are 1."""
    choices: dict[Scale, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "smoke": ((3, 6), (2, 3)),
        "small": ((3, 4, 6), (2, 3, 4)),
        "full": ((2, 3, 4, 6), (2, 3, 4, 5, 6)),
    }
    expansions, repeats = choices[scale]
    width = {"smoke": 0.25, "small": 0.5, "full": 1.0}[scale]
    channels, side, _ = data.input_shape
    return [
        MobileNetV2(
            stages=(
                (1, 16, 1, 1),
                (t, 24, n, 1),
                (t, 32, n, 1 if scale == "full" else 2),
                (t, 64, n, 2),
                (t, 96, n, 1),
                *([(t, 160, n, 2), (t, 320, 1, 1)] if scale == "full" else []),
            ),
            width_mult=width,
            image_size=side,
            in_channels=channels,
            num_classes=data.num_classes,
        )
        for t, n in itertools.product(expansions, repeats)
    ]

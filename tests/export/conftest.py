import importlib.util

import pytest

from nnmass import CifarResNet, DenseCNN, DenseMLP, MobileNetV2, ResNet, WideResNet

SPECS = {
    "mlp": DenseMLP(width=6, depth=7, max_skips=9, in_features=12, activation="tanh"),
    "linear mlp": DenseMLP(width=3, depth=3, max_skips=4, in_features=5, activation="linear"),
    "shallow mlp": DenseMLP(width=3, depth=2, max_skips=9, in_features=12),
    "cnn": DenseCNN(widths=(8, 16), depth=(5, 7), max_skips=(9, 20), image_size=8),
    "separable": DenseCNN(widths=(8, 4, 8), depth=(1, 2, 4), max_skips=(9, 2, 0), conv="separable", image_size=12),
    "mobilenet": MobileNetV2(stages=[(1, 16, 1, 1), (2.5, 24, 2, 2)], width_mult=0.5, image_size=24, num_classes=7),
    "resnet": ResNet.of_depth(18, image_size=32, num_classes=4),
    "resnext": ResNet(block="bottleneck", layers=(1, 2), groups=4, width_per_group=8, planes=(16, 32), image_size=32),
    "cifar A": CifarResNet(layers=(1, 2, 1), widths=(4, 8, 12), image_size=10),
    "cifar B": CifarResNet(layers=(2, 1), widths=(8, 6), shortcut="B", image_size=10),
    "one stage": CifarResNet(layers=(2,), widths=(8,), image_size=10),
    "wide": WideResNet(depth=10, widen_factor=2, dropout=0.3, image_size=10),
}
"""A small network of every kind."""


@pytest.fixture(params=SPECS.values(), ids=SPECS.keys())
def spec(request):
    return request.param


@pytest.fixture
def imported():
    """Runs a file of code as a module."""

    def run(path):
        found = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        return module

    return run

import numpy as np
import pytest

from nnmass import CifarResNet, DenseCNN, DenseMLP, MobileNetV2, ResNet, WideResNet
from nnmass.architectures import cell_values


def test_a_cell_worked_by_hand():
    # width 4, depth 5, at most 6 skips on 8 × 8: at the last layer five outputs of 4, a copy of 4 + 6 read
    spec = DenseCNN(widths=(4,), depth=5, max_skips=6, image_size=8)
    assert spec.activation_bytes == 4 * 64 * (4 * 4 + (4 + 6) + 4)
    without = DenseCNN(widths=(4,), depth=5, max_skips=0, image_size=8)
    assert without.activation_bytes == 4 * 64 * (4 + 4)


def test_layers_one_by_one():
    def naive(width, depth, max_skips):
        most = 2 * width if depth > 1 else 0
        for i in range(2, depth):
            skips = min(max_skips, width * (i - 1))
            most = max(most, (width * i if max_skips else 0) + width + skips + width if max_skips else 2 * width)
        return most

    for width in (1, 3, 8):
        depths, skips = np.meshgrid(np.arange(2, 9), np.arange(0, 30), indexing="ij")
        expected = [[naive(width, d, t) for d, t in zip(*row, strict=True)] for row in zip(depths, skips, strict=True)]
        np.testing.assert_array_equal(cell_values(width, depths, skips), expected)


def test_blocks_worked_by_hand():
    basic = ResNet(block="basic", layers=(1,), image_size=32)
    assert basic.activation_bytes == 4 * max(3 * 32**2 + 64 * 16**2, 3 * 64 * 8**2)
    cifar = CifarResNet(layers=(1,), widths=(16,))
    assert cifar.activation_bytes == 4 * 3 * 16 * 32**2
    wide = WideResNet(depth=10, widen_factor=2)
    assert wide.activation_bytes == 4 * 32**2 * (32 + 32 + 16)


def test_an_inverted_residual_holds_its_input_for_the_shortcut():
    spec = MobileNetV2(stages=[(6, 32, 2, 1)], image_size=64, last_channels=8)
    # second block: 32 held, 192 read, 192 written on 32 × 32
    assert spec.activation_bytes == 4 * 32**2 * (32 + 192 + 192)


@pytest.mark.parametrize("depth", [2, 5])
def test_mlps(depth):
    spec = DenseMLP(width=4, depth=depth, max_skips=3, in_features=100)
    assert spec.activation_bytes == 4 * 104

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nnmass import MobileNetV2, ResNet
from nnmass.architectures import spec_from_dict
from nnmass.errors import SpecificationError

SPECS = [
    ResNet(block="basic", layers=(1, 2), planes=(32, 48), image_size=32, num_classes=7),
    ResNet(block="bottleneck", layers=(2, 1, 1), planes=(16, 40, 64), groups=2, width_per_group=32, image_size=40),
    MobileNetV2(stages=[(1, 16, 1, 1), (4, 24, 2, 2)], stem_channels=20, last_channels=100, image_size=32),
    MobileNetV2(stages=[(6, 16, 2, 2)], width_mult=1.4, last_channels=64, image_size=20),
]


@pytest.mark.parametrize("spec", SPECS)
def test_params_and_macs_are_those_of_the_network(spec):
    network = spec.build().eval()
    assert sum(p.numel() for p in network.parameters()) == spec.params
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(1, *spec.input_shape))
    assert counter.get_total_flops() == 2 * spec.macs


def test_mass_by_hand():
    # basic blocks (64, 32, 32), (32, 48, 48), (48, 48, 48): the widths of all but the last node
    assert SPECS[0].nn_mass == (64 + 32) + (32 + 48) + (48 + 48)


@pytest.mark.parametrize("spec", SPECS)
def test_json_keeps_them(spec, tmp_path):
    assert spec_from_dict(spec.model_dump(mode="json", exclude_none=True)) == spec


def test_the_default_leaves_no_trace():
    assert "planes" not in ResNet.of_depth(50).model_dump(exclude_none=True)
    assert "stem_channels" not in MobileNetV2().model_dump(exclude_none=True)
    assert ResNet(block="basic", layers=(2, 2, 2, 2), planes=(64, 128, 256, 512)).costs == ResNet.of_depth(18).costs


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"planes": (64,)}, r"planes must have one entry per stage \(2\), got 1"),
        ({"planes": (2, 64), "groups": 4, "width_per_group": 8}, "need a channel per group .4., got 0"),
        ({"planes": (64, 0)}, "planes.* got 0"),
    ],
)
def test_planes_that_do_not_fit_are_refused(values, message):
    with pytest.raises(SpecificationError, match=message):
        ResNet(block="bottleneck", layers=(1, 1), **values)

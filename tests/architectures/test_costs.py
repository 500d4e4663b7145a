import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from nnmass.architectures import DenseCNN, DenseMLP, cell_resolutions, dense_cnn_costs, dense_mlp_costs
from nnmass.errors import InvalidValueError

small = st.integers(1, 5)
skips = st.integers(0, 14)
builds = settings(max_examples=30, deadline=None)

mlps = st.builds(
    DenseMLP,
    width=small,
    depth=st.integers(2, 7),
    max_skips=skips,
    in_features=st.integers(1, 9),
    num_classes=small,
)


@st.composite
def cnns(draw) -> DenseCNN:
    cells = draw(st.integers(1, 3))
    return DenseCNN(
        widths=draw(st.tuples(*[small] * cells)),
        depth=draw(st.integers(1, 5) | st.tuples(*[st.integers(1, 5)] * cells)),
        max_skips=draw(st.tuples(*[skips] * cells)),
        conv=draw(st.sampled_from(["regular", "separable"])),
        image_size=draw(st.integers(1, 13)),
        in_channels=draw(st.integers(1, 4)),
        num_classes=draw(small),
    )


def counted(spec: DenseMLP | DenseCNN) -> tuple[int, int]:
    model = spec.build(seed=0).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *spec.input_shape))
    return sum(p.numel() for p in model.parameters() if p.requires_grad), counter.get_total_flops() // 2


@given(mlps)
@builds
def test_costs_of_an_mlp_are_those_counted_on_its_network(spec):
    assert (spec.params, spec.macs) == counted(spec)


@given(cnns())
@builds
def test_costs_of_a_cnn_are_those_counted_on_its_network(spec):
    assert (spec.params, spec.macs) == counted(spec)


@pytest.mark.parametrize("conv", ["regular", "separable"])
def test_costs_of_cells_of_depth_1_and_2_are_those_counted(conv):
    spec = DenseCNN(widths=(4, 3, 5), depth=(1, 2, 1), max_skips=9, conv=conv, image_size=11, in_channels=2)
    assert (spec.params, spec.macs) == counted(spec)
    assert spec.nn_mass == 0


def test_costs_of_an_mlp_worked_by_hand():
    # layer 2 takes both candidates, the classifier 3 of its 4
    costs = dense_mlp_costs(2, 4, 3, in_features=5, num_classes=3)
    assert costs.macs == 5 * 2 + 2 * 2 + (2 + 2) * 2 + (2 + 3) * 3
    assert costs.params == costs.macs + 2 + 2 + 2 + 3
    assert costs.nn_mass == 2 * 4 * (2 + 3) / (3 * 2)


def test_costs_of_a_cnn_worked_by_hand():
    # widths 2 and 3 on 6x6 and 3x3 pixels; layer 2 of the first cell takes one skip
    costs = dense_cnn_costs((2, 3), (3, 1), (1, 4), image_size=6, in_channels=1, num_classes=2)
    weights = [9 * 1 * 2, 9 * 2 * 2, 9 * 3 * 2, 9 * 2 * 3, 16 * 3 * 2]
    assert costs.macs == 36 * sum(weights[:3]) + 9 * weights[3] + weights[4]
    assert costs.params == sum(weights) + 2 * (2 + 2 + 3 + 3) + 2
    assert costs.nn_mass == 2 * 3 * 1 / 2


@given(st.lists(st.tuples(small, st.integers(2, 9), skips), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_arrays_of_mlps_cost_what_each_costs(cells):
    options = {"in_features": 7, "num_classes": 3}
    arrays = dense_mlp_costs(*np.array(cells).T, **options)
    each = [dense_mlp_costs(*cell, **options) for cell in cells]
    for name in ("nn_mass", "params", "macs"):
        np.testing.assert_array_equal(getattr(arrays, name), [getattr(costs, name) for costs in each])


@given(st.lists(cnns().filter(lambda spec: len(spec.widths) == 2), min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_arrays_of_cnns_cost_what_each_costs(specs):
    options = {"conv": specs[0].conv, "image_size": specs[0].image_size, "num_classes": 4, "in_channels": 2}
    widths, depths, candidates = (
        [np.array([values(spec)[k] for spec in specs]) for k in range(2)]
        for values in (lambda s: s.widths, lambda s: s.depths, lambda s: s.max_skips)
    )
    arrays = dense_cnn_costs(widths, depths, candidates, **options)
    each = [dense_cnn_costs(spec.widths, spec.depths, spec.max_skips, **options) for spec in specs]
    for name in ("nn_mass", "params", "macs"):
        np.testing.assert_array_equal(getattr(arrays, name), [getattr(costs, name) for costs in each])


def test_costs_broadcast_and_are_plain_numbers_for_numbers():
    grid = dense_cnn_costs((8, np.array([[8], [16]])), (5, 4), (np.arange(6), 3))
    assert grid.params.shape == grid.macs.shape == grid.nn_mass.shape == (2, 6)
    one = dense_cnn_costs((8, np.int64(16)), (5, 4), (2, 3))
    assert one == (grid.nn_mass[1, 2], grid.params[1, 2], grid.macs[1, 2])
    assert [type(value) for value in one] == [float, int, int]
    assert [type(value) for value in dense_mlp_costs(8, 5, 2, in_features=3, num_classes=2)] == [float, int, int]


@pytest.mark.parametrize(("width", "depth", "max_skips"), [(np.int8(100), 16, 20), (100, 16, np.int8(20))])
def test_small_integer_types_do_not_overflow(width, depth, max_skips):
    costs = dense_mlp_costs(width, depth, max_skips, in_features=64, num_classes=10)
    assert costs == dense_mlp_costs(100, 16, 20, in_features=64, num_classes=10)


@pytest.mark.parametrize(
    ("image_size", "sides"), [(32, [32, 16, 8, 4]), (33, [33, 17, 9, 5]), (28, [28, 14, 7, 4]), (1, [1, 1, 1, 1])]
)
def test_resolutions_halve_rounded_up(image_size, sides):
    assert cell_resolutions(image_size, 4) == sides


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ((2.5, 16, 20), {}, r"width must be a whole number of at least 1, got 2\.5"),
        ((8, 16, -1), {}, "max_skips must be at least 0, got -1"),
        ((8, 1, 20), {}, "depth .*2.*got 1"),
        ((8, 16, 20), {"in_features": 0}, "in_features .*1.*got 0"),
        ((8, 16, 20), {"num_classes": 2.5}, r"num_classes .*got 2\.5"),
    ],
)
def test_mlps_out_of_range_are_refused(values, options, message):
    with pytest.raises(InvalidValueError, match=message):
        dense_mlp_costs(*values, **({"in_features": 64, "num_classes": 10} | options))


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (((8,), (4, 3), (3,)), {}, "need one entry per cell each, got 1, 2 and 1 entries"),
        (((), (), ()), {}, "need one entry per cell each, got 0, 0 and 0 entries"),
        (((8, 0), (4, 3), (3, 3)), {}, "width must be at least 1, got 0"),
        (((8,), (4,), (3,)), {"conv": "dilated"}, "conv .*regular.*separable.*got 'dilated'"),
        (((8,), (4,), (3,)), {"image_size": 0}, "image_size .*1.*got 0"),
    ],
)
def test_cnns_out_of_range_are_refused(values, options, message):
    with pytest.raises(InvalidValueError, match=message):
        dense_cnn_costs(*values, **options)

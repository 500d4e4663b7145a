import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from nnmass import CifarResNet, DenseCNN, DenseMLP, MobileNetV2, ResNet, WideResNet
from nnmass.errors import InvalidValueError
from nnmass.latency import PASSES, LatencyTable, blocks_of
from nnmass.timing import (
    Yardstick,
    conditions,
    fill_table,
    inputs_grid,
    measure_latency,
    module_of,
    peak_activations,
    peak_bytes,
    settled,
    threads_set,
)
from nnmass.timing.engines import prepared

SPECS = [
    DenseMLP(width=4, depth=4, max_skips=5, in_features=6),
    DenseCNN(widths=(4, 8), depth=4, max_skips=(3, 9), image_size=8),
    DenseCNN(widths=(4, 8), depth=(1, 5), max_skips=(3, 9), conv="separable", image_size=8),
    MobileNetV2(stages=[(1, 16, 1, 1), (3, 24, 2, 2)], image_size=32, num_classes=5),
    ResNet(block="basic", layers=(1, 1), image_size=32, num_classes=5),
    ResNet(block="bottleneck", layers=(1, 2), groups=2, width_per_group=8, planes=(16, 32), image_size=32),
    CifarResNet(layers=(1, 2), widths=(4, 8), image_size=8),
    WideResNet(depth=10, widen_factor=1, image_size=8),
]
specs = pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.family)


@specs
def test_the_modules_of_all_blocks_are_the_network(spec):
    """Parameters add up to those of the specification, and each block reads what the one before puts out."""
    modules = [module_of(piece) for piece in blocks_of(spec)]
    assert sum(p.numel() for module, _ in modules for p in module.parameters()) == spec.params
    x = torch.zeros(2, *spec.input_shape)
    for module, shapes in modules:
        assert shapes[0] == tuple(x.shape[1:])
        assert not module.training
        with torch.no_grad():
            x = module(x, *(torch.zeros(2, *shape) for shape in shapes[1:]))
    assert x.shape == (2, spec.num_classes)


def test_building_a_block_leaves_the_random_state():
    state = torch.random.get_rng_state()
    module_of(blocks_of(SPECS[1])[0])
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("engine", ["eager", "compile", "onnxruntime"])
def test_engines_run_the_block(engine):
    module, shapes = module_of(blocks_of(SPECS[3])[1])
    where = conditions(engine, threads=1, batch=3)
    call = prepared(module, shapes, where)
    found = call()
    found = torch.as_tensor(found[0] if isinstance(found, list) else found)
    x = torch.randn((3, *shapes[0]), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert_close(found, module(x), rtol=1e-4, atol=1e-4)


def test_a_table_is_filled_once_and_goes_on_where_it_was(tmp_path):
    spec = SPECS[1]
    table = LatencyTable(tmp_path / "t.sqlite", conditions(threads=1), create=True)
    pieces = blocks_of(spec)
    told = []

    def stop(done, total):
        told.append((done, total))
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_table(table, pieces, seconds=0.001, progress=stop)
    again = LatencyTable(table.path)
    wanted = set(pieces)
    assert {len(again.passes(piece)) for piece in wanted} == {1}
    assert fill_table(again, pieces, seconds=0.001) == len(wanted)
    assert all(PASSES <= len(again.passes(piece)) <= 1 + 2 * PASSES for piece in wanted)
    known = {piece: again.passes(piece) for piece in wanted}
    shaken = again.unstable()  # this machine may be busy: what is not steady is measured again
    assert fill_table(again, pieces, seconds=0.001) == len(shaken)
    assert all((again.passes(piece) != known[piece]) == (piece in shaken) for piece in wanted)
    assert told[-1][0] < told[-1][1] == PASSES * len(wanted)
    assert again.predict(spec).latency.ms > 0


def test_between_the_narrowest_and_the_widest_layer_others_are_measured(tmp_path):
    table = LatencyTable(tmp_path / "t.sqlite", conditions(threads=1), create=True)
    fill_table(table, blocks_of(DenseCNN(widths=(4,), depth=6, max_skips=99, image_size=4)), seconds=0.001)
    in_between = DenseCNN(widths=(4,), depth=6, max_skips=7, image_size=4)
    assert table.missing(blocks_of(in_between)) == []


def test_grids_hold_both_ends():
    assert inputs_grid(8, 8) == [8]
    grid = inputs_grid(32, 500)
    assert (grid[0], grid[-1], len(grid)) == (32, 500, 9)
    assert np.diff(grid, 2).min() >= -1  # steps grow


@specs
def test_whole_networks_are_measured(spec):
    before = torch.get_num_threads()
    found = measure_latency(spec, conditions(threads=1), seconds=0.001)
    assert 0 < found.p10_ms <= found.median_ms <= found.p90_ms <= found.p99_ms
    assert found.repeats >= 5
    assert torch.get_num_threads() == before


def test_a_module_needs_shapes_and_time():
    with pytest.raises(InvalidValueError, match="input_shapes are missing"):
        measure_latency(nn.Linear(2, 2), conditions())
    with pytest.raises(InvalidValueError, match="seconds must be positive and at most 3600, got 0"):
        measure_latency(nn.Linear(2, 2), conditions(), [(2,)], seconds=0)
    for seconds in (-1, float("nan"), float("inf"), 1e9):
        with pytest.raises(InvalidValueError, match=f"at most 3600, got {seconds}"):
            measure_latency(nn.Linear(2, 2), conditions(), [(2,)], seconds=seconds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "abacus"}, "engine must be one of eager, compile, onnxruntime, got 'abacus'"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"threads": 10**9}, "threads must be at most [0-9]+, got 1000000000: this machine has [0-9]+ cores"),
    ],
)
def test_conditions_that_do_not_exist_are_refused(options, message):
    with pytest.raises(InvalidValueError, match=message):
        conditions(**options)


def test_threads_are_put_back_after_an_error():
    before = torch.get_num_threads()
    with threads_set(before + 1):
        assert torch.get_num_threads() == before + 1
    with pytest.raises(ZeroDivisionError), threads_set(before + 1):
        _ = 1 / 0
    assert torch.get_num_threads() == before


def test_the_usual_speed_is_that_of_the_first_look():
    yardstick = Yardstick()
    usual = yardstick.settle()
    assert usual > 0
    assert yardstick.settle() == usual


def test_peak_bytes_are_exact():
    def work():
        a = torch.empty(1_000_000)
        b = torch.empty(2_000_000)
        del a
        return torch.empty(500_000), b

    assert peak_bytes(work) == 12_000_000


@specs
def test_activation_memory_is_near_what_is_held(spec):
    """Unfused, norms need a copy of what they read: up to some times the closed form, never less than half."""
    network = settled(spec.build(), [spec.input_shape])
    held = peak_activations(network, [spec.input_shape])
    assert 0.4 * spec.activation_bytes <= held + 4 * np.prod(spec.input_shape) <= 5 * spec.activation_bytes + 4096


def test_settled_norms_keep_activations_in_range():
    spec = DenseCNN(widths=(8, 16), depth=12, max_skips=(4, 4), image_size=8, conv="separable")
    network = settled(spec.build(), [spec.input_shape])
    assert not network.training
    maps = []
    network.cells[-1].register_forward_hook(lambda _m, _i, out: maps.append(out))
    with torch.no_grad():
        network(torch.randn(4, *spec.input_shape))
    assert 0.05 < float(maps[0].std()) < 50
    assert all(m.momentum == 0.1 for m in network.modules() if isinstance(m, nn.BatchNorm2d))

"""Memory and time are asked for before a measurement begins."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from nnmass import DenseCNN, DenseMLP, isometry
from nnmass.errors import InvalidValueError, ResourceError
from nnmass.propagation import normal_inputs
from nnmass.propagation.measurement import measure
from nnmass.propagation.measurement.budget import LONGEST, require_day

MLP = DenseMLP(width=8, depth=8, max_skips=5, in_features=16)
CNN = DenseCNN(widths=(8,), depth=4, max_skips=4, image_size=8)
LARGE = DenseCNN(widths=(32, 64), depth=4, max_skips=8)


@pytest.mark.parametrize(
    ("spec", "inputs", "options"),
    [
        (MLP, 10**12, {}),
        (CNN, 10**30, {}),
        (MLP, 4, {"initialisations": 10**12}),
        (CNN, 4, {"initialisations": 10**12}),
        (CNN, 4, {"probes": 10**12}),
        (CNN, 4, {"probes": 10**7, "steps": 10**9}),
        (LARGE, 2, {"initialisations": 1, "probes": 2, "steps": 10**9}),
        (LARGE, 2, {"initialisations": 1, "dense_limit": 10**9, "probes": 10**7}),
    ],
)
def test_what_no_machine_does_is_refused_before_it_begins(spec, inputs, options):
    start = time.perf_counter()
    with pytest.raises(ResourceError, match=r"needs (about )?[\d,.e+]+ (GiB|TiB|PiB|days)") as caught:
        isometry(spec, inputs, **options)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - start < 30


def test_steps_beyond_the_number_of_singular_values_are_not_made():
    model, x = nn.Conv2d(1, 1, 3, padding=1).double(), torch.randn(1, 1, 4, 4).double()
    found, enough = (isometry(model, x, dense_limit=0, probes=3, steps=steps).layers[0] for steps in (10**12, 16))
    np.testing.assert_array_equal(found.singular_values, enough.singular_values)


def test_more_probes_than_inputs_read_each_input_again():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.ReLU(), nn.Conv2d(2, 3, 3)), torch.randn(2, 2, 9, 9)
    exact = isometry(model, x, dense_limit=1_000).layers[0]
    found = isometry(model, x, dense_limit=0, probes=50).layers[0]
    assert found.singular_values.shape == (50, 21)
    assert abs(found.mean - exact.mean) < 4 * found.error


def test_many_inputs_are_rehearsed_with_two(monkeypatch):
    model, inputs = MLP.build(0), torch.randn(200, 16)
    monkeypatch.setattr(measure, "_REHEARSED", 3)
    monkeypatch.setattr("nnmass.memory.machine_memory", lambda: 50_000)
    with pytest.raises(ResourceError, match="the layers' inputs and outputs at 200 inputs: needs"):
        isometry(model, inputs)


def test_networks_are_refused_at_the_pace_of_the_second(monkeypatch):
    monkeypatch.setattr(measure, "require_day", lambda seconds, what: require_day(1e9 * seconds, what))
    with pytest.raises(ResourceError, match=r"4 networks at the pace of the second: needs about .* days; at most one"):
        isometry(MLP, 2, initialisations=4)


def test_a_day_is_allowed():
    require_day(LONGEST, "work")
    with pytest.raises(ResourceError, match="work: needs about 2 days; at most one day is allowed"):
        require_day(2 * LONGEST, "work")


@pytest.mark.parametrize("name", ["initialisations", "probes", "steps", "dense_limit", "seed"])
def test_numbers_are_whole(name):
    with pytest.raises(InvalidValueError, match=f"{name} must be a whole number, got 2.5"):
        isometry(MLP, 2, **{name: 2.5})
    isometry(MLP, 2, **{"initialisations": 1, name: np.int64(2)})


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64])
def test_seeds_have_one_range(seed):
    with pytest.raises(InvalidValueError, match="seed must"):
        isometry(MLP, 2, seed=seed)


def test_standard_normal_inputs_have_the_shape_of_the_specification():
    assert normal_inputs(CNN, 3).shape == (3, 3, 8, 8)
    assert torch.equal(normal_inputs(MLP, 2, seed=1), normal_inputs(MLP, 2, seed=1))
    with pytest.raises(InvalidValueError, match="inputs must be at least 1, got 0"):
        normal_inputs(MLP, 0)

"""Stated intervals hold what is true as often as they say, at every number of probes and of networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nnmass import DenseCNN, DenseMLP, isometry
from nnmass.propagation import estimated_layers, flag
from nnmass.propagation.measurement.intervals import of_probes

REPEATS = 400


def least(repeats):
    """A share of 0.95, less three of its standard errors."""
    return 0.95 - 3 * (0.95 * 0.05 / repeats) ** 0.5


def holds(interval, value):
    return interval[0] <= value <= interval[1]


@pytest.fixture(scope="module", params=[1, 12])
def convolutions(request):
    """Three convolutions: all their singular values, and what very many probes see; each probe is at the next input."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ELU(), layers[2])
    inputs = torch.randn(12, 2, 6, 6) * torch.tensor([0.1, 0.3, 0.3, 0.5, 1, 1, 1, 1, 2, 3, 3, 10]).reshape(-1, 1, 1, 1)
    inputs = inputs[-request.param :]
    seen = isometry(model, inputs, dense_limit=0, probes=24 * REPEATS, steps=8)
    return isometry(model, inputs, dense_limit=10_000), seen


def some(layer, probes):
    """The layer as these probes see it."""
    parts = {name: getattr(layer, name)[probes] for name in ("singular_values", "weights")}
    return replace(layer, **parts, dead_bounds=layer.dead_bounds[:, probes])


def drawn(probes, inputs, generator):
    """Numbers of probes at different inputs, in any order, as often at each as at the others."""
    order = generator.permutation(inputs)
    return order[:probes] if probes < inputs else np.concatenate([order + inputs * k for k in range(probes // inputs)])


@pytest.mark.parametrize("probes", [2, 3, 4, 6, 8, 12, 24])
def test_intervals_by_probes_hold_the_true_mean(convolutions, probes):
    exact, seen = convolutions
    generator, held, normal = np.random.default_rng(0), [], []
    for k in range(REPEATS):
        places = 24 * k + drawn(probes, seen.inputs, generator)
        found = replace(seen, layers=tuple(some(layer, places) for layer in seen.layers))
        pairs = list(zip(found.layers, exact.layers, strict=True))
        of_layers = [holds(a.interval, b.mean) for a, b in pairs] + [holds(a.dead_interval, b.dead) for a, b in pairs]
        held.append([*of_layers, holds(found.all_interval, exact.all_mean)])
        normal.append([abs(a.mean - b.mean) <= 1.96 * a.error for a, b in pairs])
    assert np.mean(held, axis=0).min() >= least(REPEATS)
    if probes <= 3:
        assert np.mean(normal) < 0.87  # what the quantile of the normal law would hold


@pytest.fixture(scope="module")
def many():
    spec = DenseMLP(width=4, depth=5, max_skips=4, in_features=3, num_classes=2)
    inputs = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    return isometry(spec, inputs, initialisations=480)


@pytest.mark.parametrize("networks", [2, 3, 5, 16])
def test_intervals_by_networks_hold_the_expectation(many, networks):
    held = []
    for start in range(0, 480, networks):
        part = slice(start, start + networks)
        layers = tuple(replace(layer, singular_values=layer.singular_values[part]) for layer in many.layers)
        held.append(holds(replace(many, layers=layers, initialisations=networks).interval, many.mean))
    assert np.mean(held) >= least(480 // networks)


@pytest.mark.parametrize("shape", [(1, 2), (1, 3), (4, 1), (2, 2), (3, 8)])
def test_scatter_of_probes_is_students(shape):
    generator = np.random.default_rng(shape)
    values = generator.standard_normal((20_000, *shape))
    held = [abs(sample.mean()) <= of_probes(sample).half_width for sample in values[:4_000]]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)


def test_every_network_is_probed_at_inputs_of_its_own():
    """One probe per network: a mean over one input only would miss that the others differ."""
    spec = DenseCNN(widths=(3,), depth=3, max_skips=2, image_size=6, in_channels=1, num_classes=2)
    inputs = torch.zeros(8, 1, 6, 6)
    inputs[1:] = torch.randn(7, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    first = isometry(spec, inputs, initialisations=1, probes=8, dense_limit=10_000).layers[1].singular_values
    assert len(np.unique(first.mean(-1).round(6))) == 8
    several = isometry(spec, inputs, initialisations=8, probes=1, dense_limit=10_000).layers[1].singular_values
    alone = isometry(spec, inputs, initialisations=8, probes=8, dense_limit=10_000).layers[1].singular_values
    np.testing.assert_allclose(several[:, 0], alone[np.arange(8), np.arange(8)])


def test_fewer_inputs_than_probes_are_all_seen_as_often():
    model, inputs = nn.Conv2d(1, 2, 3, bias=False), torch.randn(3, 1, 6, 6)
    layer = isometry(nn.Sequential(nn.ReLU(), model), inputs, dense_limit=0, probes=4).layers[0]
    assert len(layer.singular_values) == 6


def test_what_is_estimated_is_known_without_measuring():
    spec = DenseCNN(widths=(8,), depth=3, max_skips=2, image_size=8, in_channels=1)
    found = isometry(spec, 2, initialisations=2)
    estimated = [layer.name for layer in found.layers if layer.method == "lanczos"]
    assert estimated_layers(spec, 2) == estimated != []
    assert estimated_layers(spec.build(), torch.randn(2, 1, 8, 8)) == estimated
    assert estimated_layers(DenseMLP(width=4, depth=4, max_skips=2), 2) == []


class Halved(nn.Module):
    """A convolution of which a share of the input's channels is off."""

    def __init__(self, off: int):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.diag(torch.where(torch.arange(8) < off, 0.0, 1.5))[:, :, None, None])

    def forward(self, x):
        return self.conv(torch.tanh(x)) + 0 * x.mean()


@pytest.mark.parametrize(("off", "flagged"), [(0, ""), (1, ""), (4, "dead directions"), (8, "shrinks")])
def test_dead_directions_are_flagged_where_their_share_is_shown(off, flagged):
    layer = isometry(Halved(off), 0.3 * torch.randn(4, 8, 6, 6), dense_limit=0, probes=8).layers[0]
    assert layer.method == "lanczos"
    assert flag(layer) == flagged


def test_a_bound_alone_flags_no_layer():
    """Few steps do not tell small singular values from dead ones: the largest share is 1, the least is 0."""
    torch.manual_seed(0)
    weight = torch.diag(torch.logspace(-1.8, 1, 64))
    model = nn.Sequential(nn.Tanh(), nn.Conv2d(64, 64, 1, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(weight[:, :, None, None])
    inputs = 0.01 * torch.randn(2, 64, 3, 3)
    few = isometry(model, inputs, dense_limit=0, probes=4, steps=2).layers[0]
    exact = isometry(model, inputs, dense_limit=10_000).layers[0]
    assert exact.dead < 0.25
    assert few.dead > 0.25
    assert flag(few) == flag(exact) == ""

"""Stated intervals hold what is true as often as they say, at every number of probes and of networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nnmass import DenseCNN, DenseMLP, isometry
from nnmass.propagation import flag
from nnmass.propagation.measurement.intervals import of_networks, of_probes

REPEATS = 400
LEAST = 0.95 - 3 * (0.95 * 0.05 / REPEATS) ** 0.5  # three standard errors of a share of 0.95


def holds(interval, value):
    return interval[0] <= value <= interval[1]


@pytest.fixture(scope="module")
def convolution():
    """Three convolutions: all their singular values, and what very many probes see; each probe is at the next input."""
    torch.manual_seed(1)
    convolutions = [nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3)]
    model = nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1], nn.ELU(), convolutions[2])
    inputs = torch.randn(6, 2, 6, 6) * torch.tensor([0.1, 0.3, 1, 1, 3, 10]).reshape(-1, 1, 1, 1)
    seen = isometry(model, inputs, dense_limit=0, probes=24 * REPEATS, steps=8)
    return isometry(model, inputs, dense_limit=10_000), seen


def some(layer, probes):
    """The layer as these probes see it."""
    parts = {name: getattr(layer, name)[probes] for name in ("singular_values", "weights")}
    return replace(layer, **parts, dead_bounds=layer.dead_bounds[:, probes])


@pytest.mark.parametrize("probes", [2, 3, 4, 6, 12, 24])
def test_intervals_by_probes_hold_the_true_mean(convolution, probes):
    exact, seen = convolution
    layers, pooled, dead = [], [], []
    for k in range(REPEATS):
        of_these = slice(k * probes, (k + 1) * probes)
        found = replace(seen, layers=tuple(some(layer, of_these) for layer in seen.layers))
        layers.append([holds(a.interval, b.mean) for a, b in zip(found.layers, exact.layers, strict=True)])
        dead.append([holds(a.dead_interval, b.dead) for a, b in zip(found.layers, exact.layers, strict=True)])
        pooled.append(holds(found.all_interval, exact.all_mean))
    for held in (layers, dead, pooled):
        assert np.mean(held, axis=0).min() >= LEAST
    twice = [
        abs(x.mean() - seen.layers[1].mean) < 1.96 * of_probes(x[None]).standard_error
        for x in np.split(seen.layers[1].probe_means[0][: REPEATS * probes], REPEATS)
    ]
    if probes == 2:  # what the normal law's quantile would cover
        assert np.mean(twice) < 0.8


@pytest.mark.parametrize("networks", [2, 3, 5, 16])
def test_intervals_by_networks_hold_the_expectation(networks):
    spec = DenseMLP(width=4, depth=5, max_skips=4, in_features=3, num_classes=2)
    inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    means = isometry(spec, inputs, initialisations=networks * 100).layers[1:-1]
    every = np.mean([layer.network_means for layer in means], axis=0)
    truth = every.mean()  # of all together: what a few of them are to hold
    shares = [abs(part.mean() - truth) <= of_networks(part).half_width for part in every.reshape(100, networks)]
    assert np.mean(shares) >= 0.95 - 3 * (0.95 * 0.05 / 100) ** 0.5
    found = isometry(spec, inputs, initialisations=networks)
    assert found.interval == pytest.approx(
        (every[:networks].mean() - of_networks(every[:networks]).half_width, found.interval[1])
    )


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


class Halved(nn.Module):
    """A convolution of which a share of the input's channels is off."""

    def __init__(self, off: int):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.diag(torch.where(torch.arange(8) < off, 0.0, 1.0))[:, :, None, None])

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

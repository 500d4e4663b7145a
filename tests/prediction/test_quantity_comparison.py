import json
from dataclasses import replace

import numpy as np
import pytest

from nnmass import DenseMLP
from nnmass.errors import FitError
from nnmass.prediction import QUANTITIES, LogFit, MassPredictor, Network, compare, fit_quantities


def network(nn_mass, params, macs, accuracy, group=16, seeds=5):
    return Network(nn_mass, params, macs, accuracy, seeds, 0.01, group)


SEEDS = sum(4 * 0.01**2 for _ in range(18)) / (18 * 4) / 5
"""Variance of the mean of five seeds, pooled over 18 networks."""


def noisy_networks(seed=0, count=18):
    rng = np.random.default_rng(seed)
    masses = rng.uniform(5, 100, count)
    return [
        network(m, int(1_000 + 40 * m * d), int(900 + 38 * m * d), 0.5 + 0.1 * np.log(m) + rng.normal(0, 0.02), d)
        for m, d in zip(masses, np.tile([8, 16, 32], count // 3).tolist(), strict=True)
    ]


def test_every_quantity_is_fitted_on_the_same_networks():
    networks = noisy_networks()
    result = compare(networks)
    assert tuple(result.fits) == QUANTITIES == ("nn_mass", "params", "macs")
    assert result.networks == tuple(networks)
    assert result.left_out == 0
    accuracy = [n.accuracy for n in networks]
    for quantity in QUANTITIES:
        values = [getattr(n, quantity) for n in networks]
        assert vars(result.fits[quantity].fit) == vars(LogFit.fit(values, accuracy, noise=SEEDS, quantity=quantity))
    assert isinstance(result.mass, MassPredictor)
    assert result.mass is result.fits["nn_mass"].fit


def test_networks_without_mass_are_left_out_of_every_fit_and_counted():
    networks = noisy_networks()
    plain = [network(0.0, 500, 400, 0.2), network(0.0, 9_000, 8_000, 0.99)]
    result = compare([plain[0], *networks, plain[1]])
    assert result.left_out == 2
    assert result.networks == tuple(networks)
    assert result.fits == compare(networks).fits


def test_group_errors_are_those_of_refitting_without_the_group():
    networks = noisy_networks()
    result = compare(networks)
    for quantity in QUANTITIES:
        means = []
        for group in (8, 16, 32):
            inside = [n for n in networks if n.group == group]
            outside = [n for n in networks if n.group != group]
            x = np.log([getattr(n, quantity) for n in outside])
            slope, intercept = np.polyfit(x, [n.accuracy for n in outside], 1)
            errors = [slope * np.log(getattr(n, quantity)) + intercept - n.accuracy for n in inside]
            means.append(np.mean(np.square(errors)))
            assert result.fits[quantity].group_errors[group] == pytest.approx(np.sqrt(means[-1]))
        assert set(result.fits[quantity].group_errors) == {8, 16, 32}
        assert result.fits[quantity].group_error == pytest.approx(np.sqrt(np.mean(means)))


def test_one_group_has_no_group_error():
    result = compare([replace(n, group=(5, 7)) for n in noisy_networks()])
    assert result.fits["nn_mass"].group_errors == {}
    assert result.fits["nn_mass"].group_error is None


def test_a_group_whose_others_make_no_line_is_left_out():
    networks = noisy_networks(count=6)
    pair = [replace(n, group="others") for n in networks[:2]]
    rest = [replace(n, group="most") for n in networks[2:]]
    assert set(compare(pair + rest).fits["nn_mass"].group_errors) == {"others"}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_bootstrap_interval_of_a_clean_line_holds_its_r2(seed):
    fits = compare(noisy_networks(), seed=seed).fits
    for quantity in QUANTITIES:
        low, high = fits[quantity].r2_interval
        assert 0 <= low < fits[quantity].fit.r2 < high <= 1
    assert fits["nn_mass"].r2_interval[0] > 0.8
    assert fits["params"].r2_interval[0] < fits["nn_mass"].r2_interval[0]


def test_the_bootstrap_resamples_networks():
    networks = noisy_networks()
    x, y = np.log([n.params for n in networks]), np.array([n.accuracy for n in networks])
    rng = np.random.default_rng(42)
    picks = [rng.integers(len(networks), size=len(networks)) for _ in range(2_000)]
    r2 = [np.corrcoef(x[pick], y[pick])[0, 1] ** 2 for pick in picks]
    expected = tuple(np.quantile(r2, [0.025, 0.975]))
    assert compare(networks).fits["params"].r2_interval == pytest.approx(expected, abs=0.03)


def test_a_comparison_is_deterministic_and_its_interval_depends_on_the_seed():
    networks = noisy_networks()
    assert compare(networks, seed=3) == compare(networks, seed=3)
    assert compare(networks, seed=3).fits["macs"].r2_interval != compare(networks, seed=4).fits["macs"].r2_interval


def test_the_interval_of_three_networks_is_one_of_shares():
    # some resamples hold one network only, most two
    networks = [network(10, 100, 90, 0.5), network(20, 200, 180, 0.6), network(40, 300, 290, 0.6)]
    low, high = compare(networks).fits["nn_mass"].r2_interval
    assert 0 <= low <= high <= 1


def test_plain_values_are_json():
    networks = noisy_networks()
    result = compare([*networks, network(0.0, 10, 10, 0.1)])
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert values["networks"] == 18
    assert values["seeds"] == [5]
    assert values["left_out_without_mass"] == 1
    assert set(values["fits"]) == set(QUANTITIES)
    mass = values["fits"]["nn_mass"]
    assert mass["slope"] == result.mass.slope
    assert mass["range"] == list(result.mass.range)
    assert mass["r2_interval_95"] == list(result.fits["nn_mass"].r2_interval)
    assert mass["left_out_group_errors"] == {str(g): e for g, e in result.fits["nn_mass"].group_errors.items()}


def test_plain_values_of_one_group_are_json():
    values = compare([replace(n, group=8) for n in noisy_networks()]).to_dict()
    assert json.loads(json.dumps(values, allow_nan=False))["fits"]["macs"]["left_out_group_error"] is None


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([], "at least 3 networks, got 0"),
        ([network(m, 10 * m, 9 * m, 0.1 * m) for m in (0, 0, 1, 2)], "at least 3 networks, got 2"),
        ([network(3, 10 * m, 9 * m, 0.1 * m) for m in (1, 2, 3)], "all 3 networks have the same nn_mass, 3"),
        ([network(m, 70, 9 * m, 0.1 * m) for m in (1, 2, 3)], "all 3 networks have the same params, 70"),
        ([network(m, 10 * m, 9 * m, 0.5) for m in (1, 2, 3)], "all 3 networks have the same accuracy"),
    ],
)
def test_networks_that_make_no_line_are_refused(networks, message):
    with pytest.raises(FitError, match=message):
        compare(networks)


def test_another_outcome_is_fitted_in_the_same_way_and_named_in_messages():
    networks = noisy_networks()
    quantities = {name: np.array([getattr(n, name) for n in networks], float) for name in QUANTITIES}
    accuracy = np.array([n.accuracy for n in networks])
    groups = [n.group for n in networks]
    assert fit_quantities(quantities, accuracy, groups, noise=SEEDS) == compare(networks).fits
    losses = fit_quantities(quantities, -2 * accuracy, groups, name="log loss")
    for quantity, fit in compare(networks).fits.items():
        assert losses[quantity].fit.slope == pytest.approx(-2 * fit.fit.slope)
        assert losses[quantity].fit.r2 == pytest.approx(fit.fit.r2)
        assert losses[quantity].r2_interval == pytest.approx(fit.r2_interval)
        assert losses[quantity].group_error == pytest.approx(2 * fit.group_error)
    with pytest.raises(FitError, match="all 18 networks have the same log loss, 0"):
        fit_quantities(quantities, np.zeros(18), groups, name="log loss")


def test_means_over_several_seeds_say_how_much_they_scatter_and_single_seeds_do_not():
    networks = noisy_networks()
    several = [replace(n, seeds=1 + k % 3, accuracy_std=0.02 if k % 3 else 0.0) for k, n in enumerate(networks)]
    pooled = sum((n.seeds - 1) * n.accuracy_std**2 for n in several) / sum(n.seeds - 1 for n in several)
    noise = [pooled / n.seeds for n in several]
    accuracy = [n.accuracy for n in several]
    fit = compare(several).mass
    assert fit.scatter == LogFit.fit([n.nn_mass for n in several], accuracy, noise=noise).scatter
    assert fit.slope == compare(networks).mass.slope
    single = compare([replace(n, seeds=1, accuracy_std=0.0) for n in networks]).mass
    assert single.scatter == LogFit.fit([n.nn_mass for n in networks], accuracy).scatter


def test_a_comparison_of_networks_without_origin_predicts_no_specification():
    result = compare(noisy_networks())
    assert result.kind is None
    with pytest.raises(FitError, match="the fitted networks do not say what they are"):
        result.predict(DenseMLP(width=8, depth=16, max_skips=12))


def test_networks_exactly_on_a_line_predict_nothing():
    result = compare([network(m, 100 * m, 90 * m, a, seeds=1) for m, a in ((1, 0.5), (2, 0.6), (4, 0.7))])
    with pytest.raises(FitError, match="the 3 networks lie exactly on a line in log nn_mass: nothing tells"):
        result.at(2)

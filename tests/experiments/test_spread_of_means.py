import numpy as np
import pytest
from scipy import stats

from nnmass.errors import InvalidValueError
from nnmass.experiments import spread_of_means

SAMPLES = [[1.0, 3.0, 2.0], [4.0, 6.0, 5.5], [2.0, 2.5, 4.0]]


def test_a_spread_is_that_of_the_means():
    found = spread_of_means(SAMPLES)
    means = [np.mean(sample) for sample in SAMPLES]
    assert (found.networks, found.lowest, found.highest) == (3, min(means), max(means))
    assert found.spread == max(means) - min(means)


def test_the_standard_error_is_that_of_a_mean_with_pooled_variance():
    pooled = np.mean([np.var(sample, ddof=1) for sample in SAMPLES])
    assert spread_of_means(SAMPLES).standard_error == pytest.approx(np.sqrt(pooled / 3))
    # variances 2 (1 degree of freedom) and 1 (2): pooled 4/3; times the mean of 1/2 and 1/3
    assert spread_of_means([[0.0, 2.0], [1.0, 2.0, 3.0]]).standard_error == pytest.approx(np.sqrt(4 / 3 * 5 / 12))


def test_the_noise_agrees_with_tukeys_test():
    found = spread_of_means(SAMPLES)
    p = stats.tukey_hsd(*SAMPLES).pvalue.min()
    assert (found.spread > found.noise_95) == (p < 0.05)
    scale = found.noise_95 / found.spread  # moved to the very edge
    moved = [np.array(s) + (np.mean(s) - found.lowest) * (scale - 1) for s in SAMPLES]
    assert stats.tukey_hsd(*moved).pvalue.min() == pytest.approx(0.05, abs=1e-6)


def test_networks_that_are_alike_exceed_the_noise_once_in_twenty():
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(20_000, 5, 4))
    found = spread_of_means(samples[0].tolist())
    errors = np.sqrt(samples.var(axis=2, ddof=1).mean(axis=1) / 4)
    noise = errors * found.noise_95 / found.standard_error
    assert noise[0] == pytest.approx(found.noise_95)
    share = (np.ptp(samples.mean(axis=2), axis=1) > noise).mean()
    assert share == pytest.approx(0.05, abs=0.005)  # three standard errors


def test_what_does_not_scatter_has_no_noise():
    found = spread_of_means([[1.0, 1.0], [2.0, 2.0]])
    assert (found.spread, found.standard_error, found.noise_95) == (1, 0, 0)
    assert set(found.to_dict()) == {"networks", "lowest", "highest", "spread", "standard_error", "noise_95"}


@pytest.mark.parametrize("samples", [[], [[1.0, 2.0]], [[1.0, 2.0], [1.0]]])
def test_too_few_networks_or_seeds_are_refused(samples):
    with pytest.raises(InvalidValueError, match="at least 2 networks of at least 2 seeds each, got"):
        spread_of_means(samples)

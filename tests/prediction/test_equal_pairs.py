import json

import numpy as np
import pytest

from nnmass.prediction import APART, EQUAL, Sample, compare_pairs


@pytest.fixture
def sample():
    """Two groups of 15; mass takes five values in each, MACs are spread, and the outcome follows MACs alone."""
    rng = np.random.default_rng(0)
    macs = np.exp(rng.uniform(0, 3, 30))
    mass = np.tile([10.0, 20, 40, 80, 160], 6) * rng.uniform(1, 1.04, 30)
    outcome = 70 + 3 * np.log(macs) + np.repeat([0.0, 5], 15)
    return Sample({"nn_mass": mass, "params": macs**2, "macs": macs}, outcome, "a" * 15 + "b" * 15, range(30))


def naive_pairs(sample, equal):
    for i in range(30):
        for j in range(i + 1, 30):
            ratios = {name: max(v[i], v[j]) / min(v[i], v[j]) for name, v in sample.quantities.items()}
            others = [ratio for name, ratio in ratios.items() if name != equal]
            if sample.groups[i] == sample.groups[j] and ratios[equal] <= EQUAL and max(others) >= APART:
                yield i, j


@pytest.mark.parametrize("equal", ["nn_mass", "params", "macs"])
def test_pairs_are_equal_in_one_quantity_and_far_apart_in_another(sample, equal):
    expected = list(naive_pairs(sample, equal))
    found = compare_pairs(sample, resamples=50).equal[equal]
    assert list(found.pairs) == expected
    differences = [abs(sample.outcome[i] - sample.outcome[j]) for i, j in expected]
    if len(expected) >= 5:
        assert found.difference.value == pytest.approx(np.mean(differences))
    else:
        assert found.difference is None


def test_gains_go_with_having_more(sample):
    found = compare_pairs(sample, resamples=200).equal["nn_mass"]
    mass_pairs = [
        (i, j)
        for i, j in naive_pairs(sample, "nn_mass")
        if not 1 / APART < sample.quantities["macs"][i] / sample.quantities["macs"][j] < APART
    ]
    more = [3 * abs(np.log(sample.quantities["macs"][i] / sample.quantities["macs"][j])) for i, j in mass_pairs]
    assert found.gains["macs"].value == pytest.approx(np.mean(more))
    assert found.gains["macs"].interval[0] > 0
    assert set(found.gains) == {"params", "macs"}


def test_the_quantity_that_decides_leaves_smaller_differences(sample):
    found = compare_pairs(sample, resamples=300)
    assert found.equal["macs"].difference.value < 0.2  # MACs decide, and differ by 5 % at most
    assert found.equal["nn_mass"].difference.value > 1
    assert found.leads["macs"].interval[0] > 0
    assert found.leads["macs"].value == pytest.approx(
        found.equal["nn_mass"].difference.value - found.equal["macs"].difference.value
    )
    low, high = found.equal["nn_mass"].difference.interval
    assert low < found.equal["nn_mass"].difference.value < high


def test_every_pair_of_a_group_is_the_yardstick(sample):
    pairs = [(i, j) for i in range(30) for j in range(i + 1, 30) if sample.groups[i] == sample.groups[j]]
    expected = np.mean([abs(sample.outcome[i] - sample.outcome[j]) for i, j in pairs])
    assert compare_pairs(sample, resamples=50).every.value == pytest.approx(expected)


def test_four_pairs_are_listed_but_not_averaged():
    quantities = {"nn_mass": np.array([1, 1, 9, 9, 30.0]), "macs": np.array([1, 2, 4, 8, 16.0])}
    found = compare_pairs(Sample(quantities, np.array([1, 2, 3, 5, 7.0]), "aaaaa", range(5)), resamples=50)
    assert found.equal["nn_mass"].pairs == ((0, 1), (2, 3))
    assert found.equal["nn_mass"].difference is None
    assert found.equal["nn_mass"].gains == {"macs": None}
    assert found.leads == {"macs": None}


def test_plain_values_are_json(sample):
    found = compare_pairs(sample, resamples=50)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["equal"]["nn_mass"]["pairs"] == len(found.equal["nn_mass"].pairs)
    assert values["every_pair"]["value"] == found.every.value

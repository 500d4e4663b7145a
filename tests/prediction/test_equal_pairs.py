import json

import numpy as np
import pytest

from nnmass.prediction import APART, EQUAL, Sample, compare_pairs
from nnmass.verification import sign


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
    if equal == "params":
        assert len(expected) < 6
        assert found.difference is None
    else:
        assert found.difference.value == pytest.approx(np.mean(differences))


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


def of_pairs(pairs, gap=1.0):
    """A sample in which networks of these clusters have one mass each, and whose outcome grows with MACs."""
    mass = np.concatenate([np.full(size, 3.0**k) for k, size in enumerate(pairs)])
    macs = np.concatenate([2.0 ** np.arange(1, size + 1) for size in pairs])
    return Sample({"nn_mass": mass, "macs": macs}, 50 + gap * np.log2(macs), "a" * len(mass), range(len(mass)))


@pytest.mark.parametrize(
    ("clusters", "pairs", "enough"),
    [
        ([2] * 5, 5, False),  # chance gives five differences one sign in one of sixteen cases
        ([2] * 6, 6, True),
        ([4, 4], 12, False),  # twelve pairs of eight networks: four at most share none
        ([3, 3, 3, 2, 2], 11, False),
        ([4, 4, 4], 18, True),
        ([2] * 7, 7, True),
    ],
)
def test_pairs_count_as_far_as_they_share_no_network(clusters, pairs, enough):
    found = compare_pairs(of_pairs(clusters), resamples=200).equal["nn_mass"]
    assert len(found.pairs) == pairs
    assert (found.difference is not None) == (found.gains["macs"] is not None) == enough


def test_one_network_beside_many_shows_nothing():
    """The gain over all pairs with one network is that network's luck."""
    mass = np.array([1.0, 1.04, *np.geomspace(0.96, 0.999, 9)])
    macs = np.array([1.0, 1.0, *[8.0] * 9])
    apart = Sample(
        {"nn_mass": np.where(macs > 1, mass, 1.0), "macs": macs}, np.arange(11.0), "a" * 11, [0, 0, *range(1, 10)]
    )
    found = compare_pairs(apart, resamples=200).equal["nn_mass"]
    assert len(found.pairs) >= 18
    assert found.difference is None


def test_weights_of_one_architecture_are_no_independent_pairs():
    sample = of_pairs([2] * 8)
    units = [i % 2 for i in range(16)]  # the same two architectures, trained in eight ways
    shared = Sample(sample.quantities, sample.outcome, sample.groups, units)
    found = compare_pairs(shared, resamples=200)
    assert len(found.equal["nn_mass"].pairs) == 8
    assert found.equal["nn_mass"].difference is None
    assert found.leads == {"macs": None}


def test_gains_that_all_agree_have_no_width_and_no_verdict():
    gain = compare_pairs(of_pairs([2] * 8), resamples=200).equal["nn_mass"].gains["macs"]
    assert gain.interval == pytest.approx((1.0, 1.0))
    assert sign(gain.interval) == "open"


def test_plain_values_are_json(sample):
    found = compare_pairs(sample, resamples=50)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["equal"]["nn_mass"]["pairs"] == len(found.equal["nn_mass"].pairs)
    assert values["every_pair"]["value"] == found.every.value

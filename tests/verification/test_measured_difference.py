import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtri

from nnmass.errors import InvalidValueError
from nnmass.verification import FEWEST_SEEDS, Measured, MeasuredDifference, accuracy_interval

Z = stats.norm.ppf(0.975)
SHARES = st.floats(0, 1)
SEEDS = st.integers(FEWEST_SEEDS, 12)


def difference(reference, compressed, samples=98, chance=0.1, **options):
    both = (Measured(tuple(accuracies), samples, chance) for accuracies in (reference, compressed))
    return MeasuredDifference(*both, **options)


def of_answers(reference, compressed):
    return difference(reference.mean(1), compressed.mean(1), reference.shape[1], answers=(reference, compressed))


def test_seeds_that_agree_leave_what_two_test_parts_leave():
    found = difference([0.5] * 3, [0.5] * 3)  # 50 of 100 right in both: sqrt(2 · 0.25 / 100) = 0.0707
    assert found.interval == pytest.approx((-Z * math.sqrt(0.005), Z * math.sqrt(0.005)))


def test_networks_of_the_same_answers_leave_what_two_more_samples_leave():
    answers = np.arange(98) < [[90], [91], [92]]
    found = of_answers(answers, answers)  # one of two more samples for, one against: sqrt(2 · 0.25) / 100 = 0.00707
    assert found.interval == pytest.approx((-Z * math.sqrt(0.5) / 100, Z * math.sqrt(0.5) / 100))


def test_the_part_of_the_seeds_is_that_of_a_paired_t_test():
    reference, compressed = [0.7, 0.72, 0.75, 0.71], [0.69, 0.74, 0.72, 0.7]
    low, high = difference(reference, compressed).interval
    theirs = stats.ttest_rel(compressed, reference).confidence_interval(0.95)
    of_samples = Z * math.sqrt(sum(p * (1 - p) for p in ((98 * np.mean(a) + 1) / 100 for a in (reference, compressed))))
    assert (high - low) / 2 == pytest.approx(math.hypot((theirs.high - theirs.low) / 2, of_samples / 10))
    assert (low + high) / 2 == pytest.approx(np.mean(compressed) - np.mean(reference))


def test_two_seeds_give_means_and_no_interval():
    found = difference([0.7, 0.9], [0.9, 0.76])
    assert found.difference == pytest.approx(0.03)
    assert (found.interval, found.reference.interval, found.reference.above_chance) == (None, None, None)
    assert difference([0.7], [0.8]).reference.std is None
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["difference"]["interval_95"] is None


@given(st.data())
def test_an_interval_is_never_empty_and_never_leaves_what_is_possible(data):
    seeds, samples = data.draw(SEEDS), data.draw(st.integers(1, 10**6))
    reference, compressed = (data.draw(st.lists(SHARES, min_size=seeds, max_size=seeds)) for _ in range(2))
    found = difference(reference, compressed, samples)
    low, high = found.interval
    assert -1 <= low < high <= 1
    assert low <= found.difference <= high
    for one in (found.reference, found.compressed):
        low, high = one.interval
        assert 0 <= low < high <= 1
        assert low <= one.mean <= high + 1e-12


@given(st.integers(0, 2**32 - 1), SEEDS, st.integers(1, 60))
def test_pairs_are_never_taken_for_more_than_they_tell(seed, seeds, samples):
    rng = np.random.default_rng(seed)
    answers = rng.random((2, seeds, samples)) < rng.random((2, 1, samples))
    low, high = of_answers(*answers).interval
    by_seed = answers[1].mean(1) - answers[0].mean(1)
    of_seeds = stats.t.ppf(0.975, seeds - 1) * by_seed.std(ddof=1) / math.sqrt(seeds)
    by_sample = answers[1].mean(0) - answers[0].mean(0)
    of_samples = Z * math.sqrt((((by_sample - by_sample.mean()) ** 2).sum() + 0.5) / (samples + 2) ** 2)
    expected = math.hypot(of_seeds, of_samples)
    mean = by_seed.mean()
    assert (low, high) == pytest.approx((max(mean - expected, -1), min(mean + expected, 1)))


@pytest.mark.parametrize(
    ("reference", "compressed", "answers"),
    [
        ([0.5, 0.5], [0.5], None),
        ([], [], None),
        ([0.5] * 3, [0.5] * 3, (3, 97)),
        ([0.5] * 3, [0.5] * 3, (2, 98)),
    ],
)
def test_networks_of_other_seeds_or_samples_are_not_compared(reference, compressed, answers):
    given_answers = answers and (np.zeros(answers, bool), np.zeros(answers, bool))
    with pytest.raises(InvalidValueError, match="needs both networks on the same seeds and samples, got"):
        difference(reference, compressed, answers=given_answers)


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("seeds", [3, 10])
@pytest.mark.parametrize("samples", [1, 100, 10_000])
def test_a_network_that_names_the_largest_class_is_never_above_chance(chance, seeds, samples):
    assert Measured((chance,) * seeds, samples, chance).above_chance is False
    assert Measured((1.0,) * seeds, 10_000, chance).above_chance is True


def test_guesses_are_rarely_taken_for_more():
    rng = np.random.default_rng(0)
    guessed = rng.binomial(200, 0.1, (2_000, 3)) / 200
    above = [Measured(tuple(row), 200, 0.1).above_chance for row in guessed.tolist()]
    assert np.mean(above) < 0.03


def drawn(rng, seeds, samples, accuracies, scatter):
    """Answers of two networks: right where level + difficulty + quality of the seed + noise exceeds 0."""
    level = ndtri(accuracies) * math.sqrt(1 + 4 + scatter**2)
    difficulty = math.sqrt(2) * (rng.standard_normal((1, 1, samples)) + rng.standard_normal((2, 1, samples)))
    quality = scatter * rng.standard_normal((2, seeds, 1))
    return level[:, None, None] + difficulty + quality + rng.standard_normal((2, seeds, samples)) > 0


@pytest.mark.parametrize("scatter", [0.02, 0.15])
@pytest.mark.parametrize(("low", "high"), [(0.93, 0.93), (0.92, 0.95), (0.37, 0.4)])
@pytest.mark.parametrize(("seeds", "samples"), [(3, 100), (5, 100), (10, 100), (3, 1_000), (10, 1_000)])
def test_intervals_hold_the_true_difference(seeds, samples, low, high, scatter):
    rng = np.random.default_rng(seeds * samples)
    held = {"paired": 0, "unpaired": 0, "t": 0}
    for _ in range(400):
        reference, compressed = drawn(rng, seeds, samples, (low, high), scatter)
        found = of_answers(reference, compressed)
        intervals = {"paired": found.interval}
        intervals["unpaired"] = difference(reference.mean(1), compressed.mean(1), samples).interval
        by_seed = compressed.mean(1) - reference.mean(1)
        half = stats.t.ppf(0.975, seeds - 1) * by_seed.std(ddof=1) / math.sqrt(seeds)
        intervals["t"] = found.difference - half, found.difference + half
        for name, ends in intervals.items():
            held[name] += ends[0] <= high - low <= ends[1]
    assert min(held["paired"], held["unpaired"]) >= 0.93 * 400
    if samples == 100 and seeds > 3:
        assert held["t"] < 0.85 * 400  # seeds alone do not know that there are few samples


def test_an_accuracy_has_an_interval_by_hand():
    low, high = accuracy_interval(0.5, 0.0, 3, 96)
    assert (low, high) == pytest.approx((0.5 - Z * 0.05, 0.5 + Z * 0.05))

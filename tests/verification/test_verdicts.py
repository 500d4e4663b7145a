import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnmass
from nnmass.prediction import Estimate
from nnmass.verification import (
    FEWEST_SEEDS,
    Measured,
    MeasuredDifference,
    better,
    interval_points,
    measured_verdict,
    sign,
)

SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=6)


def found(reference, compressed, *, samples=360, chance=0.1, answers=None, left_out=0):
    both = (Measured(tuple(accuracies), samples, chance) for accuracies in (reference, compressed))
    return MeasuredDifference(*both, answers=answers, left_out=left_out)


@pytest.mark.parametrize(
    ("reference", "compressed", "words"),
    [
        ([0.9, 0.92, 0.91], [0.88, 0.9, 0.89], "not shown to be better or worse; the interval says by how much it may"),
        ([0.9, 0.91, 0.92], [0.5, 0.52, 0.49], r"worse: 50\.33 % against 91\.00 %, a difference of -40\.67 points \["),
        ([0.5, 0.52, 0.49], [0.9, 0.91, 0.92], r"better: .* over 3 seeds and 360 test samples, which are not paired"),
        ([0.7, 0.9], [0.9, 0.76], r"neither shown to be better nor worse, as an interval needs 3 seeds: .* 2 seeds"),
        ([0.9, 0.92], [0.88, 0.9], r"neither shown .*, a difference of -2\.00 points over 2 seeds"),
        ([0.9], [0.1], r"neither shown .*, a difference of -80\.00 points over 1 seed and 360 test samples\.$"),
    ],
)
def test_a_verdict_claims_what_seeds_and_samples_show(reference, compressed, words):
    said = measured_verdict(found(reference, compressed), "small network")
    assert re.search(f"^the small network is {words}", said)


@pytest.mark.parametrize(
    ("reference", "compressed", "words"),
    [
        (
            0.1,
            0.1,
            "Neither network is shown to be above chance, 10.00 %: the difference says nothing of what they can",
        ),
        (0.1, 0.9, "better: .* The reference is not shown to be above chance, 10.00 %, or to have learned anything."),
        (0.9, 0.1, "worse: .* The small network is not shown to be above chance, 10.00 %, or to have learned"),
    ],
)
def test_networks_at_chance_are_named(reference, compressed, words):
    assert re.search(words, measured_verdict(found([reference] * 3, [compressed] * 3), "small network"))


@given(SHARES, SHARES, st.integers(1, 10_000), st.floats(0.01, 0.99), st.integers(0, 3))
def test_words_follow_from_the_interval_alone(reference, compressed, samples, chance, left_out):
    seeds = min(len(reference), len(compressed))
    one = found(reference[:seeds], compressed[:seeds], samples=samples, chance=chance, left_out=left_out)
    said = measured_verdict(one, "small network")
    assert "equal" not in said
    assert ("an interval needs" in said) == (seeds < FEWEST_SEEDS) == (one.interval is None)
    low, high = one.interval or (-1, 1)
    assert said.startswith("the small network is better:") == (low > 0)
    assert said.startswith("the small network is worse:") == (high < 0)
    at_chance = [m for m in (one.reference, one.compressed) if m.interval and m.interval[0] <= chance]
    assert ("above chance" in said) == bool(at_chance)
    assert ("diverged" in said) == (left_out > 0)


def test_pairs_are_not_called_unpaired():
    answers = np.random.default_rng(0).random((2, 3, 360)) < 0.9
    said = measured_verdict(found(*answers.mean(2), answers=tuple(answers)), "small network")
    assert "paired" not in said


def test_an_interval_that_is_missing_says_what_it_needs():
    assert interval_points(found([0.9], [0.9])) == "none: it needs 3 seeds"


@pytest.mark.parametrize("value", [-2.0, -1e-9, 1e-9, 2.0])
def test_resamples_that_all_agree_show_nothing(value):
    assert sign((value, value)) == "open"
    assert better(Estimate(value, (value, value))).startswith("not shown to be better or worse")


@pytest.mark.parametrize("units", [3, 5, 6, 20])
def test_few_networks_show_nothing(units):
    assert sign((0.1, 0.3), units=units) == ("above" if units >= 6 else "open")


def test_only_one_place_decides_what_an_interval_shows():
    """Sentences on measured differences elsewhere would have floors of their own, or none."""
    root = Path(nnmass.__file__).parent
    judges = re.compile(r"\b(low|high|least|most)\w* *[<>]=? *0\b|interval\w*\[[01]\] *[<>]=? *0\b")
    rooms = [root / room for room in ("verification", "experiments", "reporting", "prediction", "cli")]
    found_in = {
        path.name for room in rooms for path in room.rglob("*.py") if judges.search(path.read_text(encoding="utf-8"))
    }
    assert found_in == {"verdicts.py"}

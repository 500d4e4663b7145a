import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from nnmass.latency import LARGEST_CORRECTION, PASSES, Latency, Timing, known_from, total
from nnmass.latency.times import _rank_above, _rank_below

times, any_speed = st.floats(0.01, 100), st.floats(0.2, 5)


def steady(ms, **values):
    return Timing(ms, ms * 0.95, ms * 1.1, ms * 1.2, 7)._replace(**values)


@st.composite
def timings(draw, speeds=any_speed):
    p10, p50, p90, p99 = sorted(draw(st.lists(times, min_size=4, max_size=4)))
    speed, drift = draw(speeds), draw(st.floats(0, 0.2))
    return Timing(p50, p10, p90, p99, 7, draw(st.sampled_from(["", "shaken"])), speed, drift, draw(times))


@pytest.mark.parametrize("count", range(1, 40))
def test_ranks_are_the_nearest_bounds_of_a_quartile(count):
    """The a-th least lies below the quartile if at least a of the passes do: the nearest one of 95 %."""
    below, above = _rank_below(count), _rank_above(count)
    assert below == 1 or binom.sf(below - 1, count, 0.25) >= 0.95
    assert binom.sf(below, count, 0.25) < 0.95
    assert above == count or binom.cdf(above - 1, count, 0.25) >= 0.95
    assert above == 1 or binom.cdf(above - 2, count, 0.25) < 0.95


@pytest.mark.parametrize("count", [PASSES, 2 * PASSES, 40])
def test_bounds_hold_the_quartile_of_skewed_passes(count):
    generator = np.random.default_rng(0)
    quartile = -np.log(0.75)
    held = 0
    for _ in range(400):
        found = known_from([steady(1 + excess) for excess in generator.exponential(size=count)])
        held += found.low_ms <= 1 + quartile <= found.high_ms
    promised = binom.cdf(_rank_above(count) - 1, count, 0.25) - binom.cdf(_rank_below(count) - 1, count, 0.25)
    assert held / 400 >= promised - 0.06


@given(st.lists(timings(), min_size=1, max_size=15))
def test_estimates_lie_within_bounds_that_runs_were_near(passes):
    found = known_from(passes)
    assert 0 < found.low_ms <= found.ms <= found.high_ms
    slack = LARGEST_CORRECTION * max(max(one.speed, 1 / one.speed) for one in passes)
    drift = 1 + max(one.drift for one in passes)
    assert found.high_ms <= max(one.p90_ms for one in passes) * slack * drift * (1 + 1e-9)
    assert found.low_ms >= min(one.p10_ms**2 / one.p90_ms for one in passes) / slack / drift * (1 - 1e-9)


def test_what_is_not_steady_is_wide():
    assert not known_from([steady(1.0)] * PASSES).is_wide
    shaken = steady(1.0, p10_ms=0.9, p90_ms=1.8, unstable="its times spread")
    assert known_from([shaken] * PASSES).is_wide
    assert known_from([shaken] * PASSES).low_ms == pytest.approx(0.9**2 / 1.8)
    spikes = [steady(ms) for ms in (1.0, 1.02, 1.01, 1.03, 9.0, 20.0)]
    assert not known_from(spikes).is_wide
    assert known_from(spikes).ms == pytest.approx(1.0125)


def test_a_speed_beyond_the_correction_widens():
    slow = known_from([steady(3.0 / 1.3, speed=1 / 3)] * PASSES)  # of 3 ms at a third of the speed: really 1 ms
    assert slow.low_ms == pytest.approx(1.0)
    fast = known_from([steady(1.3, speed=3.0)] * PASSES)  # of 1 ms at thrice the speed: really 3 ms
    assert fast.high_ms == pytest.approx(3.0)


@given(timings(st.floats(0.8, 1.25)), times)
def test_passes_are_stated_for_another_speed_and_back(one, usual_ms):
    other = one.stated_for(usual_ms)
    assert other.raw_ms == pytest.approx(one.raw_ms)
    assert other.yardstick_ms == pytest.approx(one.yardstick_ms)
    assert other.stated_for(one.usual_ms) == pytest.approx(one)


@given(st.lists(st.tuples(times, st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_bounds_add_up(parts):
    latencies = [Latency(ms, ms * (1 - low), ms * (1 + high)) for ms, low, high in parts]
    found = total(latencies)
    assert found.low_ms <= found.ms <= found.high_ms
    for end in range(3):
        assert found[end] == pytest.approx(sum(latency[end] for latency in latencies))

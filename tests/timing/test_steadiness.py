"""Timing on machines that are not steady.

Their clock is made up: a real machine is noisy or not as it likes, and no test could say what it should have measured.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.timing.yardstick import Yardstick, in_turn

SECONDS = 0.1


class Machine:
    """A clock that calls advance.

    Args:
        costs: of one call after the other, in milliseconds.
    """

    def __init__(self, costs):
        self.now, self._costs, self.taken = 0.0, iter(costs), []

    def clock(self):
        return self.now

    def call(self):
        cost = next(self._costs)
        self.taken.append(cost)
        self.now += cost / 1000


def timed(machine, **options):
    (timing,) = in_turn([machine.call], SECONDS, clock=machine.clock, **options)
    return timing


def test_a_steady_machine_needs_no_longer_than_it_is_told():
    machine = Machine(itertools.repeat(1.0))
    timing = timed(machine)
    assert timing[:4] == pytest.approx((1, 1, 1, 1))
    assert timing.unstable == ""
    assert 95 <= timing.repeats <= 105
    assert machine.now < 1.2 * SECONDS


def test_interruptions_are_no_latency():
    timing = timed(Machine(itertools.cycle([1.0] * 30 + [40.0])))
    assert timing.median_ms == pytest.approx(1.0)
    assert timing.unstable == ""


@pytest.mark.parametrize("lasting", [1, 4])
def test_runs_that_were_interrupted_are_left_out(lasting):
    """Of every five runs some wait for another program; the system counts that."""
    costs = itertools.cycle([1.0] * (5 - lasting) + [9.0] * lasting)
    machine = Machine(costs)
    timing = timed(machine, interruptions=lambda: sum(cost > 1 for cost in machine.taken))
    assert timing[:4] == pytest.approx((1, 1, 1, 1))
    assert timing.unstable == ""
    assert min(machine.taken) < np.mean(machine.taken)


def test_a_call_that_is_always_interrupted_is_not_trusted():
    machine = Machine(itertools.repeat(9.0))
    timing = timed(machine, interruptions=lambda: len(machine.taken))
    assert timing.unstable == "other programs took the core during nearly all of its runs"
    assert timing.median_ms == pytest.approx(9.0)
    assert machine.now < 10 * SECONDS


def test_a_slow_while_is_waited_for():
    timing = timed(Machine(itertools.chain([3.0] * 20, itertools.repeat(1.0))))
    assert timing.median_ms == pytest.approx(1.0)
    assert timing.unstable == ""


def test_a_machine_that_gets_slower_and_slower_is_not_trusted():
    machine = Machine(1.003**n for n in itertools.count())
    timing = timed(machine)
    assert "its two fastest series differ by" in timing.unstable
    assert timing.median_ms >= 1
    assert machine.now < 10 * SECONDS


def test_times_that_spread_are_not_trusted():
    rng = np.random.default_rng(0)
    timing = timed(Machine(iter(lambda: float(rng.uniform(1, 5)), None)))
    assert "spread by a factor of" in timing.unstable or "differ by" in timing.unstable


def test_a_machine_at_another_speed_is_corrected_for_in_bounds():
    slow = timed(Machine(itertools.repeat(1.2)), speed=lambda: 1 / 1.2)
    assert slow.median_ms == pytest.approx(1.0)
    assert slow.unstable == ""
    far = timed(Machine(itertools.repeat(3.0)), speed=lambda: 1 / 3)
    assert far.unstable == "the machine ran at 33% of its usual speed"
    assert far.median_ms == pytest.approx(3.0 / 1.3)


def test_calls_in_turn_are_judged_one_by_one():
    steady, shaken = Machine(itertools.repeat(1.0)), Machine(itertools.cycle([1.0, 9.0]))
    machine = Machine(())

    def run(one):
        one.call()
        machine.now += one.taken[-1] / 1000

    found = in_turn([lambda: run(steady), lambda: run(shaken)], SECONDS, clock=machine.clock)
    assert found[0].unstable == ""
    assert "spread by a factor of 9.0" in found[1].unstable


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.1, 50), min_size=1, max_size=60),
    st.lists(st.floats(0.05, 20), min_size=1, max_size=8),
    st.booleans(),
)
def test_no_latency_is_stated_that_no_run_was_near(costs, speeds, corrected):
    machine, speed = Machine(itertools.cycle(costs)), itertools.cycle(speeds)
    timing = timed(machine, speed=(lambda: next(speed)) if corrected else None)
    bound = 1.3 if corrected else 1.0
    assert min(machine.taken) / bound <= timing.p10_ms * (1 + 1e-9)
    assert timing.p10_ms <= timing.median_ms <= timing.p90_ms <= timing.p99_ms <= max(costs) * bound * (1 + 1e-9)
    assert machine.now <= 10 * SECONDS + 12 * 3 * max(costs) / 1000
    assert timing.repeats >= 5


def test_a_yardstick_states_for_its_usual_speed():
    class Slow(Yardstick):
        def now(self):
            return 1.2

    machine = Machine(itertools.repeat(1.2))
    timing = Slow(usual_ms=1.0, clock=machine.clock).time(machine.call, SECONDS)
    assert timing.median_ms == pytest.approx(1.0)
    assert timing.raw_ms == pytest.approx(1.2)
    assert timing.yardstick_ms == pytest.approx(1.2)
    assert timing.drift == pytest.approx(0.03)

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.designing import DenseCNNSpace
from nnmass.designing.bounds import bounds_for, least_bound, price_pool
from nnmass.designing.problem import QUANTITIES, Limit, Problem, connected, count_paths, make_level
from nnmass.designing.search import maximise
from nnmass.designing.solver import Budgets, solve
from nnmass.errors import InfeasibleError, InvalidValueError, ResourceError

COLUMNS = len(QUANTITIES)


@st.composite
def chains(draw):
    """Levels of random options: whole costs, masses of few different values, states that not all lead on."""
    seed, depth = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 4))
    generator = np.random.default_rng(seed)
    levels, before = [], 1
    for _ in range(depth):
        states = int(generator.integers(1, 4))
        blocks, entries = [], []
        for i in range(before):
            for state in range(states):
                if generator.random() < 0.75:
                    options = int(generator.integers(1, 6))
                    whole = generator.integers(0, 40, (options, 2))
                    mass = generator.integers(0, 30, (options, 1)) / 7
                    ms = generator.random((options, 1))
                    rows = np.hstack([mass, whole, ms])
                    entries.append(
                        (i, len(blocks), [0.5 * generator.integers(0, 3), *generator.integers(0, 9, 2), 0.1])
                    )
                    blocks.append((state, rows, np.arange(options)[:, None]))
        levels.append(make_level(states, blocks, entries))
        before = states
    return levels


@st.composite
def problems(draw):
    levels = connected(draw(chains()))
    objective = draw(st.integers(0, COLUMNS - 1))
    sign = draw(st.sampled_from([1, -1]))
    limits = draw(
        st.lists(
            st.builds(
                Limit,
                st.integers(0, COLUMNS - 1),
                st.integers(0, 90).map(lambda n: n / 2),
                st.sampled_from([1, -1]),
            ),
            max_size=4,
        )
    )
    return Problem(levels, objective, sign, tuple(limits))


def best_by_brute_force(problem, sums):
    within = (problem.use(sums) <= problem.room).all(1)
    return problem.gain(sums)[within].max() if within.any() else None


def all_sums(levels, paths_of):
    return np.array([sums for sums, _ in paths_of(levels)]).reshape(-1, COLUMNS)


@given(problems())
@settings(max_examples=300, deadline=None)
def test_the_optimum_is_that_of_brute_force(paths_of, problem):
    sums = all_sums(problem.levels, paths_of)
    expected = best_by_brute_force(problem, sums)
    found = maximise(problem)
    assert found.complete
    assert (found.path is None) == (expected is None)
    assert len(sums) == count_paths(problem.levels)
    if expected is not None:
        assert problem.gain(found.path.quantities) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert (problem.use(found.path.quantities) <= problem.room).all()


@given(problems(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_no_path_within_the_limits_exceeds_a_bound(paths_of, problem, seed):
    sums = all_sums(problem.levels, paths_of)
    expected = best_by_brute_force(problem, sums)
    if not len(sums):
        return
    prices = np.random.default_rng(seed).random((5, len(problem.limits)))
    dual = least_bound(problem)
    pool = np.vstack([prices, price_pool(dual)])
    for price in pool:
        bound = bounds_for(problem, price[None]).overall
        largest = (problem.gain(sums) - problem.use(sums) @ price).max() + price @ problem.room
        assert bound == pytest.approx(largest, rel=1e-9, abs=1e-9)
        assert expected is None or bound >= expected - 1e-9
    assert dual.bound <= bounds_for(problem, prices).overall + 1e-6 * max(1.0, abs(dual.bound))


@given(problems(), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_a_search_that_is_cut_short_gives_a_bound_that_holds(paths_of, problem, work):
    sums = all_sums(problem.levels, paths_of)
    expected = best_by_brute_force(problem, sums)
    found = maximise(problem, work_limit=work)
    if expected is None:
        assert found.path is None
    else:
        assert found.bound >= expected - 1e-9
        if found.complete:
            assert problem.gain(found.path.quantities) == pytest.approx(expected)


def test_the_same_problem_has_the_same_answer_and_work():
    levels = DenseCNNSpace(widths=(tuple(range(8, 33, 8)),) * 3, depth=tuple(range(4, 12)), equal_depths=False).levels()
    budgets = Budgets(max_macs=3e7, max_params=3e5)
    first, second = (solve(levels, budgets, space_size=1) for _ in range(2))
    assert first.path.options == second.path.options
    assert first.certificate == second.certificate
    assert first.certificate.optimal


def test_a_time_limit_gives_the_best_so_far_with_its_gap():
    widths = tuple(range(8, 129, 8))
    space = DenseCNNSpace(widths=(widths,) * 3, depth=tuple(range(4, 41)), equal_depths=False, max_density=1)
    levels, budgets = space.levels(), Budgets(max_macs=4.56e8, max_params=7.89e6)
    cut = solve(levels, budgets, space_size=space.size(), work_limit=200_000)
    whole = solve(levels, budgets, space_size=space.size())
    assert whole.certificate.optimal
    assert whole.certificate.gap == 0
    assert not cut.certificate.optimal
    assert 0 < cut.certificate.gap < 0.2
    assert cut.path.quantities[0] <= whole.path.quantities[0] <= cut.certificate.bound
    with pytest.raises(ResourceError, match="was found in the time given, nor proven impossible"):
        solve(levels, Budgets(min_mass=4000, max_params=1e6, max_macs=4e9), space_size=1, work_limit=1)


def test_an_upper_limit_of_mass_is_met_exactly():
    levels = DenseCNNSpace(widths=((8,), (16,)), depth=(5, 6, 7), equal_depths=False).levels()
    solution = solve(levels, Budgets(max_macs=10**8, max_mass=20.0), space_size=1)
    assert solution.certificate.optimal
    masses = np.add.outer(*(level.quantities[:, 0] for level in levels))
    assert solution.path.quantities[0] == pytest.approx(masses[masses <= 20 + 1e-8].max())


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ({"max_macs": 1000}, "no network of the space has at most 1,000 MACs, feasible is at most 646,400 MACs"),
        (
            {"max_params": 12_000, "min_mass": 70},
            "at most 12,000 params and NN-Mass at least 70; with the others kept, feasible is at most [0-9,]+ params "
            "or NN-Mass at least [0-9.]+",
        ),
        (
            {"max_params": 10, "max_macs": 10, "min_mass": 1e6},
            "has at most 10 params and at most 10 MACs and NN-Mass at least 1,000,000, nor with any one of these given",
        ),
    ],
)
def test_what_is_impossible_is_proven_with_the_nearest(budgets, message):
    levels = DenseCNNSpace(widths=((8,), (8,)), depth=(4, 5, 6), image_size=16).levels()
    with pytest.raises(InfeasibleError, match=message):
        solve(levels, Budgets(**budgets), space_size=1)


def test_the_nearest_budget_is_feasible_and_less_is_not():
    levels = DenseCNNSpace(widths=((8,), (8,)), depth=(4, 5, 6), image_size=16).levels()
    found = solve(levels, Budgets(max_macs=646_400), space_size=1)
    assert found.path.quantities[QUANTITIES.index("macs")] == 646_400
    with pytest.raises(InfeasibleError):
        solve(levels, Budgets(max_macs=646_399), space_size=1)


def test_a_space_that_is_cut_holds_no_network():
    level = make_level(1, [], [])
    with pytest.raises(InfeasibleError, match="the space holds no network"):
        solve([level], Budgets(), space_size=0)


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ({"max_params": 0}, "max_params must be positive, got 0"),
        ({"max_macs": -1}, "max_macs must be positive, got -1"),
        ({"max_latency_ms": math.nan}, "max_latency_ms must be positive, got nan"),
        ({"min_mass": -1}, "min_mass must be at least 0, got -1"),
        ({"min_mass": 3, "max_mass": 2}, "min_mass 3 exceeds max_mass 2"),
    ],
)
def test_budgets_that_exclude_everything_are_refused(budgets, message):
    with pytest.raises(InvalidValueError, match=message):
        Budgets(**budgets)


def test_an_unknown_objective_is_refused():
    with pytest.raises(
        InvalidValueError, match="objective must be one of mass, params, macs, latency_ms, got 'beauty'"
    ):
        solve([], Budgets(), "beauty", space_size=0)


def test_options_keep_their_entries_when_others_go():
    rows = np.zeros((3, COLUMNS))
    level = make_level(2, [(0, rows[:1], [[7]]), (1, rows[:2], [[8], [9]])], [(0, 0, rows[0]), (0, 1, rows[0])])
    left = level.kept(np.array([False, False, True]))
    assert left.choices.tolist() == [[9]]
    assert left.block_state.tolist() == [1]
    assert left.entry_block.tolist() == [0]
    assert dataclasses.replace(left, states=2).blocks == 1

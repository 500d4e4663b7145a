"""Every statistic beside scipy's, on the sample and on resamples that are written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nnmass.prediction.association import WithinGroups

GROUPS = "aaaaaabbbbcccc"
RNG = np.random.default_rng(0)
X = np.round(1 + np.exp(RNG.normal(size=14)), 1)  # with ties
Z = np.round(X * np.exp(RNG.normal(size=14)), 1) + 0.1
V = np.round(np.exp(RNG.normal(size=14)), 2)
Y = np.round(np.log(X) + np.log(Z) / 3 + RNG.normal(size=14), 1)
COUNTS = np.stack([np.ones(14), *RNG.integers(1, 4, size=(5, 14))]).astype(float)


def written_out(values, count):
    return np.repeat(values, count.astype(int))


def one_group(count):
    return WithinGroups("a" * count.shape[-1], count[None])


def parts(*values, count):
    """The resample written out, group by group."""
    for group in "abc":
        inside = np.array([g == group for g in GROUPS])
        yield [written_out(v[inside], count[inside]) for v in values]


def residuals(target, given):
    design = np.stack([np.ones(len(target)), *given], 1)
    return target - design @ np.linalg.lstsq(design, target)[0]


@pytest.mark.parametrize("count", COUNTS)
def test_one_group_gives_the_coefficients_of_scipy(count):
    within, x, y = one_group(count), written_out(X, count), written_out(Y, count)
    assert within.spearman(X, Y)[0] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert within.kendall(X, Y)[0] == pytest.approx(stats.kendalltau(x, y).statistic)
    assert within.r2(X, Y)[0] == pytest.approx(stats.linregress(x, y).rvalue ** 2)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("controls", [[Z], [Z, V]])
def test_partial_correlations_are_those_of_residuals(count, controls):
    within = one_group(count)
    x, y, *given = (written_out(v, count) for v in (X, Y, *controls))
    expected = np.corrcoef(residuals(x, given), residuals(y, given))[0, 1]
    found = within.correlation(within.centred(X), within.centred(Y), [within.centred(c) for c in controls])
    assert found[0] == pytest.approx(expected)
    x, y, *given = (stats.rankdata(v) for v in (x, y, *given))
    expected = np.corrcoef(residuals(x, given), residuals(y, given))[0, 1]
    found = within.correlation(within.ranks(X), within.ranks(Y), [within.ranks(c) for c in controls])
    assert found[0] == pytest.approx(expected)


def test_resamples_are_computed_side_by_side():
    together = WithinGroups(GROUPS, COUNTS)
    for i, count in enumerate(COUNTS):
        alone = WithinGroups(GROUPS, count[None])
        for statistic in ("spearman", "kendall", "r2"):
            assert getattr(together, statistic)(X, Y)[i] == pytest.approx(getattr(alone, statistic)(X, Y)[0])


@pytest.mark.parametrize("count", COUNTS)
def test_groups_are_compared_inside_only(count):
    within = WithinGroups(GROUPS, count[None])
    centred, ranked, concordant, untied = [], [], 0, np.zeros(2)
    for x, y in parts(X, Y, count=count):
        centred.append([x - x.mean(), y - y.mean()])
        ranked.append([2 * stats.rankdata(v) / (len(v) + 1) - 1 for v in (x, y)])
        signs = [np.sign(v[:, None] - v[None]) for v in (x, y)]
        concordant += (signs[0] * signs[1]).sum()
        untied += [(s != 0).sum() for s in signs]
    assert within.r2(X, Y)[0] == pytest.approx(np.corrcoef(*np.concatenate(centred, 1))[0, 1] ** 2)
    assert within.spearman(X, Y)[0] == pytest.approx(np.corrcoef(*np.concatenate(ranked, 1))[0, 1])
    assert within.kendall(X, Y)[0] == pytest.approx(concordant / np.sqrt(untied.prod()))


def test_a_shift_of_a_whole_group_changes_nothing():
    within = WithinGroups(GROUPS, COUNTS)
    shift = np.array([{"a": 0.0, "b": 100.0, "c": -30.0}[g] for g in GROUPS])
    for statistic in (within.spearman, within.kendall, within.r2):
        assert statistic(X, Y + shift) == pytest.approx(statistic(X, Y))


def test_two_groups_worked_by_hand():
    # a: the outcome follows x; b: one of three pairs is the wrong way round
    x, y = np.array([1.0, 2, 3, 1, 2, 3]), np.array([1.0, 2, 3, 20, 10, 30])
    within = WithinGroups("aaabbb", np.ones((1, 6)))
    assert within.ranks(x)[0].tolist() == [-0.5, 0, 0.5, -0.5, 0, 0.5]
    assert within.kendall(x, y)[0] == pytest.approx((5 - 1) / 6)
    assert within.spearman(x, y)[0] == pytest.approx((1 + 0.5) / 2)


def test_values_equal_but_for_rounding_are_tied():
    within = WithinGroups("aaa", np.ones((1, 3)))
    assert within.signs(np.array([10883.2, 10883.2 * (1 + 1e-14), 10884.0]))[0].tolist() == [0, 0, -1]


@given(st.integers(0, 1_000))
@settings(max_examples=30, deadline=None)
def test_ranks_do_not_see_monotone_changes(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.lognormal(size=(2, 14))
    within = WithinGroups(GROUPS, np.ones((1, 14)))
    for statistic in (within.spearman, within.kendall):
        assert statistic(x, y) == pytest.approx(statistic(x**3, np.log(y) + 50))
        assert statistic(x, y) == pytest.approx(-statistic(1 / x, y))
    assert np.abs([within.spearman(x, y), within.kendall(x, y)]).max() <= 1


def test_what_is_constant_has_no_association():
    counts = np.stack([np.ones(4), [4, 0, 0, 0], [2, 2, 0, 0]]).astype(float)
    within = WithinGroups("aaaa", counts)
    x, y, same = np.array([1.0, 2, 4, 3]), np.array([0.71, 0.7, 0.9, 0.8]), np.array([1.0, 1, 2, 3])
    for statistic in (within.spearman, within.kendall, within.r2):
        assert np.isfinite(statistic(x, y)).tolist() == [True, False, True]
        assert np.isfinite(statistic(same, y)).tolist() == [True, False, False]


def test_nothing_is_left_of_a_quantity_given_itself():
    within = WithinGroups(GROUPS, COUNTS)
    ranks = [within.ranks(v) for v in (X, Y, X**2)]
    assert np.isnan(within.correlation(ranks[0], ranks[1], [ranks[2]])).all()
    logs = [within.centred(np.log(v)) for v in (X, Y + 10, 3 * X)]
    assert np.isnan(within.correlation(logs[0], logs[1], [logs[2]])).all()

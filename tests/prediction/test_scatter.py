import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nnmass.prediction.scatter import Scatter, curvature, mixture_quantile

X = np.linspace(0.0, 2.0, 11)
Y = 0.4 + 0.1 * X + np.array([1, -1, 2, 0, -2, 3, -1, -4, 2, 5, -4]) / 500


def naive(x, y, new, level):
    """The model as its docstring says it: a grid of tilts, the restricted likelihood, a mixture found by bisection."""
    n = len(x)
    u, at = (np.asarray(v) - (x.min() + x.max()) / 2 for v in (x, new))
    u, at = u / np.ptp(x), at / np.ptp(x)
    design = np.stack([np.ones(n), u], 1)
    row = np.array([1, at])
    hat = np.linalg.inv(design.T @ design) @ design.T
    log_weights, spreads = [], []
    for g in np.linspace(-5, 5, 1_001):
        v = np.diag(np.exp(2 * g * u))
        w = np.linalg.inv(v)
        line = np.linalg.solve(design.T @ w @ design, design.T @ w @ y)
        squares = (y - design @ line) @ w @ (y - design @ line)
        log_weights.append(
            stats.norm.logpdf(g, 0, 2.5)
            - np.linalg.slogdet(v)[1] / 2
            - np.linalg.slogdet(design.T @ w @ design)[1] / 2
            - (n - 2) / 2 * math.log(squares)
        )
        spreads.append(math.sqrt(squares / (n - 2) * (math.exp(2 * g * at) + row @ hat @ v @ hat.T @ row)))
    weights = np.exp(np.array(log_weights) - max(log_weights))
    low, high = 0.0, 1e3
    for _ in range(100):
        middle = (low + high) / 2
        inside = weights @ (1 - 2 * stats.t.sf(middle / np.array(spreads), n - 2)) / weights.sum()
        low, high = (middle, high) if inside < level else (low, middle)
    return low


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("new", [-0.4, 0.0, 1.1, 2.0])
def test_half_widths_are_those_of_the_model(new, level):
    found = Scatter.around_line(X, Y, np.zeros(11)).half_widths(np.array(new), level)
    assert found == pytest.approx(naive(X, Y, new, level), rel=0.01)


@given(
    st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(0.01, 1)), min_size=1, max_size=6),
    st.integers(1, 50),
    st.floats(1e-6, 1 - 1e-9),
)
@settings(max_examples=100, deadline=None)
def test_a_mixture_holds_its_level(parts, freedom, level):
    spread, weights = np.array(parts).T[:, :, None]
    weights = weights / weights.sum()
    half = mixture_quantile(spread, weights, freedom, level)
    outside = float((weights * 2 * stats.t.sf(half / spread, freedom)).sum())
    assert outside == pytest.approx(1 - level, rel=1e-6)


def draws(ratio, n, trials, seed):
    """Positions and outcomes of networks whose scatter at the upper end is ``ratio`` times that at the lower."""
    rng = np.random.default_rng(seed)
    for _ in range(trials):
        x = np.linspace(0, 1, n) + rng.uniform(-0.02, 0.02, n)
        yield rng, x, x + ratio ** (x - 0.5) * rng.normal(size=n)


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [8, 12, 48])
@pytest.mark.parametrize("ratio", [0.25, 1.0, 4.0])
def test_intervals_hold_new_networks_wherever_the_scatter_is_large(ratio, n, where):
    hits = []
    for rng, x, y in draws(ratio, n, 300, seed=n):
        slope, height = np.polyfit(x, y, 1)
        half = Scatter.around_line(x, y, np.zeros(n)).half_widths(np.array(where), 0.95)
        new = where + ratio ** (where - 0.5) * rng.normal(size=50)
        hits.append((np.abs(new - height - slope * where) <= half).mean())
    assert np.mean(hits) > 0.93 - 3 * np.std(hits) / math.sqrt(300)


@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0])
def test_many_networks_tell_how_the_scatter_changes(ratio):
    found = [Scatter.around_line(x, y, np.zeros(400)).ratio for _, x, y in draws(ratio, 400, 5, seed=1)]
    assert np.exp(np.mean(np.log(found))) == pytest.approx(ratio, rel=0.2)


@given(st.floats(0.01, 100), st.floats(-3, 3), st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_intervals_scale_with_the_outcome_and_do_not_see_the_line(scale, slope, height):
    plain, moved = (
        Scatter.around_line(X, y, np.zeros(11)).half_widths(X, 0.95) for y in (Y, scale * Y + slope * X + height)
    )
    assert moved == pytest.approx(scale * plain, rel=1e-4)


def test_a_mirrored_line_has_mirrored_intervals():
    plain = Scatter.around_line(X, Y, np.zeros(11)).half_widths(X, 0.9)
    assert Scatter.around_line(-X, Y, np.zeros(11)).half_widths(-X, 0.9) == pytest.approx(plain)


def test_equal_noise_changes_nothing():
    plain = Scatter.around_line(X, Y, np.zeros(11))
    assert Scatter.around_line(X, Y, np.full(11, 1e-9)) == plain
    assert Scatter.around_line(X, Y, np.full(11, 0.01)) == plain


def test_networks_of_few_seeds_are_taken_to_scatter_more():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 60)
    noise = np.where(np.arange(60) % 2, 1.0, 0.04)
    widths = {"told": [], "untold": []}
    for _ in range(40):
        y = x + np.sqrt(noise) * rng.normal(size=60)
        for name, known in (("told", noise), ("untold", np.zeros(60))):
            widths[name].append(Scatter.around_line(x, y, known).half_widths(np.array(0.5), 0.95))
    assert np.mean(widths["told"]) == pytest.approx(1.96 * math.sqrt(noise.mean()), rel=0.1)
    assert np.std(widths["told"]) < np.std(widths["untold"])


def test_equal_outcomes_at_one_end_do_not_end_the_scatter_there():
    x, y = np.log([1.0, 1, 29, 32]), np.array([1.0, 1, 0.1, 0.2])
    lower, upper = Scatter.around_line(x, y, np.zeros(4)).half_widths(np.array([x[0], x[-1]]), 0.95)
    assert 0.01 < lower < upper


@pytest.mark.parametrize("y", [[0.5, 0.7, 0.9], [0.1, 0.1 + 1e-17, 0.1]])
def test_points_on_a_line_have_no_scatter(y):
    found = Scatter.around_line(np.array([0.0, 1, 2]), np.array(y), np.zeros(3))
    assert found.absent
    assert found.half_widths(np.array([0.0, 5]), 0.95).tolist() == [0, 0]


def test_two_pairs_of_equal_networks_have_no_scatter_either():
    found = Scatter.around_line(np.array([0.0, 0, 1, 1]), np.array([0.5, 0.5, 0.6, 0.6]), np.zeros(4))
    assert found.absent


@pytest.mark.parametrize("ratio", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("n", [8, 40])
def test_a_line_is_rarely_called_curved(ratio, n):
    found = [curvature(x, y, np.zeros(n)) for _, x, y in draws(ratio, n, 300, seed=n)]
    assert np.mean(np.array(found) < 0.05) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_the_square_term_is_that_of_ordinary_least_squares_where_the_scatter_is_even():
    x = np.linspace(0, 1, 1_000)
    y = x + 0.02 * x**2 + 0.1 * np.tile([1, -1, -1, 1], 250)
    design = np.stack([np.ones(1_000), x, x**2], 1)
    line, squares = np.linalg.lstsq(design, y)[:2]
    error = math.sqrt(squares[0] / 997 * np.linalg.inv(design.T @ design)[2, 2])
    found = curvature(x, y, np.zeros(1_000))
    assert found == pytest.approx(2 * stats.t.sf(line[2] / error, 997), rel=0.05)

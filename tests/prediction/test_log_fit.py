import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LinearRegression

from nnmass.errors import ExtrapolationError, FitError, InvalidValueError
from nnmass.prediction import LogFit, MassPredictor

MASSES = np.array([5.0, 9, 9, 14, 20, 33, 41, 60, 77])
ACCURACIES = np.array([0.81, 0.83, 0.85, 0.84, 0.88, 0.87, 0.91, 0.90, 0.93])

points = st.lists(st.tuples(st.floats(0.1, 1e4), st.floats(0, 1)), min_size=4, max_size=12).filter(
    lambda pairs: len({round(math.log(x), 1) for x, _ in pairs}) > 2 and len({round(y, 2) for _, y in pairs}) > 1
)


def sklearn_line(x, y):
    return LinearRegression().fit(np.log(x)[:, None], y)


@given(points)
@settings(max_examples=30, deadline=None)
def test_the_line_is_the_least_squares_line(pairs):
    x, y = np.array(pairs).T
    fit, line = LogFit.fit(x, y), sklearn_line(x, y)
    assert fit.slope == pytest.approx(line.coef_[0], rel=1e-8, abs=1e-10)
    assert fit.intercept == pytest.approx(line.intercept_, rel=1e-8, abs=1e-10)
    assert fit.r2 == pytest.approx(line.score(np.log(x)[:, None], y), abs=1e-9)
    assert fit.n == len(x)


@given(points)
@settings(max_examples=30, deadline=None)
def test_the_leave_one_out_error_is_that_of_refitting(pairs):
    x, y = np.array(pairs).T
    errors = []
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        line = sklearn_line(x[rest], y[rest])
        errors.append(line.predict(np.log(x[i : i + 1])[:, None])[0] - y[i])
    assert LogFit.fit(x, y).loo_error == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-6, abs=1e-9)


def test_a_line_worked_by_hand():
    # ln x = 0, 1, 2; y = 0, 1, 1: slope 1/2, intercept 1/6, residuals -1/6, 1/3, -1/6
    fit = LogFit.fit(np.exp([0.0, 1, 2]), [0, 1, 1], quantity="params")
    assert fit.quantity == "params"
    assert fit.slope == pytest.approx(1 / 2)
    assert fit.intercept == pytest.approx(1 / 6)
    assert fit.r2 == pytest.approx(3 / 4)
    assert fit.residual_std == pytest.approx(math.sqrt(1 / 6))
    # left out, the three are predicted as 1, 1/2 and 2
    assert fit.loo_error == pytest.approx(math.sqrt((1 + 1 / 4 + 1) / 3))


def test_the_range_is_that_of_the_fitted_values():
    assert LogFit.fit([3, 7, 49], [0.1, 0.3, 0.2]).range == (3, 49)


def test_a_mass_predictor_is_a_fit_of_mass():
    fit = MassPredictor.fit(MASSES, ACCURACIES)
    assert isinstance(fit, MassPredictor)
    assert fit.quantity == "nn_mass"
    assert fit.predict(20) == LogFit.fit(MASSES, ACCURACIES).predict(20)


def test_a_perfect_line_has_no_error():
    fit = MassPredictor.fit([1, 10, 100], [0.5, 0.7, 0.9])
    assert fit.r2 == pytest.approx(1)
    assert fit.loo_error == pytest.approx(0, abs=1e-12)
    assert fit.predict(10) == pytest.approx((0.7, 0.7, 0.7))


def textbook(x, y, new, level):
    """Half the interval of a new point where the scatter is even."""
    n = len(x)
    design = np.stack([np.ones(n), x], 1)
    squares = np.linalg.lstsq(design, y)[1][0]
    at = np.array([1, new])
    variance = squares / (n - 2) * (1 + at @ np.linalg.inv(design.T @ design) @ at)
    return stats.t.ppf((1 + level) / 2, n - 2) * math.sqrt(variance)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.999])
@pytest.mark.parametrize("mass", [5.0, 20.0, 77.0])
def test_the_interval_is_around_the_line(mass, level):
    fit = MassPredictor.fit(MASSES, ACCURACIES)
    found = fit.predict(mass, level=level)
    assert found.mean == pytest.approx(sklearn_line(MASSES, ACCURACIES).predict([[math.log(mass)]])[0])
    if found.high < 1:
        assert found.mean - found.low == pytest.approx(found.high - found.mean)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_the_interval_of_many_networks_of_even_scatter_is_that_of_the_textbook(where, level):
    x = np.linspace(1, 4, 2_000)
    y = 0.3 + 0.1 * x + np.tile([-0.01, 0.02, 0.01, -0.02], 500)
    new = 1 + 3 * where
    found = LogFit.fit(np.exp(x), y).predict(math.exp(new), level=level)
    assert (found.high - found.low) / 2 == pytest.approx(textbook(x, y, new, level), rel=0.03)


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_few_networks_have_intervals_at_least_as_wide_in_the_middle_and_wider_at_the_ends(where):
    rng = np.random.default_rng(3)
    x = np.linspace(1, 4, 8)
    ratios = []
    for _ in range(50):
        y = 0.3 + 0.1 * x + rng.normal(0, 0.01, 8)
        found = LogFit.fit(np.exp(x), y).predict(math.exp(1 + 3 * where))
        ratios.append((found.high - found.low) / 2 / textbook(x, y, 1 + 3 * where, 0.95))
    assert (0.9 if where == 0.5 else 1.2) < np.mean(ratios) < (1.2 if where == 0.5 else 2.0)


def test_the_95_percent_interval_holds_a_new_point_95_times_in_100():
    rng = np.random.default_rng(0)
    trials, hits = 2_000, 0
    for _ in range(trials):
        *x, new = rng.uniform(10, 100, 7)
        *y, measured = 0.5 + 0.1 * np.log([*x, new]) + rng.normal(0, 0.02, 7)
        predicted = LogFit.fit(x, y).predict(new, extrapolate=True)
        hits += predicted.low <= measured <= predicted.high
    assert hits / trials == pytest.approx(0.95, abs=0.015)  # three standard errors


def test_numbers_give_numbers_and_arrays_give_arrays():
    fit = MassPredictor.fit(MASSES, ACCURACIES)
    one = fit.predict(20)
    assert [type(value) for value in one] == [float] * 3
    many = fit.predict([[20, 30], [40, 50]])
    assert [value.shape for value in many] == [(2, 2)] * 3
    assert [value[0, 0] for value in many] == pytest.approx(list(one))
    assert fit.predict(np.float32(20)) == one


def test_predictions_reach_a_quarter_of_the_range_beyond_it():
    fit = MassPredictor.fit([10, 20, 160], [0.5, 0.6, 0.7])
    assert fit.reach() == pytest.approx((5, 320))
    inside = fit.predict([5.001, 319.9])
    assert np.isfinite(inside).all()
    for outside in (4.99, 320.1, [20, 1_000]):
        with pytest.raises(ExtrapolationError, match=r"lies too far outside the 3 fitted networks \(10 \.\.\. 160; 5 "):
            fit.predict(outside)


def test_the_error_names_the_value_that_is_too_far():
    with pytest.raises(ExtrapolationError, match="params 1000 lies"):
        LogFit.fit([10, 20, 160], [0.5, 0.6, 0.7], quantity="params").predict([20, 1_000])


def test_extrapolation_can_be_asked_for():
    fit = MassPredictor.fit(MASSES, ACCURACIES)
    far = fit.predict(1e3, extrapolate=True)
    assert far.mean == pytest.approx(min(fit.intercept + fit.slope * math.log(1e3), 1))
    assert far.mean - far.low > fit.predict(20).high - fit.predict(20).mean


@given(points, st.floats(0.01, 1e5), st.floats(0.01, 0.999))
@settings(max_examples=50, deadline=None)
def test_an_accuracy_and_its_interval_lie_between_0_and_1_or_are_refused(pairs, value, level):
    x, y = np.array(pairs).T
    fit = LogFit.fit(x, y)
    band = fit.band(value, level=level)
    if band.low == 1 or band.high == 0:
        with pytest.raises(ExtrapolationError, match="beyond what an accuracy can be"):
            fit.predict(value, level=level, extrapolate=True)
        return
    found = fit.predict(value, level=level, extrapolate=True)
    assert found == band
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.low < 1
    assert found.high > 0


def test_an_outcome_that_is_no_share_is_not_cut_off():
    plain = LogFit.fit([10, 20, 30, 80], [0.90, 0.97, 0.95, 0.99], outcome="log loss").predict(80)
    assert plain.high > 1
    percent = LogFit.fit([10, 20, 30, 80], [90, 97, 95, 99]).predict(80)
    assert percent.high > 100
    assert LogFit.fit([10, 20, 30, 80], [0.90, 0.97, 0.95, 0.99]).predict(80).high == 1


def test_a_fit_predicts_from_numbers():
    with pytest.raises(InvalidValueError, match="predicts from nn_mass, a number or an array of numbers, got object"):
        MassPredictor.fit(MASSES, ACCURACIES).predict(object())


@pytest.mark.parametrize(
    ("noise", "message"),
    [([0.1, 0.2], r"one noise, or one per network, got shape \(2,\) for 9"), (-1e-9, "a variance of at least 0"),
     (float("nan"), "a variance of at least 0")],
)  # fmt: skip
def test_a_noise_is_a_variance(noise, message):
    with pytest.raises(FitError, match=message):
        LogFit.fit(MASSES, ACCURACIES, noise=noise)


def test_networks_of_a_line_are_said_to_be_on_one_and_others_are_not():
    rng = np.random.default_rng(0)
    x = np.linspace(2, 5, 40)
    noise = rng.normal(0, 0.01, 40)
    straight, curved = (LogFit.fit(np.exp(x), 0.5 + line + noise) for line in (0.1 * x, 0.25 * np.sqrt(x - 1.9)))
    assert straight.misfit == ""
    assert straight.curvature > 0.05
    assert re.match(r"a straight line in log NN-Mass does not describe these 40 networks: .*p = \d", curved.misfit)
    assert curved.curvature < 0.001
    assert LogFit.fit([1, 2, 3, 4], [0.1, 0.5, 0.2, 0.3]).curvature is None


def test_the_interval_of_a_line_through_a_curve_reaches_the_curve():
    x = np.linspace(2, 5, 60)
    curve = 0.5 + 0.1 * np.sqrt(x - 1.9)
    fit = LogFit.fit(np.exp(x), curve + np.random.default_rng(0).normal(0, 0.002, 60))
    assert fit.misfit
    found = fit.predict(np.exp(x), level=0.5)
    parabola = np.polyval(np.polyfit(x, curve, 2), x)
    assert ((found.low <= parabola + 0.002) & (parabola - 0.002 <= found.high)).all()
    assert found.mean == pytest.approx(fit.intercept + fit.slope * x)


@pytest.mark.parametrize(
    ("values", "accuracy", "message"),
    [
        ([1, 2], [0.5, 0.6], "at least 3 networks, got 2"),
        ([1, 2, 3], [0.5, 0.6], r"one accuracy per nn_mass, got shapes \(3,\) and \(2,\)"),
        ([[1, 2, 3]], [[0.5, 0.6, 0.7]], "one accuracy per nn_mass"),
        ([1, 2, float("nan")], [0.5, 0.6, 0.7], "NaN or infinity in nn_mass or accuracy"),
        ([1, 2, float("inf")], [0.5, 0.6, 0.7], "NaN or infinity in nn_mass or accuracy"),
        ([1, 2, 3], [0.5, 0.6, float("nan")], "NaN or infinity in nn_mass or accuracy"),
        ([1, 0, 3], [0.5, 0.6, 0.7], "must be positive to fit its logarithm, got 0"),
        ([1, 2, -3], [0.5, 0.6, 0.7], "must be positive to fit its logarithm, got -3"),
        ([4, 4, 4], [0.5, 0.6, 0.7], "all 3 networks have the same nn_mass, 4"),
        ([1e15, 1e15 + 0.125, 1e15 + 0.25], [0.5, 0.6, 0.7], "the same nn_mass"),  # equal in the logarithm
        ([1, 2, 3], [0.9, 0.9, 0.9], "all 3 networks have the same accuracy, 0.9"),
    ],
)
def test_what_makes_no_line_is_refused(values, accuracy, message):
    with pytest.raises(FitError, match=message):
        MassPredictor.fit(values, accuracy)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "nn_mass must be positive to predict from its logarithm, got 0"),
        (-2.5, r"got -2\.5"),
        ([20, 0], "got 0"),
        (float("nan"), "got nan"),
        (float("inf"), "got inf"),
        ([20, float("inf")], "got inf"),
    ],
)
def test_values_without_a_logarithm_are_refused(value, message):
    with pytest.raises(InvalidValueError, match=message):
        MassPredictor.fit(MASSES, ACCURACIES).predict(value, extrapolate=True)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, float("nan")])
def test_levels_outside_0_and_1_are_refused(level):
    with pytest.raises(InvalidValueError, match="level must lie between 0 and 1, got"):
        MassPredictor.fit(MASSES, ACCURACIES).predict(20, level=level)


def test_a_point_that_alone_decides_the_line_gives_no_arbitrary_error():
    # without the last point there is no line; whatever is said of it, the unit of the quantity must not matter
    said = set()
    for unit in (1, 3, 10, 17, 100):
        try:
            said.add(round(LogFit.fit(np.array([1, 1, 1, 7]) * unit, [0.5, 0.61, 0.73, 0.9]).loo_error, 9))
        except FitError as error:
            said.add(type(error))
    assert len(said) == 1

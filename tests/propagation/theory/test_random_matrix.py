import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from nnmass.errors import InvalidValueError
from nnmass.propagation import mean_masked_orthogonal, mean_singular_value, singular_value_density
from nnmass.propagation.theory.finite_size import complex_sum, real_sum
from nnmass.propagation.theory.random_matrix import EXACT_UP_TO

SIZES = [(2, 3), (3, 3), (8, 8), (8, 16), (16, 8)]


def simulated(rows: int, columns: int, draw, *, total: int = 160_000) -> tuple[float, float]:
    """Mean singular value over random matrices, and its standard error."""
    generator = np.random.default_rng(rows * 1000 + columns)
    matrices = draw(generator, (total // (rows * columns), rows, columns))
    means = np.linalg.svd(matrices, compute_uv=False).mean(1)
    return means.mean(), means.std() / math.sqrt(len(means))


def normal(generator, shape):
    return generator.standard_normal(shape)


def complex_normal(generator, shape):
    return (generator.standard_normal(shape) + 1j * generator.standard_normal(shape)) / math.sqrt(2)


def uniform(generator, shape):
    return generator.uniform(-math.sqrt(3), math.sqrt(3), shape)


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_real_matrices_against_simulation(rows, columns):
    mean, error = simulated(rows, columns, normal)
    assert mean_singular_value(rows, columns) == pytest.approx(mean, abs=4 * error)


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_complex_matrices_against_simulation(rows, columns):
    mean, error = simulated(rows, columns, complex_normal)
    assert mean_singular_value(rows, columns, symmetry="complex") == pytest.approx(mean, abs=4 * error)


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (8, 16), (8, 32)])
def test_uniform_entries_against_simulation(rows, columns):
    mean, error = simulated(rows, columns, uniform, total=400_000)
    value = mean_singular_value(rows, columns, excess_kurtosis=-1.2)
    assert value == pytest.approx(mean, rel=1e-3, abs=4 * error)
    assert mean_singular_value(rows, columns) < mean - 4 * error


@pytest.mark.parametrize("columns", [1, 1.5, 2, 7, 60, 1000])
def test_one_row_is_a_chi_variable(columns):
    chi = math.sqrt(2) * math.exp(special.gammaln((columns + 1) / 2) - special.gammaln(columns / 2))
    assert mean_singular_value(1, columns) == pytest.approx(chi, rel=1e-11)
    chi = math.exp(special.gammaln(columns + 0.5) - special.gammaln(columns))
    assert mean_singular_value(1, columns, symmetry="complex") == pytest.approx(chi, rel=1e-11)


@pytest.mark.parametrize(("n", "N"), [(2, 2), (2, 3.5)])
def test_two_rows_against_the_integral_of_their_density(n, N):
    def weight(s, t):
        return abs(s * s - t * t) * (s * t) ** (N - n) * math.exp(-(s * s + t * t) / 2)

    def over_quarter(f):
        return integrate.dblquad(f, 0, 12, 0, lambda s: s, epsabs=1e-9)[0]  # t < s; symmetric

    expected = over_quarter(lambda t, s: (s + t) * weight(s, t)) / over_quarter(lambda t, s: weight(s, t))
    assert real_sum(n, N) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("symmetry", ["real", "complex"])
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_much_wider_than_high_the_values_tend_to_the_root_of_the_width(n, symmetry):
    value = mean_singular_value(n, 4000, symmetry=symmetry) / math.sqrt(4000)
    assert 1 - n / 4000 < value < 1


@pytest.mark.parametrize(
    ("columns", "tolerance"), [(EXACT_UP_TO, 9.5e-5), (1.25 * EXACT_UP_TO, 2.5e-5), (4 * EXACT_UP_TO, 1e-6)]
)
def test_large_matrices_take_over_where_the_exact_form_ends(columns, tolerance):
    """Beyond EXACT_UP_TO rows the law of large matrices is used: compare it with the exact form at one more row."""
    rows, columns = EXACT_UP_TO + 1, columns * (1 + 1 / EXACT_UP_TO)
    assert mean_singular_value(rows, columns) == pytest.approx(real_sum(rows, columns) / rows, rel=tolerance)
    value = mean_singular_value(rows, columns, symmetry="complex")
    assert value == pytest.approx(complex_sum(rows, columns) / rows, rel=tolerance)


def test_large_square_matrix_by_hand():
    # (4/3π)·2√n for the quarter circle law; the edge term is ½ - 2/π per √n
    expected = (8 / (3 * math.pi) + (0.5 - 2 / math.pi) / 400) * math.sqrt(400)
    assert mean_singular_value(400, 400) == pytest.approx(expected, rel=1e-9)


def test_rows_and_columns_may_be_exchanged():
    assert mean_singular_value(8, 20) == mean_singular_value(20, 8)


def test_effective_columns_below_rows():
    sums = [w * mean_singular_value(8, w) for w in (4, 4.5, 5)]
    assert sums[0] < sums[1] < sums[2]
    assert sums[1] == pytest.approx((sums[0] + sums[2]) / 2, rel=0.01)
    assert mean_singular_value(8, 1e-9) == pytest.approx(mean_singular_value(8, 1), rel=0.05)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 80), st.floats(0.2, 300), st.floats(1.01, 2), st.sampled_from(["real", "complex"]))
def test_sum_grows_with_columns_and_stays_below_the_frobenius_bound(rows, columns, factor, symmetry):
    def total(width):
        return min(rows, width) * mean_singular_value(rows, width, symmetry=symmetry)

    assert total(columns) < total(columns * factor)
    assert mean_singular_value(rows, columns, symmetry=symmetry) <= math.sqrt(max(rows, columns)) * 1.0001


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (8, 16), (8, 4.5), (8, 8.1)])
def test_density_integrates_to_the_share_of_nonzero_values(rows, columns):
    edges = [abs(math.sqrt(rows) + sign * math.sqrt(columns)) for sign in (-1, 1)]
    (low, high), n = sorted(edges), min(rows, columns)
    mass = integrate.quad(lambda s: float(singular_value_density(s, rows, columns)), low, high)[0]
    square = integrate.quad(lambda s: s * s * float(singular_value_density(s, rows, columns)), low, high)[0]
    assert mass == pytest.approx(n / rows, rel=1e-6)
    assert square == pytest.approx(columns, rel=1e-6)  # mean of s² over the rows
    s = np.array([[low - 0.1, (low + high) / 2], [high + 0.1, -1.0]])
    density = singular_value_density(s, rows, columns, count=n)
    assert density.shape == s.shape
    assert (density > 0).tolist() == [[low > 0.1 and low == 0, True], [False, False]]
    assert density[0, 1] == pytest.approx(singular_value_density(s, rows, columns)[0, 1] * rows / n)


def test_density_matches_a_histogram():
    generator = np.random.default_rng(0)
    s = np.linalg.svd(generator.standard_normal((40, 100, 200)), compute_uv=False).ravel()
    counts, edges = np.histogram(s, bins=12, range=(5, 23))
    middles = (edges[1:] + edges[:-1]) / 2
    measured = counts / s.size / np.diff(edges)
    np.testing.assert_allclose(measured, singular_value_density(middles, 100, 200), atol=1.5e-3)


def masked(rows: int, columns: int, kept: int, number: int = 4000) -> np.ndarray:
    generator = np.random.default_rng(rows + columns)
    q = np.linalg.qr(generator.standard_normal((number, columns, rows)))[0]  # orthonormal columns: Qᵀ
    return np.linalg.svd(q[:, :kept], compute_uv=False)


@pytest.mark.parametrize(
    ("rows", "columns", "kept", "tolerance"),
    [
        (8, 28, 14, 1e-3),
        (8, 16, 4, 1e-3),
        (8, 16, 8, 5e-3),
        (8, 12, 9, 3e-3),
        (8, 16, 15, 1e-3),
        (16, 32, 20, 1e-3),
    ],
)
def test_masked_orthogonal_against_simulation(rows, columns, kept, tolerance):
    sums = masked(rows, columns, kept).sum(1) / rows
    error = 3 * sums.std() / math.sqrt(len(sums))
    assert mean_masked_orthogonal(rows, columns, kept) == pytest.approx(sums.mean(), rel=tolerance, abs=error)


def test_masked_orthogonal_by_hand():
    assert mean_masked_orthogonal(8, 16, 16) == 1
    assert mean_masked_orthogonal(8, 16, 0) == 0
    assert mean_masked_orthogonal(8, 8, 3.5) == 3.5 / 8  # square: kept columns are orthonormal
    assert mean_masked_orthogonal(10, 8, 4) == 0.5
    # the arcsine law at h = k = ½: E √x = 2/π, and no edge term for complex matrices
    assert mean_masked_orthogonal(50, 100, 50, symmetry="complex") == pytest.approx(2 / math.pi, rel=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 60), st.floats(0, 1), st.floats(0, 1))
def test_masked_orthogonal_is_monotone_and_bounded(rows, more, share, factor):
    columns = rows + more
    kept = share * columns
    value = mean_masked_orthogonal(rows, columns, kept, symmetry="complex")
    assert mean_masked_orthogonal(rows, columns, kept * factor, symmetry="complex") <= value + 1e-9
    assert kept / columns - 1e-9 <= value <= math.sqrt(share) + 1e-9  # E x = share, and x ≤ √x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_singular_value(0, 3), "rows must be a whole number of at least 1, got 0"),
        (lambda: mean_singular_value(2.5, 3), r"rows .* got 2\.5"),
        (lambda: mean_singular_value(True, 3), "rows .* got True"),
        (lambda: mean_singular_value(2, 0), "columns must be positive and finite, got 0"),
        (lambda: mean_singular_value(2, math.inf), "columns .* got inf"),
        (lambda: mean_singular_value(2, math.nan), "columns .* got nan"),
        (lambda: mean_singular_value(2, 3, symmetry="quaternion"), "symmetry must be .* got 'quaternion'"),
        (lambda: singular_value_density(1.0, 2, -1), "columns .* got -1"),
        (lambda: singular_value_density(1.0, 2, 2, count=0), "count must be positive, got 0"),
        (lambda: mean_masked_orthogonal(2, 4, 5), r"kept must be in 0 \.\.\. 4 \(columns\), got 5"),
        (lambda: mean_masked_orthogonal(2, 4, -1), "kept .* got -1"),
        (lambda: mean_masked_orthogonal(2, 4, 1, symmetry="none"), "symmetry must be .* got 'none'"),
    ],
)
def test_values_out_of_range(call, message):
    with pytest.raises(InvalidValueError, match=message):
        call()

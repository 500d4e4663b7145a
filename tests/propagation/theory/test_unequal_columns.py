"""Sums of singular values with unequal columns, against their limits, closed forms and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.propagation import mean_masked_orthogonal
from nnmass.propagation.theory.columns import Columns
from nnmass.propagation.theory.random_matrix import large_sum
from nnmass.propagation.theory.unequal_columns import gaussian_sum, orthogonal_sum

SLOPES = {
    "tanh": lambda z: np.cosh(z) ** -2,
    "elu": lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    "selu": lambda z: 1.0507 * np.where(z > 0, 1, 1.6733 * np.exp(np.minimum(z, 0))),
    "relu": lambda z: np.where(z > 0, 1.0, 0.0),
}


def orthonormal_rows(count: int, rows: int, columns: int, generator: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(generator.standard_normal((count, columns, rows)))
    return (q * np.sign(np.einsum("kii->ki", r))[:, None]).mT


@settings(deadline=None)
@given(st.integers(1, 100), st.floats(0.5, 300), st.floats(1e-3, 1e3))
def test_equal_columns_follow_the_marchenko_pastur_law(rows, width, scale):
    small, large = min(rows, width), max(rows, width)
    columns = Columns.expected(int(width) + 1, scale**2, width)
    assert gaussian_sum(rows, columns)[0] == pytest.approx(scale * large_sum(small, large, "complex"), rel=1e-4)


@pytest.mark.parametrize(("rows", "width"), [(60, 60), (60, 100), (60, 30)])
def test_unequal_columns_against_simulation(rows, width):
    generator = np.random.default_rng(width)
    squares = np.cosh(generator.standard_normal(width)) ** -4  # φ′² of tanh
    matrices = generator.standard_normal((60, rows, width)) * np.sqrt(squares)
    total = np.linalg.svd(matrices, compute_uv=False).sum(1).mean()
    columns = Columns.sampled(squares[None])
    assert gaussian_sum(rows, columns)[0] == pytest.approx(total, rel=0.006)
    equal = columns.scale[0] * large_sum(*sorted((rows, columns.effective[0])), "complex")
    if width <= rows:
        assert equal < 0.98 * total  # what leaving the correction out would cost


@pytest.mark.parametrize("symmetry", ["real", "complex"])
@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 100), st.floats(0.05, 0.95), st.floats(1e-3, 1e3))
def test_columns_that_are_on_or_off_follow_the_closed_form(symmetry, rows, more, share, scale):
    total = rows + more
    if abs(rows - (1 - share) * total) < 1 or abs(rows - share * total) < 1:  # a singular end of the spectrum
        return
    columns = Columns.expected(total, scale**2, share * total)
    expected = mean_masked_orthogonal(rows, total, share * total, symmetry=symmetry)
    if expected < share:  # the closed form is cut off where its edge term is too large
        return
    assert orthogonal_sum(rows, columns, total, symmetry)[0] == pytest.approx(rows * scale * expected, rel=2e-3)


@settings(deadline=None)
@given(st.integers(2, 40), st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_sums_lie_between_those_of_one_large_value_and_of_equal_ones(rows, more, seed):
    squares = np.exp(2 * np.random.default_rng(seed).standard_normal((3, rows + more)))
    free, real = (orthogonal_sum(rows, Columns.sampled(squares), rows + more, s) for s in ("complex", "real"))
    largest = rows * np.sqrt(squares.mean(1))
    assert (free <= largest).all()
    assert (real <= free).all()
    assert (real > 0.8 * np.sqrt(rows * squares.mean(1))).all()


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize(("rows", "total"), [(8, 9), (8, 12), (8, 32), (32, 48), (64, 70), (64, 256)])
def test_orthogonal_sums_against_simulation(rows, total, slope):
    """Not only the mean: a spread is the small difference of two numbers, 5 to 70 % off with equal columns."""
    generator = np.random.default_rng(rows * total)
    g = SLOPES[slope](generator.standard_normal(total))
    sums = np.concatenate(
        [
            np.linalg.svd(orthonormal_rows(50, rows, total, generator) * g, compute_uv=False).mean(1)
            for _ in range(max(400 // rows, 4))
        ]
    )
    mean_square = (g**2).mean()
    found = orthogonal_sum(rows, Columns.sampled(g[None] ** 2), total, "real")[0] / rows
    noise = 4 * sums.std() / math.sqrt(len(sums))
    assert found == pytest.approx(sums.mean(), rel=1e-3 if rows > 8 else 3e-3, abs=noise)
    spread = math.sqrt(mean_square - sums.mean() ** 2)
    assert math.sqrt(mean_square - found**2) == pytest.approx(spread, rel=0.015, abs=noise * sums.mean() / spread)


def test_the_finite_size_term_makes_the_second_moment_exact_to_first_order():
    """Weingarten's formula for E tr (P A)², P a random projection, beside the law's own values of it."""
    generator, rows, total = np.random.default_rng(3), 60, 100
    a = generator.uniform(0.2, 2.0, total)
    beta = (rows - rows**2 / total) / (total**2 + total - 2)
    alpha = rows**2 / total**2 - 2 * beta / total
    exact = alpha * (a**2).sum() + beta * (a.sum() ** 2 + (a**2).sum())
    share = rows / total
    free = total * share * (share * (a**2).mean() + (1 - share) * a.mean() ** 2)
    first_order = share * (1 - share) * a.var()
    assert exact - free == pytest.approx(first_order, rel=0.04)
    # near equal columns √x ≈ 1 + δ/2 - δ²/8, so that the sums differ by an eighth of what the second moments do
    near = Columns.sampled(1 + 1e-3 * (a[None] - a.mean()))
    free_sum, real_sum = (orthogonal_sum(rows, near, total, s)[0] for s in ("complex", "real"))
    assert free_sum - real_sum == pytest.approx(first_order * 1e-6 / 8, rel=0.01)

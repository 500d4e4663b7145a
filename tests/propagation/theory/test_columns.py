import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.propagation.theory.columns import Columns, large_profile_sum
from nnmass.propagation.theory.random_matrix import large_sum


def test_sums_by_hand():
    columns = Columns.sampled(np.array([[1.0, 4.0, 0.0], [0.0, 0.0, 0.0]]))
    assert columns.number == 3
    assert columns.power_sum(0.5).tolist() == [3, 0]
    assert columns.power_sum(2).tolist() == [17, 0]
    assert columns.effective.tolist() == [25 / 17, 0]
    assert columns.scale.tolist() == pytest.approx([(17 / 5) ** 0.5, 0])
    assert columns.few(1).squares.tolist() == [[1, 4, 0]]
    assert large_profile_sum(4, columns)[1] == 0


def test_kinds_count_as_often_as_they_occur():
    kinds = Columns.expected(6, (1.0, 4.0), (2, 3))
    single = Columns.sampled(np.array([[1.0, 1.0, 4.0, 4.0, 4.0, 0.0]]))
    assert kinds.number == single.number
    assert kinds.effective == pytest.approx(single.effective)
    assert kinds.scale == pytest.approx(single.scale)
    assert large_profile_sum(3, kinds) == pytest.approx(large_profile_sum(3, single))


@settings(deadline=None)
@given(st.integers(1, 100), st.floats(0.5, 300), st.floats(1e-3, 1e3))
def test_equal_columns_follow_the_marchenko_pastur_law(rows, width, scale):
    small, large = min(rows, width), max(rows, width)
    columns = Columns.expected(int(width) + 1, scale**2, width)
    assert large_profile_sum(rows, columns)[0] == pytest.approx(scale * large_sum(small, large, "complex"), rel=1e-4)


@pytest.mark.parametrize(("rows", "width"), [(60, 60), (60, 100), (60, 30)])
def test_unequal_columns_against_simulation(rows, width):
    generator = np.random.default_rng(width)
    squares = np.cosh(generator.standard_normal(width)) ** -4  # φ′² of tanh
    matrices = generator.standard_normal((60, rows, width)) * np.sqrt(squares)
    total = np.linalg.svd(matrices, compute_uv=False).sum(1).mean()
    columns = Columns.sampled(squares[None])
    assert large_profile_sum(rows, columns)[0] == pytest.approx(total, rel=0.006)
    equal = columns.scale[0] * large_sum(*sorted((rows, columns.effective[0])), "complex")
    if width <= rows:
        assert equal < 0.98 * total  # what leaving the correction out would cost

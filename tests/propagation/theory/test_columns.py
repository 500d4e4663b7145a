import numpy as np
import pytest

from nnmass.propagation.theory.columns import Columns
from nnmass.propagation.theory.unequal_columns import gaussian_sum, orthogonal_sum


def test_sums_by_hand():
    columns = Columns.sampled(np.array([[1.0, 4.0, 0.0], [0.0, 0.0, 0.0]]))
    assert columns.number == 3
    assert columns.power_sum(0.5).tolist() == [3, 0]
    assert columns.power_sum(2).tolist() == [17, 0]
    assert columns.effective.tolist() == [25 / 17, 0]
    assert columns.scale.tolist() == pytest.approx([(17 / 5) ** 0.5, 0])
    assert columns.few(1).squares.tolist() == [[1, 4, 0]]
    assert gaussian_sum(4, columns)[1] == 0
    assert orthogonal_sum(2, columns, 3, "real")[1] == 0


def test_kinds_count_as_often_as_they_occur():
    kinds = Columns.expected(6, (1.0, 4.0), (2, 3))
    single = Columns.sampled(np.array([[1.0, 1.0, 4.0, 4.0, 4.0, 0.0]]))
    assert kinds.number == single.number
    assert kinds.effective == pytest.approx(single.effective)
    assert kinds.scale == pytest.approx(single.scale)
    assert gaussian_sum(3, kinds) == pytest.approx(gaussian_sum(3, single))
    for symmetry in ("real", "complex"):
        assert orthogonal_sum(3, kinds, 8, symmetry) == pytest.approx(orthogonal_sum(3, single, 8, symmetry))

"""Distribution of the singular values of large matrices, against simulation and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.architectures import DenseCNN, DenseMLP
from nnmass.propagation import expected_isometry, singular_value_density
from nnmass.propagation.theory.columns import Columns
from nnmass.propagation.theory.large_matrix import LargeMatrix
from nnmass.propagation.theory.unequal_columns import gaussian_sum, orthogonal_sum

GRID = np.linspace(0, 8, 4001)


def mean_of(below: np.ndarray, grid: np.ndarray = GRID) -> float:
    return float(np.trapezoid(1 - below, grid))


@pytest.mark.parametrize(("rows", "width"), [(8, 8), (8, 20), (20, 8)])
def test_equal_columns_have_the_marchenko_pastur_law(rows, width):
    below = LargeMatrix(rows, Columns.plain(width), 1.0, None).below(GRID)
    density = singular_value_density(GRID, rows, width, count=min(rows, width))
    np.testing.assert_allclose(
        below, np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)]) * 0.002, atol=0.01
    )


@pytest.mark.parametrize("orthogonal", [False, True])
@settings(deadline=None, max_examples=25)
@given(st.integers(4, 30), st.integers(1, 40), st.floats(0.1, 1.5), st.integers(0, 2**32 - 1))
def test_the_distribution_has_the_mean_of_the_sum(orthogonal, rows, more, width, seed):
    squares = np.exp(width * np.random.default_rng(seed).standard_normal((2, rows + more)))
    columns, total = Columns.sampled(squares), rows + more
    matrix = LargeMatrix(rows, columns, 1 / total, total if orthogonal else None)
    grid = np.linspace(0, 3 * float(np.sqrt(squares.max())), 3001)
    below = matrix.below(grid)
    assert (np.diff(below) >= 0).all()
    assert below[0] < 0.01
    assert below[-1] == pytest.approx(1)
    sums = orthogonal_sum(rows, columns, total, "complex") if orthogonal else gaussian_sum(rows, columns) / total**0.5
    assert mean_of(below, grid) == pytest.approx(sums.mean() / rows, rel=0.03)


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "elu", "selu"])
@pytest.mark.parametrize("init", ["orthogonal", "he", "default"])
@pytest.mark.parametrize("max_skips", [0, 16, 96])
def test_shares_are_those_of_measured_singular_values(activation, init, max_skips):
    from nnmass import isometry

    spec = DenseMLP(width=32, depth=5, max_skips=max_skips, in_features=20, num_classes=4, activation=activation)
    found, theory = isometry(spec, 8, initialisations=12, init=init), expected_isometry(spec, init)
    for measured, expected in zip(found.layers[1:4], theory.layers[1:4], strict=True):
        values = np.sort(measured.singular_values, axis=None)
        grid = np.linspace(0.02, 1.1 * values[-1], 200)  # beyond what rounding makes of zeros
        shares = np.searchsorted(values, grid - 1e-6, side="right") / values.size
        above = np.searchsorted(values, grid + 1e-6, side="right") / values.size
        below = expected.below(grid)
        assert (below >= shares - 0.1).all()
        assert (below <= above + 0.1).all()


def test_values_that_are_exactly_a_columns_scale():
    square = LargeMatrix(4, Columns.sampled(np.array([[1.0, 4.0, 9.0, 0.0]])), 0.25, 4)
    assert square.below([0, 0.9, 1.1, 2.1, 2.9, 3.0]).tolist() == [0.25, 0.25, 0.5, 0.75, 0.75, 1]
    rows_fewer = LargeMatrix(6, Columns.expected(8, (1.0, 4.0), (5, 3)), 1 / 8, 8)
    below = rows_fewer.below([0.0, 0.999, 1.0, 1.5, 1.999, 2.0])
    assert below[2] - below[1] == pytest.approx(3 / 6)  # 5 columns of scale 1, two rows fewer than columns
    assert below[5] - below[4] == pytest.approx(1 / 6, abs=0.02)
    assert below[[0, 5]].tolist() == pytest.approx([0, 1])
    dead = LargeMatrix(3, Columns.sampled(np.zeros((2, 4))), 1.0, None)
    assert dead.below([0.0, 1.0]).tolist() == [1, 1]


def test_convolutions_have_it_too():
    spec = DenseCNN(widths=(16,), depth=5, max_skips=20, image_size=8)
    for init in ("orthogonal", "he"):
        for layer in expected_isometry(spec, init).layers:
            assert mean_of(layer.below(GRID)) == pytest.approx(layer.mean, rel=0.04)

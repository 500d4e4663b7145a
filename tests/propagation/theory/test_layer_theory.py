import numpy as np
import pytest

from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.theory.columns import Columns
from nnmass.propagation.theory.layer import Weights, expected_layer


def test_weights_of_an_initialisation():
    default = Weights.of(Initialisation("default"), 4, 8, kernel_area=9)
    assert default.variance == default.bias_variance == pytest.approx(1 / 108)
    assert default.excess_kurtosis == -1.2
    assert default.orthogonal_columns is None
    assert Weights.of(Initialisation("orthogonal"), 4, 8, kernel_area=9).orthogonal_columns == 36


@pytest.mark.parametrize("rows", [1, 3, 8, 40])
@pytest.mark.parametrize("init", ["he", "default", "orthogonal"])
def test_many_samples_are_the_mean_of_single_ones(rows, init):
    """Sums are interpolated over many samples, and evaluated at a single one."""
    generator = np.random.default_rng(rows)
    squares = np.exp(generator.standard_normal((30, rows + 3)))
    weights = Weights.of(Initialisation.parse(init), rows + 3, rows)
    together = expected_layer("all", rows, Columns.sampled(squares), weights, hidden=True)
    each = [expected_layer("one", rows, Columns.sampled(row[None]), weights, hidden=True) for row in squares]
    assert together.mean == pytest.approx(np.mean([layer.mean for layer in each]), rel=4e-3)
    assert together.mean_square == pytest.approx(np.mean([layer.mean_square for layer in each]))
    assert together.effective_columns == pytest.approx(np.mean([layer.effective_columns for layer in each]))


def test_a_layer_whose_inputs_are_all_off():
    weights = Weights.of(Initialisation("he"), 4, 3)
    layer = expected_layer("off", 3, Columns.sampled(np.zeros((5, 4))), weights, hidden=True)
    assert (layer.mean, layer.mean_square, layer.effective_columns, layer.spread) == (0, 0, 0, 0)

import numpy as np
import pytest
import torch
from torch import nn

from nnmass import DenseCNN, DenseMLP, expected_isometry, isometry
from nnmass.errors import InvalidValueError
from nnmass.networks import ACTIVATIONS
from nnmass.propagation import LayerIsometry, flag, mends

MLP = DenseMLP(width=8, depth=12, max_skips=12, in_features=16)


def layer(values):
    array = np.array([values], float)
    size = array.shape[1]
    return LayerIsometry("layer", True, size, size, "", "gram", array, None, 0.0, None, 0)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([0.4, 0.5], "shrinks"),
        ([0.5, 0.5], ""),
        ([1.9, 2.1], ""),
        ([2.0, 2.1], "enlarges"),
        ([3.0, 0.0], "dead directions"),
        ([1.0, 1.0, 1.0, 0.0], ""),
        ([0.0, 0.0], "shrinks"),
    ],
)
def test_flags(values, word):
    assert flag(layer(values)) == word


def test_mends_come_closest_first_and_each_is_closer_than_now():
    found = mends(MLP)
    now = abs(np.log(expected_isometry(MLP).mean))
    distances = [abs(np.log(mend.expected)) for mend in found]
    assert distances == sorted(distances)
    assert all(distance < now for distance in distances)
    assert {"glorot initialisation", "twice the skips"} <= {mend.change for mend in found}
    assert "half the skips" not in {mend.change for mend in found}


def test_what_a_mend_says_is_what_theory_says_of_its_specification():
    for mend in mends(MLP, "gaussian:0.6"):
        if mend.spec is not None:
            assert mend.expected == expected_isometry(mend.spec, mend.init).mean
            assert (mend.nn_mass, mend.params) == (mend.spec.nn_mass, mend.spec.params)
            assert mend.to_dict()["spec"]["depth"] == 12


def test_skips_double_up_to_what_the_cell_has_and_start_from_one():
    dense = DenseMLP(width=8, depth=12, max_skips=70, in_features=16)
    twice = {mend.change: mend.spec for mend in mends(dense)}["twice the skips"]
    assert twice.max_skips == 80
    none = DenseMLP(width=8, depth=12, max_skips=0, in_features=16)
    assert {mend.change: mend.spec for mend in mends(none, "he")}.get("half the skips") is None
    saturated = DenseMLP(width=8, depth=12, max_skips=80, in_features=16)
    assert "twice the skips" not in {mend.change for mend in mends(saturated)}
    beyond = DenseMLP(width=8, depth=12, max_skips=1_000, in_features=16)
    assert "twice the skips" not in {mend.change for mend in mends(beyond)}


def test_cells_are_also_changed_alone():
    spec = DenseCNN(widths=(8, 16), depth=6, max_skips=(8, 16), image_size=8)
    found = {mend.change: mend.spec for mend in mends(spec, "gaussian:0.02")}
    assert found["twice the skips of cell 2"].max_skips == (8, 32)
    assert found["twice the skips"].max_skips == (16, 32)


def test_a_norm_does_what_is_expected_of_it():
    """The mended network, built with norms, measured."""
    mend = next(mend for mend in mends(MLP) if "batch norm" in mend.change)
    assert mend.spec is None
    assert mend.params == MLP.params + 2 * 8 * 11

    class Normed(nn.Module):
        def __init__(self, seed):
            super().__init__()
            self.inner = MLP.build(seed)
            self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in range(11))

        def forward(self, x):
            inputs = self.inner.skips.start()
            x = self.inner.layers[0](x)
            for i, one in enumerate(self.inner.layers[1:], start=1):
                self.inner.skips.send(i - 1, ACTIVATIONS["elu"](self.norms[i - 1](x)), inputs)
                x = one(inputs[i].joined())
            return x

    inputs = torch.randn(256, 16, generator=torch.Generator().manual_seed(0))
    measured = np.mean([isometry(Normed(seed), inputs).mean for seed in range(24)])
    assert 0.8 * measured < mend.expected < measured


def test_nothing_is_mended_where_no_layer_is_hidden_or_theory_is_silent():
    assert mends(DenseMLP(width=4, depth=2, max_skips=0)) == []
    with pytest.raises(InvalidValueError, match="regular"):
        mends(DenseCNN(widths=(4,), depth=4, max_skips=4, conv="separable"))

"""Gradient propagation: layerwise dynamical isometry, measured and expected."""

from nnmass.propagation.exact import singular_values
from nnmass.propagation.expectation import ExpectedIsometry, ExpectedLayer
from nnmass.propagation.expected import expected_isometry
from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.measure import isometry
from nnmass.propagation.mends import Mend, flag, mends
from nnmass.propagation.random_matrix import mean_masked_orthogonal, mean_singular_value, singular_value_density
from nnmass.propagation.result import Isometry, LayerIsometry

__all__ = [
    "ExpectedIsometry",
    "ExpectedLayer",
    "Initialisation",
    "Isometry",
    "LayerIsometry",
    "Mend",
    "expected_isometry",
    "flag",
    "isometry",
    "mean_masked_orthogonal",
    "mean_singular_value",
    "mends",
    "singular_value_density",
    "singular_values",
]

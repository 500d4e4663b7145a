"""Gradient propagation at initialisation: what random matrix theory expects of it."""

from nnmass.propagation.expectation import ExpectedIsometry, ExpectedLayer
from nnmass.propagation.expected import expected_isometry
from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.random_matrix import mean_masked_orthogonal, mean_singular_value, singular_value_density

__all__ = [
    "ExpectedIsometry",
    "ExpectedLayer",
    "Initialisation",
    "expected_isometry",
    "mean_masked_orthogonal",
    "mean_singular_value",
    "singular_value_density",
]

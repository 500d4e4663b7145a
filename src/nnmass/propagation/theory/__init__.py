"""What random matrix theory expects of gradient propagation, without weights and data (no PyTorch)."""

from nnmass.propagation.theory.expectation import ExpectedIsometry, ExpectedLayer
from nnmass.propagation.theory.expected import expected_isometry
from nnmass.propagation.theory.random_matrix import mean_masked_orthogonal, mean_singular_value, singular_value_density

__all__ = [
    "ExpectedIsometry",
    "ExpectedLayer",
    "expected_isometry",
    "mean_masked_orthogonal",
    "mean_singular_value",
    "singular_value_density",
]

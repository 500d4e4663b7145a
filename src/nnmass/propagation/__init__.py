"""Gradient propagation: layerwise dynamical isometry, measured and expected."""

from nnmass.propagation.initialisation import Initialisation
from nnmass.propagation.measurement import (
    Isometry,
    LayerIsometry,
    estimated_layers,
    isometry,
    normal_inputs,
    singular_values,
)
from nnmass.propagation.mends import Mend, flag, mends
from nnmass.propagation.theory import (
    ExpectedIsometry,
    ExpectedLayer,
    expected_isometry,
    mean_masked_orthogonal,
    mean_singular_value,
    singular_value_density,
)

__all__ = [
    "ExpectedIsometry",
    "ExpectedLayer",
    "Initialisation",
    "Isometry",
    "LayerIsometry",
    "Mend",
    "estimated_layers",
    "expected_isometry",
    "flag",
    "isometry",
    "mean_masked_orthogonal",
    "mean_singular_value",
    "mends",
    "normal_inputs",
    "singular_value_density",
    "singular_values",
]

"""Gradient propagation: layerwise dynamical isometry, measured and predicted."""

from nnmass.propagation.exact import singular_values
from nnmass.propagation.measure import isometry
from nnmass.propagation.result import Isometry, LayerIsometry

__all__ = ["Isometry", "LayerIsometry", "isometry", "singular_values"]

"""Measuring gradient propagation in a PyTorch model."""

from nnmass.propagation.measurement.exact import singular_values
from nnmass.propagation.measurement.measure import estimated_layers, isometry, normal_inputs
from nnmass.propagation.measurement.result import Isometry, LayerIsometry

__all__ = ["Isometry", "LayerIsometry", "estimated_layers", "isometry", "normal_inputs", "singular_values"]

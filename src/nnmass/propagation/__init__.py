"""Gradient propagation: layerwise dynamical isometry, measured and predicted."""

from nnmass.propagation.measure import isometry

__all__ = ["isometry"]

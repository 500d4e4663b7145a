"""Accuracy from NN-Mass, beside the same from parameters and MACs."""

from nnmass.prediction.comparison import QUANTITIES, Comparison, Network, QuantityFit, compare, fit_quantities
from nnmass.prediction.predictor import LogFit, MassPredictor, Prediction

__all__ = [
    "QUANTITIES",
    "Comparison",
    "LogFit",
    "MassPredictor",
    "Network",
    "Prediction",
    "QuantityFit",
    "compare",
    "fit_quantities",
]

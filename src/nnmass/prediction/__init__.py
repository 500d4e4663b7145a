"""Accuracy from NN-Mass, beside the same from parameters and MACs."""

from nnmass.prediction.comparison import QUANTITIES, Comparison, Network, QuantityFit, compare, fit_quantities
from nnmass.prediction.kind import Described, Kind, Origin
from nnmass.prediction.pairs import APART, EQUAL, EqualPairs, PairComparison, compare_pairs
from nnmass.prediction.predictor import LogFit, MassPredictor, Prediction
from nnmass.prediction.ranking import FEWEST, MEASURES, Ranking, Sample, rank_quantities
from nnmass.prediction.resampling import FEWEST_UNITS, Estimate, resample_counts

__all__ = [
    "APART",
    "EQUAL",
    "FEWEST",
    "FEWEST_UNITS",
    "MEASURES",
    "QUANTITIES",
    "Comparison",
    "Described",
    "EqualPairs",
    "Estimate",
    "Kind",
    "LogFit",
    "MassPredictor",
    "Network",
    "Origin",
    "PairComparison",
    "Prediction",
    "QuantityFit",
    "Ranking",
    "Sample",
    "compare",
    "compare_pairs",
    "fit_quantities",
    "rank_quantities",
    "resample_counts",
]

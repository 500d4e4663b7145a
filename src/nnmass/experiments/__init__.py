"""Experiments of the paper, and the measurement of a compressed network against its reference."""

from nnmass.experiments.calibration import calibrate, calibration_grid
from nnmass.experiments.compression import measure_compression, train_compressed
from nnmass.experiments.convergence import MEASURES, Convergence, LossCurve, convergence, convergence_grid
from nnmass.experiments.isometry import IsometryExperiment, isometry_cnn, isometry_mlp
from nnmass.experiments.isometry_analysis import EXPLAINING, Condition, CurveFit, TheoryError
from nnmass.experiments.isometry_rows import IsometryRow, evenly_spread, measure_rows
from nnmass.experiments.mlp_accuracy import MLPAccuracy, mlp_accuracy, mlp_grid
from nnmass.experiments.mlp_compression import mlp_compression, mlp_references
from nnmass.experiments.outcome import CompressionOutcome
from nnmass.experiments.spread import Spread, spread_of_means
from nnmass.experiments.verification import Measured, Verification, verify

__all__ = [
    "EXPLAINING",
    "MEASURES",
    "CompressionOutcome",
    "Condition",
    "Convergence",
    "CurveFit",
    "IsometryExperiment",
    "IsometryRow",
    "LossCurve",
    "MLPAccuracy",
    "Measured",
    "Spread",
    "TheoryError",
    "Verification",
    "calibrate",
    "calibration_grid",
    "convergence",
    "convergence_grid",
    "evenly_spread",
    "isometry_cnn",
    "isometry_mlp",
    "measure_compression",
    "measure_rows",
    "mlp_accuracy",
    "mlp_compression",
    "mlp_grid",
    "mlp_references",
    "spread_of_means",
    "train_compressed",
    "verify",
]

"""A compressed network beside its reference: predicted, trained, and judged."""

from nnmass.verification.calibration import calibrate, calibration_grid, skips_of_mass
from nnmass.verification.compression_outcome import CompressionOutcome
from nnmass.verification.measured_compression import Bar, measure_compression, train_compressed
from nnmass.verification.measured_difference import FEWEST_SEEDS, Measured, MeasuredDifference, accuracy_interval
from nnmass.verification.verdicts import (
    TOO_FEW_PAIRS,
    accuracy_percent,
    better,
    difference_points,
    interval_points,
    measured_verdict,
    seed_count,
    sign,
    with_interval,
)
from nnmass.verification.verify import verify

__all__ = [
    "FEWEST_SEEDS",
    "TOO_FEW_PAIRS",
    "Bar",
    "CompressionOutcome",
    "Measured",
    "MeasuredDifference",
    "accuracy_interval",
    "accuracy_percent",
    "better",
    "calibrate",
    "calibration_grid",
    "difference_points",
    "interval_points",
    "measure_compression",
    "measured_verdict",
    "seed_count",
    "sign",
    "skips_of_mass",
    "train_compressed",
    "verify",
    "with_interval",
]

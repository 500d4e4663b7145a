"""Experiments of the paper, and the measurement of a compressed network against its reference."""

from nnmass.experiments.calibration import calibrate, calibration_grid
from nnmass.experiments.compression import measure_compression, train_compressed
from nnmass.experiments.convergence import MEASURES, Convergence, LossCurve, convergence, convergence_grid
from nnmass.experiments.image_accuracy import ImageAccuracy, Pair, image_accuracy
from nnmass.experiments.image_catalogue import (
    STUDIES,
    AccuracyStudy,
    CompressionStudy,
    ConvergenceStudy,
    Study,
    macs_at,
)
from nnmass.experiments.image_compression import ImageCompression, image_compression
from nnmass.experiments.imagenet_published import ImagenetPublished, PublishedGroup, imagenet_published
from nnmass.experiments.imagenet_verdict import verdict
from nnmass.experiments.isometry import (
    CNN_INITS,
    CNN_MASSES,
    MLP_CONDITIONS,
    IsometryExperiment,
    isometry_cnn,
    isometry_mlp,
)
from nnmass.experiments.isometry_analysis import EXPLAINING, Condition, CurveFit, TheoryError
from nnmass.experiments.isometry_rows import IsometryRow, evenly_spread, measure_rows
from nnmass.experiments.measured_difference import FEWEST_SEEDS, Measured, MeasuredDifference
from nnmass.experiments.mlp_accuracy import MLPAccuracy, mlp_accuracy, mlp_grid
from nnmass.experiments.mlp_compression import mlp_compression, mlp_references
from nnmass.experiments.outcome import CompressionOutcome
from nnmass.experiments.published_models import PublishedModel, published_models
from nnmass.experiments.published_rows import Analyser, Analysis, PublishedRow, analyse, published_rows
from nnmass.experiments.recipe_groups import RECIPE_GROUPS, RecipeGroup
from nnmass.experiments.scales import SCALES, Scale, Size
from nnmass.experiments.spread import Spread, spread_of_means
from nnmass.experiments.verification import verify
from nnmass.experiments.wording import (
    accuracy_percent,
    difference_points,
    interval_points,
    measured_verdict,
    seed_count,
    with_interval,
)

__all__ = [
    "CNN_INITS",
    "CNN_MASSES",
    "EXPLAINING",
    "FEWEST_SEEDS",
    "MEASURES",
    "MLP_CONDITIONS",
    "RECIPE_GROUPS",
    "SCALES",
    "STUDIES",
    "AccuracyStudy",
    "Analyser",
    "Analysis",
    "CompressionOutcome",
    "CompressionStudy",
    "Condition",
    "Convergence",
    "ConvergenceStudy",
    "CurveFit",
    "ImageAccuracy",
    "ImageCompression",
    "ImagenetPublished",
    "IsometryExperiment",
    "IsometryRow",
    "LossCurve",
    "MLPAccuracy",
    "Measured",
    "MeasuredDifference",
    "Pair",
    "PublishedGroup",
    "PublishedModel",
    "PublishedRow",
    "RecipeGroup",
    "Scale",
    "Size",
    "Spread",
    "Study",
    "TheoryError",
    "accuracy_percent",
    "analyse",
    "calibrate",
    "calibration_grid",
    "convergence",
    "convergence_grid",
    "difference_points",
    "evenly_spread",
    "image_accuracy",
    "image_compression",
    "imagenet_published",
    "interval_points",
    "isometry_cnn",
    "isometry_mlp",
    "macs_at",
    "measure_compression",
    "measure_rows",
    "measured_verdict",
    "mlp_accuracy",
    "mlp_compression",
    "mlp_grid",
    "mlp_references",
    "published_models",
    "published_rows",
    "seed_count",
    "spread_of_means",
    "train_compressed",
    "verdict",
    "verify",
    "with_interval",
]

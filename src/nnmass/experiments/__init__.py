"""Experiments of the paper."""

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
from nnmass.experiments.mlp_accuracy import MLPAccuracy, mlp_accuracy, mlp_grid
from nnmass.experiments.mlp_compression import mlp_compression, mlp_references
from nnmass.experiments.published_models import PublishedModel, published_models
from nnmass.experiments.published_rows import Analyser, Analysis, PublishedRow, analyse, published_rows
from nnmass.experiments.recipe_groups import RECIPE_GROUPS, RecipeGroup
from nnmass.experiments.scales import SCALES, Scale, Size
from nnmass.experiments.spread import Spread, spread_of_means

__all__ = [
    "CNN_INITS",
    "CNN_MASSES",
    "EXPLAINING",
    "MEASURES",
    "MLP_CONDITIONS",
    "RECIPE_GROUPS",
    "SCALES",
    "STUDIES",
    "AccuracyStudy",
    "Analyser",
    "Analysis",
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
    "analyse",
    "convergence",
    "convergence_grid",
    "evenly_spread",
    "image_accuracy",
    "image_compression",
    "imagenet_published",
    "isometry_cnn",
    "isometry_mlp",
    "macs_at",
    "measure_rows",
    "mlp_accuracy",
    "mlp_compression",
    "mlp_grid",
    "mlp_references",
    "published_models",
    "published_rows",
    "spread_of_means",
    "verdict",
]

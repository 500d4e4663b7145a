"""Mean singular values against NN-Mass (arXiv:1910.00780, Prop. 2, figures 3 and 6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnmass.architectures import DenseCNN, DenseMLP, LinkedSpecification
from nnmass.data import Dataset
from nnmass.errors import DataError
from nnmass.experiments.image_networks import dense_cnn_of_mass
from nnmass.experiments.isometry_analysis import Condition, conditions
from nnmass.experiments.isometry_rows import RowProgress, evenly_spread, measure_rows
from nnmass.experiments.mlp_accuracy import WIDTH
from nnmass.representation import brief

MLP_DEPTHS = (16, 20, 24, 28, 32, 48, 64)
MLP_SKIPS = (2, 4, 7, 12, 20, 34, 58, 100)
MLP_CONDITIONS = (
    ("gaussian:0.3", "linear"),
    ("gaussian:0.3", "elu"),
    ("default", "elu"),
    ("he", "elu"),
    ("glorot", "elu"),
    ("orthogonal", "elu"),
)
CNN_DEPTHS = (13, 21, 31)
CNN_WIDTHS = (16, 32, 64)
CNN_MASSES = (75, 150, 300, 450, 600)
CNN_INITS = ("default", "gaussian:0.05")
INPUTS = 64


@dataclass(frozen=True)
class IsometryExperiment:
    """The experiment's outcome.

    Attributes:
        conditions: the networks under each initialisation and activation.
        inputs: how many.
        initialisations: networks per specification.
    """

    __repr__ = brief

    conditions: tuple[Condition, ...]
    inputs: int
    initialisations: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "inputs": self.inputs,
            "initialisations": self.initialisations,
            "conditions": {condition.name: condition.to_dict() for condition in self.conditions},
        }


def isometry_mlp(
    data: Dataset,
    path: Path,
    *,
    initialisations: int = 16,
    under: Sequence[tuple[str, str]] | None = None,
    progress: RowProgress | None = None,
) -> IsometryExperiment:
    """Measure DenseMLPs of width 8 and depths 16 to 64, eight numbers of skips each, under six conditions.

    Args:
        data: the inputs come from its training part.
        path: JSON file of the rows; an interrupted call goes on from there.
        initialisations: per network.
        under: initialisations and activations; ``MLP_CONDITIONS`` unless given.
        progress: told of rows.
    """
    features = int(np.prod(data.input_shape))
    plan: list[tuple[LinkedSpecification, str]] = [
        (
            DenseMLP(
                width=WIDTH,
                depth=depth,
                max_skips=skips,
                in_features=features,
                num_classes=data.num_classes,
                activation=activation,
            ),
            init,
        )
        for init, activation in under or MLP_CONDITIONS
        for depth in MLP_DEPTHS
        for skips in MLP_SKIPS
    ]
    return _measure(plan, data, path, initialisations, probes=1, progress=progress)


def isometry_cnn(
    data: Dataset,
    path: Path,
    *,
    initialisations: int = 4,
    under: Sequence[str] | None = None,
    masses: Sequence[float] | None = None,
    progress: RowProgress | None = None,
) -> IsometryExperiment:
    """Measure DenseCNNs of three cells at depths 13, 21 and 31 and equal masses, every cell with its share.

    Args:
        data: images; the inputs come from its training part.
        path: JSON file of the rows; an interrupted call goes on from there.
        initialisations: per network.
        under: initialisations; ``CNN_INITS`` unless given.
        masses: ``CNN_MASSES`` unless given.
        progress: told of rows.

    Raises:
        DataError: the data are not square images.
    """
    plan = [(cnn, init) for init in under or CNN_INITS for mass in masses or CNN_MASSES for cnn in _cnns(data, mass)]
    return _measure(plan, data, path, initialisations, probes=4, progress=progress)


def _cnns(data: Dataset, mass: float) -> list[DenseCNN]:
    if len(data.input_shape) != 3 or data.input_shape[1] != data.input_shape[2]:
        raise DataError(f"{data.name}: a DenseCNN reads square images, got inputs of shape {data.input_shape}")
    return [dense_cnn_of_mass(data, CNN_WIDTHS, depth, mass) for depth in CNN_DEPTHS]


def _measure(
    plan: Sequence[tuple[LinkedSpecification, str]],
    data: Dataset,
    path: Path,
    initialisations: int,
    *,
    probes: int,
    progress: RowProgress | None,
) -> IsometryExperiment:
    inputs = evenly_spread(data, INPUTS)
    rows = measure_rows(plan, inputs, path, initialisations=initialisations, probes=probes, progress=progress)
    return IsometryExperiment(tuple(conditions(rows)), len(inputs), initialisations)

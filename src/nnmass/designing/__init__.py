"""Design from NN-Mass: the best network within budgets, and cheaper ones of the same mass, within a stated domain."""

from nnmass.designing.best import Candidate, Design, describe, design, pareto_front
from nnmass.designing.compressed import Compression, structure
from nnmass.designing.compression import compress
from nnmass.designing.domain import CELL_TOLERANCE, INNER_TOLERANCES, STAGE_TOLERANCE, Domain
from nnmass.designing.solver import Budgets, Certificate, Objective
from nnmass.designing.spaces import (
    DENSITY_CAP,
    CifarResNetSpace,
    DenseCNNSpace,
    DenseMLPSpace,
    MobileNetV2Space,
    ResNetSpace,
    Space,
    StageSpace,
    WideResNetSpace,
    load_space,
    space_from_dict,
)
from nnmass.designing.surroundings import domain_text, space_around

__all__ = [
    "CELL_TOLERANCE",
    "DENSITY_CAP",
    "INNER_TOLERANCES",
    "STAGE_TOLERANCE",
    "Budgets",
    "Candidate",
    "Certificate",
    "CifarResNetSpace",
    "Compression",
    "DenseCNNSpace",
    "DenseMLPSpace",
    "Design",
    "Domain",
    "MobileNetV2Space",
    "Objective",
    "ResNetSpace",
    "Space",
    "StageSpace",
    "WideResNetSpace",
    "compress",
    "describe",
    "design",
    "domain_text",
    "load_space",
    "pareto_front",
    "space_around",
    "space_from_dict",
    "structure",
]

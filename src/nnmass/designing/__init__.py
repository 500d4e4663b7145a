"""Design from NN-Mass: the best network within budgets, and cheaper ones of the same mass, within a stated domain."""

from nnmass.designing.best import design
from nnmass.designing.candidates import Candidate, Design, describe
from nnmass.designing.compressed import Compression, structure
from nnmass.designing.compression import blocks_around, compress
from nnmass.designing.domain import CELL_TOLERANCE, INNER_TOLERANCES, STAGE_TOLERANCE, Domain
from nnmass.designing.solver import Budgets, Certificate, Objective
from nnmass.designing.space_front import pareto_front
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
    default_space,
    load_space,
    space_from_dict,
    with_constants,
)
from nnmass.designing.surroundings import domain_text, has_bottlenecks, space_around

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
    "blocks_around",
    "compress",
    "default_space",
    "describe",
    "design",
    "domain_text",
    "has_bottlenecks",
    "load_space",
    "pareto_front",
    "space_around",
    "space_from_dict",
    "structure",
    "with_constants",
]

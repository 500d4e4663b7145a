"""Design from NN-Mass: cheaper specifications of the same mass, within a stated domain."""

from nnmass.designing.compression import Compression, Objective, compress
from nnmass.designing.domain import CELL_TOLERANCE, DENSITY_CAP, Domain

__all__ = ["CELL_TOLERANCE", "DENSITY_CAP", "Compression", "Domain", "Objective", "compress"]

"""Many models in one table: measured, sorted, beside published accuracies."""

from nnmass.ranking.published import Published, PublishedAccuracies
from nnmass.ranking.rank import (
    CAVEAT,
    RankedModel,
    measure,
    measure_all,
    of_unknown_cost,
    ranked,
    with_published,
    within,
)

__all__ = [
    "CAVEAT",
    "Published",
    "PublishedAccuracies",
    "RankedModel",
    "measure",
    "measure_all",
    "of_unknown_cost",
    "ranked",
    "with_published",
    "within",
]

"""NN-Mass against published ImageNet accuracies, within groups of equal training.

The paper's claim is about networks trained alike, and published weights were not: only weights of one recipe are ever
compared, and mass always stands beside parameters and MACs.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from nnmass import atomic
from nnmass.errors import FitError
from nnmass.experiments.published_models import published_models
from nnmass.experiments.published_rows import Analyser, AnalysisProgress, PublishedRow, analyse, published_rows
from nnmass.experiments.recipe_groups import FEWEST_MODELS, RECIPE_GROUPS, RecipeGroup
from nnmass.prediction import QUANTITIES, PairComparison, Ranking, Sample, compare_pairs, rank_quantities
from nnmass.representation import brief

PARTIAL = (("nn_mass", ("macs",)), ("nn_mass", ("params", "macs")), ("macs", ("nn_mass",)))
"""Partial correlations: what, and given what."""


@dataclass(frozen=True)
class PublishedGroup:
    """The models of one recipe.

    Attributes:
        recipe: which, and why they may be compared.
        rows: its models.
        ranking: of those answered; None where they are fewer than six, or alike in a quantity.
        not_ranked: why there is none.
    """

    __repr__ = brief

    recipe: RecipeGroup
    rows: tuple[PublishedRow, ...]
    ranking: Ranking | None = field(init=False, default=None)
    not_ranked: str = field(init=False, default="")

    def __post_init__(self) -> None:
        try:
            if len(self.answered) < FEWEST_MODELS:
                raise FitError(f"only {len(self.answered)} of {len(self.rows)} models have a mass")
            object.__setattr__(self, "ranking", rank_quantities(_sample(self.answered), partial=PARTIAL))
        except FitError as error:
            object.__setattr__(self, "not_ranked", str(error))

    @property
    def answered(self) -> tuple[PublishedRow, ...]:
        """Models with a mass."""
        return tuple(row for row in self.rows if row.outcome == "answered")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        left_out = {row.model: f"{row.outcome}: {row.reason}" for row in self.rows if row.outcome != "answered"}
        return {
            "tag": self.recipe.tag,
            "image_size": self.recipe.image_size,
            "reason": self.recipe.reason,
            "models": len(self.rows),
            "left_out": left_out,
            "of_another_recipe": dict(self.recipe.without),
            "not_ranked": self.not_ranked or None,
            "ranking": self.ranking.to_dict() if self.ranking else None,
        }


@dataclass(frozen=True)
class ImagenetPublished:
    """The experiment's outcome.

    Attributes:
        groups: of equal training.
        ranked: the models of all groups with a ranking.
        pooled: their ranking inside groups; architectures are resampled, with all their weights.
        pairs: of models of one group, equal in one quantity and far apart in another.
    """

    __repr__ = brief

    groups: tuple[PublishedGroup, ...]
    ranked: tuple[PublishedRow, ...] = field(init=False)
    pooled: Ranking = field(init=False)
    pairs: PairComparison = field(init=False)

    def __post_init__(self) -> None:
        ranked = tuple(row for group in self.groups if group.ranking for row in group.answered)
        if not ranked:
            raise FitError(f"no group of published models has {FEWEST_MODELS} with a mass: there is nothing to rank")
        sample = _sample(ranked)
        values = {
            "ranked": ranked,
            "pooled": rank_quantities(sample, partial=PARTIAL),
            "pairs": compare_pairs(sample),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def equal_mass_pairs(self) -> list[tuple[PublishedRow, PublishedRow]]:
        """Pairs of equal mass and very different cost, the one of more MACs first; the largest ratio of MACs on top."""
        pairs = [(self.ranked[i], self.ranked[j]) for i, j in self.pairs.equal["nn_mass"].pairs]
        ordered = [(a, b) if (a.macs or 0) >= (b.macs or 0) else (b, a) for a, b in pairs]
        return sorted(ordered, key=lambda pair: -_ratio(pair[0], pair[1], "macs"))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "groups": {group.recipe.name: group.to_dict() for group in self.groups},
            "pooled": self.pooled.to_dict(),
            "pairs": self.pairs.to_dict(),
            "equal_mass_pairs": [
                {
                    "more_macs": a.model,
                    "fewer_macs": b.model,
                    "nn_mass": [a.nn_mass, b.nn_mass],
                    "params_ratio": _ratio(a, b, "params"),
                    "macs_ratio": _ratio(a, b, "macs"),
                    "top1": [a.top1, b.top1],
                }
                for a, b in self.equal_mass_pairs()
            ],
        }


def imagenet_published(
    root: Path,
    folder: Path,
    *,
    groups: Sequence[RecipeGroup] = RECIPE_GROUPS,
    analyser: Analyser = analyse,
    workers: int | None = None,
    progress: AnalysisProgress | None = None,
) -> ImagenetPublished:
    """Rank published top-1 accuracies by mass, parameters and MACs within groups of equal training.

    Args:
        root: folder of the data sets, with the table of accuracies.
        folder: gets ``rows.csv``, the models with their analyses; an interrupted call goes on from what it keeps there.
        groups: of equal training.
        analyser: gives mass, parameters and MACs of a timm architecture.
        workers: processes.
        progress: told of analysed architectures.

    Raises:
        DataError: the table is missing or not what it should be.
        FitError: no group can be ranked.
    """
    models = published_models(root, groups)
    rows = published_rows(models, folder / "analyses.json", analyser=analyser, workers=workers, progress=progress)
    _write(rows, folder / "rows.csv")
    return ImagenetPublished(
        tuple(PublishedGroup(group, tuple(row for row in rows if row.group == group.name)) for group in groups)
    )


def _sample(rows: Sequence[PublishedRow]) -> Sample:
    return Sample(
        {quantity: np.array([getattr(row, quantity) for row in rows], np.float64) for quantity in QUANTITIES},
        np.array([row.top1 for row in rows]),
        [row.group for row in rows],
        [row.architecture for row in rows],
    )


def _ratio(a: PublishedRow, b: PublishedRow, quantity: str) -> float:
    return float(getattr(a, quantity) / getattr(b, quantity))


def _write(rows: Sequence[PublishedRow], path: Path) -> None:
    atomic.write_csv(path, [column.name for column in fields(PublishedRow)], (asdict(row) for row in rows))

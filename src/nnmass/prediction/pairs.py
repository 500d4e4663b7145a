"""Pairs of networks that are equal in one quantity and far apart in another: how much do their outcomes differ?"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.prediction.association import WithinGroups
from nnmass.prediction.ranking import RESAMPLES, Sample
from nnmass.prediction.resampling import FEWEST_UNITS, Estimate, resample_counts
from nnmass.representation import brief

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

EQUAL = 1.05
"""Largest ratio of values that count as equal."""
APART = 1.5
"""Smallest ratio of values that count as far apart."""


@dataclass(frozen=True)
class EqualPairs:
    """Pairs of one group, equal in one quantity and far apart in at least one other.

    Attributes:
        pairs: positions in the sample, each pair once.
        difference: mean absolute difference of their outcomes; None where fewer than `FEWEST_UNITS` of the pairs share
            no unit.
        gains: by other quantity, over the pairs far apart in it: the outcome of the one that has more of it minus that
            of the one that has less, mean; None where fewer than `FEWEST_UNITS` such pairs share no unit.
    """

    __repr__ = brief

    pairs: tuple[tuple[int, int], ...]
    difference: Estimate | None
    gains: dict[str, Estimate | None]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the pairs."""
        return {
            "pairs": len(self.pairs),
            "difference": self.difference and self.difference.to_dict(),
            "gains": {name: gain and gain.to_dict() for name, gain in self.gains.items()},
        }


@dataclass(frozen=True)
class PairComparison:
    """Pairs equal in each quantity in turn.

    Attributes:
        equal: by quantity.
        every: mean absolute difference over all pairs of one group.
        leads: by rival, the mean absolute difference at equal first quantity minus that at equal rival, on the same
            resamples: negative where the first quantity says more.
    """

    __repr__ = brief

    equal: dict[str, EqualPairs]
    every: Estimate
    leads: dict[str, Estimate | None]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the pairs."""
        return {
            "equal": {name: pairs.to_dict() for name, pairs in self.equal.items()},
            "every_pair": self.every.to_dict(),
            "leads": {name: lead and lead.to_dict() for name, lead in self.leads.items()},
        }


def compare_pairs(sample: Sample, *, seed: int = 0, resamples: int = RESAMPLES) -> PairComparison:
    """Compare the outcomes of networks equal in one quantity (ratio ≤ 1.05) and far apart in others (ratio ≥ 1.5).

    If one quantity decided the outcome, networks equal in it would have equal outcomes, whatever else they differ in.

    Args:
        sample: the networks.
        seed: of the bootstrap over units; everything is computed on the same resamples.
        resamples: of the bootstrap.

    Examples:
        >>> quantities = {"nn_mass": np.array([10, 10, 20, 40.0]), "macs": np.array([5, 9, 9, 40.0])}
        >>> found = compare_pairs(Sample(quantities, np.array([60, 64, 70, 75.0]), "aaaa", range(4)))
        >>> found.equal["nn_mass"].pairs, found.equal["macs"].pairs, round(found.every.value, 6)
        (((0, 1),), ((1, 2),), 8.5)
    """
    within = WithinGroups(sample.groups, resample_counts(sample.units, resamples=resamples, seed=seed))
    differences = sample.outcome[:, None] - sample.outcome[None, :]
    comparable = within.signs(np.arange(1.0, len(sample) + 1)) != 0
    chosen = {name: _equal(sample, name) & comparable for name in sample.quantities}
    means = {name: _mean(within, np.abs(differences), pairs) for name, pairs in chosen.items()}
    first, *rivals = sample.quantities
    return PairComparison(
        equal={
            name: EqualPairs(
                tuple((int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(pairs)), strict=True)),
                _estimate(sample, means[name], pairs),
                _gains(within, sample, name, pairs),
            )
            for name, pairs in chosen.items()
        },
        every=Estimate.of(_mean(within, np.abs(differences), comparable)),
        leads={rival: _estimate(sample, means[first] - means[rival], chosen[first], chosen[rival]) for rival in rivals},
    )


def _equal(sample: Sample, name: str) -> BoolArray:
    others = [_apart(values) for other, values in sample.quantities.items() if other != name]
    equal: BoolArray = (_ratios(sample.quantities[name]) <= EQUAL) & np.any(others, axis=0)
    return equal


def _apart(values: FloatArray) -> BoolArray:
    apart: BoolArray = _ratios(values) >= APART
    return apart


def _ratios(values: FloatArray) -> FloatArray:
    """Larger over smaller, of each pair."""
    ratios: FloatArray = np.exp(np.abs(np.log(values)[:, None] - np.log(values)[None, :]))
    return ratios


def _gains(within: WithinGroups, sample: Sample, name: str, pairs: BoolArray) -> dict[str, Estimate | None]:
    differences = sample.outcome[:, None] - sample.outcome[None, :]
    gains = {}
    for other, values in sample.quantities.items():
        if other != name:
            apart = pairs & _apart(values)
            gains[other] = _estimate(sample, _mean(within, differences * within.signs(values), apart), apart)
    return gains


def _mean(within: WithinGroups, terms: FloatArray, pairs: BoolArray) -> FloatArray:
    """Mean of symmetric terms over the chosen pairs of each resample; NaN where there are none."""
    total, number = within.over_pairs(terms * pairs), within.over_pairs(pairs.astype(float))
    mean: FloatArray = np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0)
    return mean


def _estimate(sample: Sample, values: FloatArray, *chosen: BoolArray) -> Estimate | None:
    """Estimate a mean over pairs, if enough of them are independent."""
    if min(_apart_from_each_other(sample.units, pairs) for pairs in chosen) < FEWEST_UNITS:
        return None
    return Estimate.of(values)


def _apart_from_each_other(units: Sequence[Hashable], pairs: BoolArray) -> int:
    """The largest number of pairs no two of which share a unit."""
    import networkx

    graph = networkx.Graph((units[i], units[j]) for i, j in zip(*np.nonzero(np.triu(pairs)), strict=True))
    graph.remove_edges_from(list(networkx.selfloop_edges(graph)))
    return len(networkx.max_weight_matching(graph, maxcardinality=True))

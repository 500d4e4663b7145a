"""Which quantity ranks an outcome best, within groups of networks that may be compared."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.errors import FitError
from nnmass.prediction.association import WithinGroups
from nnmass.prediction.resampling import Estimate, resample_counts
from nnmass.representation import brief

FloatArray: TypeAlias = npt.NDArray[np.float64]

MEASURES = ("spearman", "kendall", "r2")
RESAMPLES = 10_000
FEWEST = 4
"""Networks that a group needs at least."""


@dataclass(frozen=True)
class Sample:
    """Networks in groups of equal training, checked.

    Attributes:
        quantities: by name, (n,) positive values each; the first is compared with the others.
        outcome: (n,) what is to be explained, e.g. accuracies.
        groups: (n,) networks of different groups are never compared.
        units: (n,) what is resampled together, e.g. the architecture where one was trained in several ways.

    Raises:
        FitError: unequal lengths, values that are not finite or not positive, a group of fewer than four networks, a
            quantity or an outcome that is the same in all networks of each group.
    """

    __repr__ = brief

    quantities: Mapping[str, FloatArray]
    outcome: FloatArray
    groups: Sequence[Hashable]
    units: Sequence[Hashable]

    def __post_init__(self) -> None:
        if not len(self):
            raise FitError("a ranking needs networks, got none")
        for name, values in {**self.quantities, "outcome": self.outcome}.items():
            self._check(name, np.asarray(values))
        if len(self.units) != len(self):
            raise FitError(f"a ranking needs one unit per network, got {len(self.units)} for {len(self)}")
        for group in dict.fromkeys(self.groups):
            if (size := list(self.groups).count(group)) < FEWEST:
                raise FitError(f"group {group} has {size} networks, and a ranking needs at least {FEWEST}")

    def __len__(self) -> int:
        return len(self.groups)

    def _check(self, name: str, values: npt.NDArray[Any]) -> None:
        if values.shape != (len(self),):
            raise FitError(f"a ranking needs one {name} per network, got shape {values.shape} for {len(self)} networks")
        if not np.isfinite(values).all():
            raise FitError(f"a ranking needs finite numbers, got NaN or infinity in {name}")
        if name != "outcome" and (values <= 0).any():
            raise FitError(f"{name} must be positive to take its logarithm, got {values.min():g}")
        if not WithinGroups(self.groups, np.ones((1, len(self)))).signs(values).any():
            raise FitError(f"all networks of a group have the same {name}: there is nothing to rank")


@dataclass(frozen=True)
class Ranking:
    """How well quantities rank an outcome.

    Attributes:
        n: networks.
        units: different ones, e.g. architectures.
        groups: of networks that are compared with each other.
        measures: by measure (`MEASURES`) and quantity.
        leads: by measure and rival, the first quantity's value minus the rival's, on the same resamples.
        partial: by kind (``"rank"``, ``"linear"``) and name, e.g. ``"nn_mass given macs"``, the partial correlation
            with the outcome; None where what is given leaves nothing of the quantity or of the outcome, in the sample
            or in most resamples.
    """

    __repr__ = brief

    n: int
    units: int
    groups: int
    measures: dict[str, dict[str, Estimate]]
    leads: dict[str, dict[str, Estimate]]
    partial: dict[str, dict[str, Estimate | None]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "n": self.n,
            "units": self.units,
            "groups": self.groups,
            "measures": _plain(self.measures),
            "leads": _plain(self.leads),
            "partial": _plain(self.partial),
        }


def rank_quantities(
    sample: Sample,
    *,
    partial: Sequence[tuple[str, Sequence[str]]] = (),
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Ranking:
    """Measure how well each quantity ranks the outcome, inside groups only.

    ``spearman``: correlation of ranks, each a share of its group's size.  ``kendall``: tau-b over pairs of one group.
    ``r2``: share of the outcome's variance inside groups that a line in the quantity's logarithm explains, of one slope
    for all groups.  With one group these are the ordinary coefficients.  Intervals resample units.

    Args:
        sample: the networks.
        partial: quantities, each with those given.
        seed: of the bootstrap; everything is computed on the same resamples.
        resamples: of the bootstrap.

    Raises:
        FitError: a measure is not defined in most resamples.

    Examples:
        >>> mass, macs, top1 = np.array([[1, 2, 3, 4, 5], [1, 3, 2, 5, 9], [60, 70, 65, 75, 80]])
        >>> found = rank_quantities(Sample({"nn_mass": mass, "macs": macs}, top1, "aaaaa", range(5)))
        >>> round(found.measures["spearman"]["nn_mass"].value, 6), round(found.leads["kendall"]["macs"].value, 6)
        (0.9, -0.2)
    """
    counts = resample_counts(sample.units, resamples=resamples, seed=seed)
    within = WithinGroups(sample.groups, counts)
    found = {measure: _by_quantity(within, sample, measure) for measure in MEASURES}
    first, *rivals = sample.quantities
    return Ranking(
        n=len(sample),
        units=len(set(sample.units)),
        groups=len(set(sample.groups)),
        measures={m: {q: Estimate.of(v, name=f"{m} of {q}") for q, v in row.items()} for m, row in found.items()},
        leads={
            m: {rival: Estimate.of(row[first] - row[rival], name=f"{m} of {first}") for rival in rivals}
            for m, row in found.items()
        },
        partial=_partial(within, sample, partial),
    )


def _by_quantity(within: WithinGroups, sample: Sample, measure: str) -> dict[str, FloatArray]:
    prepare = np.log if measure == "r2" else np.asarray
    of = getattr(within, measure)
    return {name: of(prepare(values), sample.outcome) for name, values in sample.quantities.items()}


def _partial(
    within: WithinGroups, sample: Sample, wanted: Sequence[tuple[str, Sequence[str]]]
) -> dict[str, dict[str, Estimate | None]]:
    found: dict[str, dict[str, Estimate | None]] = {"rank": {}, "linear": {}}
    logs = {name: np.log(values) for name, values in sample.quantities.items()}
    for kind, prepare, quantities in (
        ("rank", within.ranks, sample.quantities),
        ("linear", within.centred, logs),
    ):
        prepared = {name: prepare(values) for name, values in quantities.items()}
        outcome = prepare(sample.outcome)
        for quantity, given in wanted:
            name = f"{quantity} given {', '.join(given)}"
            values = within.correlation(prepared[quantity], outcome, [prepared[other] for other in given])
            found[kind][name] = _if_defined(values)
    return found


def _if_defined(values: FloatArray) -> Estimate | None:
    try:
        return Estimate.of(values)
    except FitError:
        return None


def _plain(table: Mapping[str, Mapping[str, Estimate | None]]) -> dict[str, dict[str, Any]]:
    return {kind: {name: e and e.to_dict() for name, e in row.items()} for kind, row in table.items()}

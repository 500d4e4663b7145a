"""The cheapest specification of the same NN-Mass, by exact enumeration."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from nnmass.architectures import (
    DenseCNN,
    DenseMLP,
    LinkedSpecification,
    Specification,
    cell_costs,
    dense_mlp_costs,
    head_costs,
)
from nnmass.designing.domain import Domain, respecified
from nnmass.errors import InfeasibleError, InvalidValueError
from nnmass.topology import nn_mass, num_skips

Objective: TypeAlias = Literal["params", "macs"]
IntArray: TypeAlias = npt.NDArray[np.int64]

_LARGEST = 50_000_000
"""Most combinations that are enumerated at once."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Compression:
    """A reference and the cheapest specification of the same mass.

    Attributes:
        reference: what was to be compressed.
        spec: the compressed specification; its links are free.
        objective: what was minimised.
        tolerance: relative tolerance of the mass.
        domain: where it was looked for.
        examined: specifications that were weighed.
        optimal: whether ``spec`` is proven to be the cheapest; by enumeration it always is.
    """

    reference: LinkedSpecification
    spec: LinkedSpecification
    objective: Objective
    tolerance: float
    domain: Domain
    examined: int
    optimal: bool = True

    @property
    def table(self) -> dict[str, dict[str, Any]]:
        """Mass, density, depth and costs of both, by name, and compressed/reference as ``ratio``."""
        rows: dict[str, dict[str, Any]] = {
            name: {
                "depth": [cell.depth for cell in spec.cells],
                "max_skips": [cell.max_skips for cell in spec.cells],
                "nn_mass": spec.nn_mass,
                "params": spec.params,
                "macs": spec.macs,
            }
            for name, spec in (("reference", self.reference), ("compressed", self.spec))
        }
        rows["ratio"] = {key: rows["compressed"][key] / rows["reference"][key] for key in ("nn_mass", "params", "macs")}
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "reference": self.reference.without_links().model_dump(mode="json", exclude_none=True),
            "compressed": self.spec.model_dump(mode="json", exclude_none=True),
            "objective": self.objective,
            "tolerance": self.tolerance,
            "domain": asdict(self.domain),
            "examined": self.examined,
            "optimal": self.optimal,
            "table": self.table,
        }

    def __str__(self) -> str:
        lines = [f"{'':12}{'depth':>14}{'max_skips':>16}{'nn_mass':>10}{'params':>12}{'macs':>14}"]
        for name in ("reference", "compressed"):
            row = self.table[name]
            depth, skips = (", ".join(map(str, row[key])) for key in ("depth", "max_skips"))
            lines.append(
                f"{name:12}{depth:>14}{skips:>16}{row['nn_mass']:>10.2f}{row['params']:>12,}{row['macs']:>14,}"
            )
        ratio = self.table["ratio"]
        lines.append(f"{'ratio':12}{'':30}{ratio['nn_mass']:>10.3f}{ratio['params']:>12.3f}{ratio['macs']:>14.3f}")
        return "\n".join(lines)


def compress(
    reference: Specification,
    *,
    max_params: int | None = None,
    max_macs: int | None = None,
    objective: Objective | None = None,
    tolerance: float = 0.02,
    domain: Domain | None = None,
) -> Compression:
    """Find the cheapest specification with the mass of the reference.

    It has the reference's widths; its depths and skips lie in the domain.  Every one of them is weighed, so that the
    answer is the optimum, or the proof that there is none.  Claim behind it: networks of equal width, mass and training
    reach similar accuracy (arXiv:1910.00780, section 5.3); `nnmass compress --verify` measures whether they do.

    Args:
        reference: a DenseMLP or DenseCNN with a mass.
        max_params: budget of parameters.
        max_macs: budget of multiply-accumulates.
        objective: what to minimise; by default ``"params"`` if only they have a budget, else ``"macs"``.
        tolerance: relative tolerance of the mass.
        domain: bounds on depth and density; by default half the reference's depth and density 0.8.  Its
            ``cell_tolerance`` is raised to ``tolerance`` where it is smaller.

    Raises:
        InfeasibleError: no specification of this mass within the domain meets the budgets; names the nearest.
        InvalidValueError: an option out of range, or a reference without mass.

    Examples:
        >>> print(compress(DenseMLP(width=8, depth=32, max_skips=20, in_features=64)))
                             depth       max_skips   nn_mass      params          macs
        reference               32              20     40.19       7,482         7,224
        compressed              16              20     40.23       3,770         3,640
        ratio                                          1.001       0.504         0.504
    """
    if not isinstance(reference, LinkedSpecification):
        raise InvalidValueError(f"compression takes a DenseMLP or DenseCNN, got {reference.family}")
    _check(reference, max_params, max_macs, tolerance)
    if objective not in (None, *get_args(Objective)):
        raise InvalidValueError(f"objective must be one of {', '.join(get_args(Objective))}, got {objective!r}")
    domain = domain or Domain()
    if domain.cell_tolerance is not None:
        domain = replace(domain, cell_tolerance=max(domain.cell_tolerance, tolerance))
    objective = objective or ("params" if max_params is not None and max_macs is None else "macs")
    low, high = reference.nn_mass * (1 - tolerance), reference.nn_mass * (1 + tolerance)
    budgets = {"params": max_params, "macs": max_macs}
    spaces = [_Space(reference, depths, domain) for depths in domain.depth_choices(reference)]
    examined = sum(space.size for space in spaces)
    found = [space.cheapest(low, high, objective, budgets) for space in spaces]
    best = min((c for c in found if c is not None), key=lambda c: c.rank(objective), default=None)
    if best is None:
        unbounded = [space.cheapest(low, high, objective, {}) for space in spaces]
        nearest = min((c for c in unbounded if c is not None), key=lambda c: c.rank(objective))
        raise InfeasibleError(_explain(reference, nearest, domain, tolerance, budgets))
    return Compression(reference, best.specify(reference), objective, tolerance, domain, examined)


@dataclass(frozen=True)
class _Candidate:
    depths: tuple[int, ...]
    max_skips: tuple[int, ...]
    params: int
    macs: int

    def rank(self, objective: Objective) -> tuple[int, int]:
        return (self.params, self.macs) if objective == "params" else (self.macs, self.params)

    def specify(self, reference: LinkedSpecification) -> LinkedSpecification:
        return respecified(reference, self.depths, self.max_skips)


class _Space:
    """All specifications of given depths in the domain: mass and costs are sums over cells."""

    def __init__(self, reference: LinkedSpecification, depths: tuple[int, ...], domain: Domain) -> None:
        self.depths = depths
        self.skips = [domain.skip_choices(cell, depth) for cell, depth in zip(reference.cells, depths, strict=True)]
        self.size = math.prod(len(skips) for skips in self.skips)
        self.masses = [
            nn_mass(cell.width, depth, skips)
            for cell, depth, skips in zip(reference.cells, depths, self.skips, strict=True)
        ]
        self.params, self.macs = _cell_costs(reference, depths, self.skips)

    def cheapest(
        self, low: float, high: float, objective: Objective, budgets: dict[str, int | None]
    ) -> _Candidate | None:
        """Cheapest specification with a mass in [low, high] within the budgets.

        Within a cell mass and both costs grow with the skips.  So for any choice in the other cells only one choice in
        the last one matters: the fewest skips that reach the lower mass, if they do not exceed the upper one.
        """
        if not self.size:
            return None
        if self.size // len(self.skips[-1]) > _LARGEST:
            raise InvalidValueError(
                f"{self.size:,} combinations of depths {self.depths} are too many to enumerate; set a cell tolerance"
            )
        mass, params, macs = (_sums(parts[:-1]) for parts in (self.masses, self.params, self.macs))
        last = np.searchsorted(self.masses[-1], low - mass - _ROUNDING)
        reached = np.flatnonzero(last < len(self.masses[-1]))
        last = last[reached]
        mass, params, macs = (
            head[reached] + tail[-1][last]
            for head, tail in ((mass, self.masses), (params, self.params), (macs, self.macs))
        )
        fits = mass <= high + _ROUNDING
        for name, costs in (("params", params), ("macs", macs)):
            budget = budgets.get(name)
            if budget is not None:
                fits &= costs <= budget
        if not fits.any():
            return None
        first, second = (params, macs) if objective == "params" else (macs, params)
        kept = np.flatnonzero(fits)
        pick = kept[np.lexsort((second[kept], first[kept]))[0]]
        others = np.unravel_index(reached[pick], [1, *(len(skips) for skips in self.skips[:-1])])[1:]
        chosen = (*others, last[pick])
        skips = tuple(int(options[c]) for options, c in zip(self.skips, chosen, strict=True))
        return _Candidate(self.depths, skips, int(params[pick]), int(macs[pick]))


def _sums(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Sums over all combinations, in the order of `numpy.unravel_index`."""
    total: npt.NDArray[Any] = np.zeros(1, np.int64)
    for part in parts:
        total = (total[:, None] + part).ravel()
    return total


def _cell_costs(
    reference: LinkedSpecification, depths: tuple[int, ...], skips: Sequence[IntArray]
) -> tuple[list[IntArray], list[IntArray]]:
    """Parameters and MACs of each cell for each of its choices; what belongs to no cell is added to the last."""
    if isinstance(reference, DenseMLP):
        costs = dense_mlp_costs(
            reference.width, depths[0], skips[0], in_features=reference.in_features, num_classes=reference.num_classes
        )
        return [costs.params], [costs.macs]
    if not isinstance(reference, DenseCNN):
        raise InvalidValueError(f"compression takes a DenseMLP or DenseCNN, got {reference.family}")
    per_cell = cell_costs(
        reference.widths, conv=reference.conv, image_size=reference.image_size, in_channels=reference.in_channels
    )
    entries = [num_skips(w, d, t) for w, d, t in zip(reference.widths, depths, skips, strict=True)]
    params, macs = (
        [cell[kind](depth, entry) for cell, depth, entry in zip(per_cell, depths, entries, strict=True)]
        for kind in (0, 1)
    )
    head_params, head_macs = head_costs(reference.widths[-1], reference.num_classes)
    params[-1], macs[-1] = params[-1] + head_params, macs[-1] + head_macs
    return params, macs


def _check(reference: LinkedSpecification, max_params: int | None, max_macs: int | None, tolerance: float) -> None:
    if reference.nn_mass == 0:
        raise InvalidValueError("the reference has NN-Mass 0 (no skips): there is no mass to keep")
    if not 0 <= tolerance < 1:
        raise InvalidValueError(f"tolerance must lie in [0, 1), got {tolerance}")
    for name, budget in (("max_params", max_params), ("max_macs", max_macs)):
        if budget is not None and budget < 1:
            raise InvalidValueError(f"{name} must be at least 1, got {budget}")


def _explain(
    reference: LinkedSpecification,
    nearest: _Candidate,
    domain: Domain,
    tolerance: float,
    budgets: dict[str, int | None],
) -> str:
    wanted = " and ".join(f"at most {budget:,} {name}" for name, budget in budgets.items() if budget is not None)
    lowest = min(min(depths) for depths in domain.depth_choices(reference))
    depths, skips = (", ".join(map(str, values)) for values in (nearest.depths, nearest.max_skips))
    return (
        f"no specification of NN-Mass {reference.nn_mass:.2f} ± {tolerance:.0%} within the domain (same widths, "
        f"depth >= {lowest}, density <= {domain.max_density:g}) has {wanted}; the cheapest has "
        f"{nearest.params:,} params and {nearest.macs:,} macs (depth {depths}; max_skips {skips})"
    )

"""Cheaper specifications of the same NN-Mass: the cheapest, or one of about a share of the reference's cost."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from nnmass.architectures import Specification, require_specification
from nnmass.designing.bounded_latency import solve_within_bounds
from nnmass.designing.compressed import Compression, Timed, structure
from nnmass.designing.domain import INNER_TOLERANCES, Domain
from nnmass.designing.problem import QUANTITIES, Level, count_paths
from nnmass.designing.solver import Budgets, Objective, Solution, check_time, solve
from nnmass.designing.spaces import Space
from nnmass.designing.surroundings import domain_text, has_bottlenecks, levels_around, space_around, wider_domain
from nnmass.errors import InfeasibleError, InvalidValueError, ResourceError, require_number, require_type
from nnmass.latency import Block, LatencyTable, blocks_of

COSTS = ("params", "macs", "latency_ms")
_AIM_WORK = 20_000_000
_MOST_BETWEEN = 100


def compress(
    reference: Specification,
    *,
    max_params: float | None = None,
    max_macs: float | None = None,
    max_latency_ms: float | None = None,
    keep_params: float | None = None,
    keep_macs: float | None = None,
    objective: Objective | None = None,
    tolerance: float = 0.02,
    domain: Domain | None = None,
    latency: LatencyTable | None = None,
    between: int = 0,
    time_limit: float | None = None,
) -> Compression:
    """Find a cheaper specification with the mass of the reference, and prove that none is cheaper or nearer.

    It has the reference's widths; depths and skips, or expansions and blocks, lie in the domain.  Claim behind it:
    networks of equal width, mass and training reach similar accuracy (arXiv:1910.00780, section 5.3);
    `nnmass compress --verify` measures whether they do.

    Without a share to keep, or with an objective, the answer is the cheapest within the budgets.  With a share and no
    objective it is the one that comes nearest to that share from below: the cheapest is often far from the reference.

    Args:
        reference: a specification with a mass.
        max_params: budget of parameters.
        max_macs: budget of multiply-accumulates.
        max_latency_ms: budget of milliseconds; needs ``latency``.
        keep_params: about this share of the reference's parameters, and no more; in place of ``max_params``.
        keep_macs: likewise of its multiply-accumulates.
        objective: what to minimise: ``"params"``, ``"macs"`` or ``"latency_ms"``; by default what alone has a budget,
            else ``"macs"``.
        tolerance: relative tolerance of the mass.
        domain: bounds on depth, density and inner widths; by default half the reference's depth, density 0.8 and, where
            that suffices, three quarters of the inner width of bottlenecks.  Its ``cell_tolerance`` and
            ``stage_tolerance`` are raised to ``tolerance`` where they are smaller.
        latency: table of measured blocks.  Its times have bounds: what is within a budget is so by the upper ones, and
            what may be better by the lower ones is named beside (`Timed.possible`).
        between: how many networks to list between the budget, or the reference, and the cheapest.
        time_limit: seconds for the whole call; the answer then says how far it is proven.

    Raises:
        InfeasibleError: no specification of this mass within the domain meets the budgets; names the nearest.
        InvalidValueError: an option out of range, a family that is not compressed, or a reference without mass.
        LatencyError: the table lacks blocks.
        ResourceError: nothing was found in the time given.

    Examples:
        >>> from nnmass import DenseMLP
        >>> reference = DenseMLP(width=8, depth=32, max_skips=20, in_features=64)
        >>> print(compress(reference))
                    depth  max_skips  nn_mass  params   macs
        reference      32         20    40.19   7,482  7,224
        compressed     16         20    40.23   3,770  3,640
        ratio                           1.001   0.504  0.504
        >>> print(compress(reference, keep_macs=0.75))
                    depth  max_skips  nn_mass  params   macs
        reference      32         20    40.19   7,482  7,224
        compressed     23         20    40.23   5,394  5,208
        ratio                           1.001   0.721  0.721
    """
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    budgets = {"params": max_params, "macs": max_macs, "latency_ms": max_latency_ms}
    keep = {"macs": keep_macs, "params": keep_params}
    _check(reference, budgets, keep, objective, tolerance, domain, latency, between, time_limit)
    shares = {name: share for name, share in keep.items() if share is not None}
    budgets |= {name: max(int(share * getattr(reference, name)), 1) for name, share in shares.items()}
    limits = {name: float(value) for name, value in budgets.items() if value is not None}
    aims = objective is None and bool(shares)
    chosen: Any = objective or next(iter(shares), "macs" if len(limits) != 1 else next(iter(limits)))
    domains = _domains(reference, _widened(domain or Domain(), tolerance))
    tried = [_Around(reference, one, tolerance, latency, deadline) for one in domains]

    def solve_by(table: LatencyTable | None) -> Solution:
        nonlocal tried  # the domain that holds the answer also holds what may be better
        around, solution = _first_within([replace(one, latency=table) for one in tried], limits, chosen, aims=aims)
        tried = [around]
        return solution

    told = solve_within_bounds(solve_by, latency, chosen, limited=max_latency_ms is not None, larger_is_better=aims)
    around = replace(tried[0], latency=told.table)
    spec = around.space.specify(told.sure.choices)
    possible = None if told.possible is None else around.space.specify(told.possible.choices)
    timed = None if latency is None else Timed.of(latency, reference, spec, possible, told=told.finished)
    answer = Compression(reference, spec, chosen, tolerance, around.domain, told.sure.certificate, timed, limits, aims)
    if not between or chosen == "latency_ms":
        return answer
    front, finished = around.front(answer, between)
    return replace(answer, front=front, front_finished=finished)


def blocks_around(reference: Specification, domain: Domain) -> tuple[Block, ...]:
    """The blocks of a reference, and of all that may stand in for it in the domains that are tried."""
    spaces = (space_around(reference, one) for one in _domains(reference, domain))
    return tuple(dict.fromkeys([*blocks_of(reference), *(block for space in spaces for block in space.blocks())]))


@dataclass(frozen=True)
class _Around:
    """What may stand in for a reference.

    Attributes:
        reference: with a mass.
        domain: of what may.
        tolerance: of the mass.
        latency: measured blocks.
        deadline: of everything.
    """

    reference: Specification
    domain: Domain
    tolerance: float
    latency: LatencyTable | None
    deadline: float

    @cached_property
    def space(self) -> Space:
        return space_around(self.reference, self.domain)

    @cached_property
    def levels(self) -> list[Level]:
        return levels_around(self.reference, self.space, self.domain, self.latency)

    @cached_property
    def size(self) -> int:
        return count_paths(self.levels)

    def cheapest(self, limits: dict[str, float], objective: str) -> Solution:
        """The cheapest, and of several equally cheap ones the one that costs least otherwise."""
        first = self._solve(limits, objective)
        if not first.certificate.optimal or objective == "latency_ms":
            return first
        other = "macs" if objective == "params" else "params"
        cost = float(first.path.quantities[QUANTITIES.index(objective)])
        second = self._solve(limits | {objective: cost}, other)
        return Solution(second.path, second.problem, first.certificate)

    def nearest(self, limits: dict[str, float], objective: str) -> Solution:
        """The one whose cost comes nearest to its limit."""
        others = {name: value for name, value in limits.items() if name != objective}
        return self._solve(others, objective, near=limits[objective], work_limit=_AIM_WORK)

    def _solve(self, limits: dict[str, float], objective: str, **options: Any) -> Solution:
        mass = self.reference.nn_mass
        low, high = mass * (1 - self.tolerance), mass * (1 + self.tolerance)
        window = Budgets(min_mass=low, max_mass=high, **{f"max_{name}": value for name, value in limits.items()})
        return solve(
            self.levels,
            window,
            objective,  # type: ignore[arg-type]
            space_size=self.size,
            deadline=self.deadline,
            **options,
        )

    def front(self, answer: Compression, between: int) -> tuple[tuple[Specification, ...], bool]:
        """Some networks between the budget, or the reference, and the cheapest; and whether the time sufficed."""
        cost = answer.objective
        others = {name: value for name, value in answer.budgets.items() if name != cost}
        top = answer.spec if answer.aims else self.reference
        high = getattr(top, cost) if answer.aims else answer.budgets.get(cost, getattr(top, cost))
        found: list[Specification] = []
        try:
            cheapest = self.space.specify(self.cheapest(others, cost).choices)
            low = getattr(cheapest, cost)
            for step in range(between, 0, -1):
                near = low + (high - low) * step / (between + answer.aims)
                found.append(self.space.specify(self.nearest(others | {cost: near}, cost).choices))
        except ResourceError:
            return _distinct(found, answer), False
        return _distinct([*found, cheapest], answer), True

    def explained(self, limits: dict[str, float], objective: str) -> str:
        """Why nothing lies within limits: what the cheapest would be."""
        reference, units = self.reference, {"params": "params", "macs": "macs", "latency_ms": "ms"}
        cheapest = self.space.specify(self.cheapest({}, objective).choices)
        wanted = " and ".join(f"at most {budget:,.10g} {units[name]}" for name, budget in limits.items())
        parts = (f"{key} {', '.join(f'{value:g}' for value in values)}" for key, values in structure(cheapest).items())
        timed = "" if self.latency is None else f", {self.latency.predict(cheapest).latency}"
        same = ", which is the reference" if cheapest == reference.without_links() else ""
        return (
            f"no specification of NN-Mass {reference.nn_mass:.2f} ± {self.tolerance:.0%} within the domain "
            f"({domain_text(reference, self.domain)}) has {wanted}; the cheapest has {cheapest.params:,} params and "
            f"{cheapest.macs:,} macs{timed} ({'; '.join(parts)}){same}.  What may help is "
            f"{wider_domain(reference, self.domain)}"
        )


def _first_within(
    domains: Sequence[_Around], limits: dict[str, float], objective: str, *, aims: bool
) -> tuple[_Around, Solution]:
    """The cheapest within limits, or the one nearest to that of the objective, in the first domain that has one.

    Raises:
        InfeasibleError: none has; says what would be feasible in the last.
    """
    for around in domains:
        try:
            return around, around.nearest(limits, objective) if aims else around.cheapest(limits, objective)
        except InfeasibleError:
            continue
    raise InfeasibleError(domains[-1].explained(limits, objective))


def _domains(reference: Specification, domain: Domain) -> list[Domain]:
    """The domains to look in, one after the other: of bottlenecks at first those of nearly their inner width."""
    if not has_bottlenecks(reference) or domain.inner_tolerance is not None:
        return [domain]
    return [replace(domain, inner_tolerance=tolerance) for tolerance in INNER_TOLERANCES]


def _distinct(found: list[Specification], answer: Compression) -> tuple[Specification, ...]:
    """Without repetitions, the answer and the reference."""
    known = (answer.spec, answer.reference.without_links())
    return tuple(spec for spec in dict.fromkeys(found) if spec not in known)


def _widened(domain: Domain, tolerance: float) -> Domain:
    """A domain in which a cell or stage may always move as far as the whole."""
    wider = {
        name: max(value, tolerance)
        for name in ("cell_tolerance", "stage_tolerance")
        if (value := getattr(domain, name)) is not None
    }
    return replace(domain, **wider)


def _check(
    reference: Specification,
    budgets: dict[str, Any],
    keep: dict[str, float | None],
    objective: Objective | None,
    tolerance: float,
    domain: Domain | None,
    latency: LatencyTable | None,
    between: int,
    time_limit: float | None,
) -> None:
    require_specification(reference, "reference")
    require_type(latency, (LatencyTable, type(None)), "latency", "a latency table")
    require_type(domain, (Domain, type(None)), "domain", "a domain (nnmass.designing.Domain)")
    numbers = {f"max_{name}": value for name, value in budgets.items()}
    numbers |= {f"keep_{name}": share for name, share in keep.items()}
    for name, value in (numbers | {"tolerance": tolerance, "between": between}).items():
        require_number(value, name)
    if objective not in (None, *COSTS):
        raise InvalidValueError(f"objective must be one of {', '.join(COSTS)}, got {objective!r}")
    if latency is None and (objective == "latency_ms" or budgets["latency_ms"] is not None):
        raise InvalidValueError("milliseconds need a latency table: nnmass bench fills one")
    if not reference.nn_mass > 0:
        raise InvalidValueError("the reference has NN-Mass 0 (no skips): there is no mass to keep")
    if not 0 <= tolerance < 1:
        raise InvalidValueError(f"tolerance must lie in [0, 1), got {tolerance}")
    for name, share in keep.items():
        if share is not None and budgets[name] is not None:
            raise InvalidValueError(f"give keep_{name} or max_{name}, not both")
        if share is not None and not 0 < share <= 1:
            raise InvalidValueError(f"keep_{name} must lie in (0, 1], got {share}")
    for name in ("params", "macs"):
        if budgets[name] is not None and not budgets[name] >= 1:
            raise InvalidValueError(f"max_{name} must be at least 1, got {budgets[name]}")
    Budgets(budgets["params"], budgets["macs"], budgets["latency_ms"])  # refuses what is too large, or NaN
    if not 0 <= between <= _MOST_BETWEEN:
        raise InvalidValueError(f"between must lie in 0 … {_MOST_BETWEEN}, got {between}")
    check_time(time_limit)

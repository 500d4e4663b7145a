"""The largest mass for every cost of a whole space."""

from collections.abc import Sequence

import numpy as np

from nnmass.designing.candidates import Candidate, require_domain
from nnmass.designing.fronts import mass_front
from nnmass.designing.problem import QUANTITIES, Level, Path, Problem
from nnmass.designing.solver import Budgets, Objective, check_memory, solve
from nnmass.designing.spaces import Space, space_of
from nnmass.errors import InfeasibleError, InvalidValueError, require_type
from nnmass.latency import LatencyTable

_MASS = QUANTITIES.index("mass")


def pareto_front(
    space: Space | str,
    *,
    cost: Objective = "macs",
    max_params: float | None = None,
    max_macs: float | None = None,
    max_latency_ms: float | None = None,
    max_activation_bytes: int | None = None,
    min_mass: float | None = None,
    max_mass: float | None = None,
    latency: LatencyTable | None = None,
    outside_domain: bool = False,
) -> list[Candidate]:
    """Every network of a space that no cheaper or equally cheap one has at least the mass of, cheapest first.

    Milliseconds are the upper bounds of the latency table, so that every network surely costs no more.  Where they
    count, each also says the largest mass at its cost by the lower bounds: between the two the table cannot tell.

    Args:
        space: the networks to choose from; a family's name stands for its default space.
        cost: ``"params"``, ``"macs"`` or ``"latency_ms"``.
        max_params: upper limit of parameters; a limit on another cost than ``cost`` cuts an exact slice.
        max_macs: likewise of multiply-accumulates.
        max_latency_ms: likewise of milliseconds.
        max_activation_bytes: largest `Specification.activation_bytes` of a member.
        min_mass: where the front begins.
        max_mass: where it ends.
        latency: table of measured blocks.
        outside_domain: allow a space beyond the domain of the theory.

    Raises:
        DomainError: the space reaches beyond the domain.
        InfeasibleError: it is proven that nothing meets the limits; says what would be feasible.
        InvalidValueError: a cost that is none, milliseconds without a table, or a front too large to hold.
    """
    require_type(latency, (LatencyTable, type(None)), "latency", "a latency table")
    if cost not in ("params", "macs", "latency_ms"):
        raise InvalidValueError(f"cost must be one of params, macs, latency_ms, got {cost!r}")
    if latency is None and (cost == "latency_ms" or max_latency_ms is not None):
        raise InvalidValueError("milliseconds need a latency table: nnmass bench fills one")
    space = space_of(space)
    check_memory(max_activation_bytes)
    require_domain(space, outside_domain)
    budgets = Budgets(max_params, max_macs, max_latency_ms, min_mass, max_mass)
    counts = cost == "latency_ms" or max_latency_ms is not None

    def front_by(table: LatencyTable | None) -> tuple[list[Path], tuple[Level, ...]]:
        levels = space.levels(table, max_activation_bytes=max_activation_bytes)
        solve(levels, budgets, cost, space_size=space.size())  # says what would be feasible, if nothing is
        paths, chain = mass_front(levels, cost, [limit for limit in budgets.limits if limit.quantity != _MASS])
        masses = Problem(chain, _MASS, 1, tuple(limit for limit in budgets.limits if limit.quantity == _MASS))
        return [path for path in paths if (masses.use(path.quantities) <= masses.room).all()], chain

    paths, chain = front_by(latency.at("high_ms") if latency is not None and counts else latency)
    if not paths:
        raise InfeasibleError(
            "no network of the front has an NN-Mass in that range: every network of less mass costs more"
        )
    masses: list[float | None] = [None] * len(paths)
    if latency is not None and counts:
        masses = _largest_masses(front_by(latency.at("low_ms"))[0], paths, QUANTITIES.index(cost))
    found = []
    for path, mass in zip(paths, masses, strict=True):
        spec = space.specify(path.choices(chain))
        timed = None if latency is None else latency.predict(spec).latency
        found.append(Candidate(spec, timed, {}, space.departures(spec), possible_mass=mass))
    return found


def _largest_masses(front: Sequence[Path], paths: Sequence[Path], column: int) -> list[float | None]:
    """Of every path the largest mass that a front, cheapest first, has at its cost."""
    costs = np.array([path.quantities[column] for path in front])
    masses = np.maximum.accumulate([path.quantities[_MASS] for path in front])
    places = np.searchsorted(costs, [path.quantities[column] for path in paths], side="right") - 1
    own = [path.quantities[_MASS] for path in paths]
    return [float(max(masses[place], mass)) for place, mass in zip(places, own, strict=True)]

"""From budgets to a proven optimum, or to a proof that nothing meets them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from nnmass.designing.pareto import undominated_in_groups
from nnmass.designing.problem import QUANTITIES, IntArray, Level, Limit, Path, Problem, connected
from nnmass.designing.search import WORK_LIMIT, Found, maximise
from nnmass.errors import InfeasibleError, InvalidValueError

Objective: TypeAlias = Literal["mass", "params", "macs", "latency_ms"]
NAMES = {"mass": "NN-Mass", "params": "params", "macs": "MACs", "latency_ms": "ms"}


@dataclass(frozen=True)
class Budgets:
    """What a network may cost, and what mass it must have.

    Attributes:
        max_params: parameters.
        max_macs: multiply-accumulates of one input.
        max_latency_ms: milliseconds by the latency table.
        min_mass: least NN-Mass.
        max_mass: largest NN-Mass.

    Raises:
        InvalidValueError: a budget that is not positive, or masses that exclude each other.
    """

    max_params: float | None = None
    max_macs: float | None = None
    max_latency_ms: float | None = None
    min_mass: float | None = None
    max_mass: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_params", "max_macs", "max_latency_ms"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InvalidValueError(f"{name} must be positive, got {value}")
        for name in ("min_mass", "max_mass"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InvalidValueError(f"{name} must be at least 0, got {value}")
        if self.min_mass is not None and self.max_mass is not None and self.min_mass > self.max_mass:
            raise InvalidValueError(f"min_mass {self.min_mass:g} exceeds max_mass {self.max_mass:g}")

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits that are set; an upper one on the mass comes last."""
        found = [
            Limit(QUANTITIES.index(name.removeprefix("max_").removeprefix("min_")), value, sign)
            for name, sign in (
                ("max_params", 1),
                ("max_macs", 1),
                ("max_latency_ms", 1),
                ("min_mass", -1),
                ("max_mass", 1),
            )
            if (value := getattr(self, name)) is not None
        ]
        return tuple(found)


@dataclass(frozen=True)
class Certificate:
    """What is known of an answer.

    Attributes:
        optimal: whether it is proven that nothing is better.
        bound: what no network within the limits exceeds (a mass) or falls below (a cost).
        gap: distance of the answer from that bound, relative to the bound.
        examined: partial networks that were looked at one by one.
        space_size: networks of the space.
    """

    optimal: bool
    bound: float
    gap: float
    examined: int
    space_size: int


@dataclass(frozen=True)
class Solution:
    """A network and what is known of it.

    Attributes:
        path: options of every level.
        problem: the problem whose levels they index.
        certificate: see `Certificate`.
    """

    path: Path
    problem: Problem
    certificate: Certificate

    @property
    def choices(self) -> list[IntArray]:
        """What the options stand for."""
        return self.path.choices(self.problem.levels)


def solve(
    levels: Sequence[Level],
    budgets: Budgets,
    objective: Objective = "mass",
    *,
    space_size: int,
    time_limit: float | None = None,
    work_limit: int = WORK_LIMIT,
) -> Solution:
    """Find the network of the largest mass, or of the least cost, within budgets.

    Raises:
        InfeasibleError: it is proven that there is none; the message names the nearest budgets.
        InvalidValueError: an unknown objective.
    """
    if objective not in get_args(Objective):
        raise InvalidValueError(f"objective must be one of {', '.join(get_args(Objective))}, got {objective!r}")
    chain = connected(levels)
    if not all(level.blocks for level in chain):
        raise InfeasibleError("the space holds no network: its choices and limits per cell exclude each other")
    sign = 1 if objective == "mass" else -1
    problem = Problem(chain, QUANTITIES.index(objective), sign, budgets.limits)
    problem, found = _solved(problem, time_limit, work_limit)
    if found.path is None and not found.complete:
        raise InfeasibleError("no network within the budgets was found in the time given, nor proven impossible")
    if found.path is None:
        raise InfeasibleError(_nearest(chain, budgets))
    bound, value = sign * found.bound, float(found.path.quantities[problem.objective])
    gap = 0.0 if found.complete else abs(bound - value) / max(abs(bound), 1e-300)
    certificate = Certificate(found.complete, value if found.complete else bound, gap, found.examined, space_size)
    return Solution(found.path, problem, certificate)


def _solved(problem: Problem, time_limit: float | None, work_limit: int) -> tuple[Problem, Found]:
    """Solve without an upper limit on the mass first: few options matter then, and the answer mostly respects it."""
    mass = QUANTITIES.index("mass")
    lighter = [limit for limit in problem.limits if (limit.quantity, limit.sign) != (mass, 1)]
    easier = condensed(replace(problem, limits=tuple(lighter)))
    found = maximise(easier, time_limit=time_limit, work_limit=work_limit)
    if found.path is None or (problem.use(found.path.quantities) <= problem.room).all():
        return easier, found
    problem = condensed(problem)
    exact = maximise(problem, time_limit=time_limit, work_limit=work_limit)
    bound = min(exact.bound, found.bound)
    return problem, replace(exact, bound=bound, examined=exact.examined + found.examined)


def condensed(problem: Problem) -> Problem:
    """The problem without options that another of the same block is at least as good as in everything that counts."""
    if not problem.comparable:
        return problem
    levels = []
    for level in problem.levels:
        gain, use = problem.gain(level.quantities), problem.use(level.quantities)
        kept = np.zeros(len(gain), bool)
        kept[undominated_in_groups(level.block_of, gain, use, gain)] = True
        levels.append(level.kept(kept))
    return replace(problem, levels=tuple(levels))


def _nearest(levels: tuple[Level, ...], budgets: Budgets) -> str:
    """What would have to give way: for each limit, how far with the others as they are."""
    limits = budgets.limits
    said = [_limit_text(limit) for limit in limits]
    feasible = []
    for i, limit in enumerate(limits):
        others = (*limits[:i], *limits[i + 1 :])
        problem = condensed(Problem(levels, limit.quantity, -limit.sign, others))
        found = maximise(problem)
        if found.path is not None:
            feasible.append(_limit_text(limit._replace(bound=float(found.path.quantities[limit.quantity]))))
    wanted = " and ".join(said)
    if not feasible:
        return f"no network of the space has {wanted}, nor with any one of these given up"
    alone = "" if len(limits) == 1 else "; with the others kept"
    return f"no network of the space has {wanted}{alone}, feasible is {' or '.join(feasible)}"


def _limit_text(limit: Limit) -> str:
    name = QUANTITIES[limit.quantity]
    most = "at most" if limit.sign > 0 else "at least"
    if name in ("params", "macs"):
        digits = f"{limit.bound:,.0f}"
    else:  # rounded so that it stays feasible
        outward = math.ceil if limit.sign > 0 else math.floor
        digits = f"{outward(limit.bound * 1e4) / 1e4:,.4f}".rstrip("0").rstrip(".")
    return f"{most} {digits} {NAMES[name]}" if name != "mass" else f"NN-Mass {most} {digits}"

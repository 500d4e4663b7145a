"""From budgets to a proven optimum, or to a proof that nothing meets them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from nnmass.architectures.specification import shown
from nnmass.designing.bounds import options_of
from nnmass.designing.pareto import undominated_in_groups
from nnmass.designing.problem import QUANTITIES, IntArray, Level, Limit, Path, Problem, connected
from nnmass.designing.search import WORK_LIMIT, Found, maximise
from nnmass.errors import InfeasibleError, InvalidValueError, ResourceError, require_number

Objective: TypeAlias = Literal["mass", "params", "macs", "latency_ms"]
LevelsWithin: TypeAlias = Callable[[tuple[Limit, ...]], Sequence[Level]]
"""Makes the levels of a space; what no best network within the limits needs may be left out."""
_MOST = 10**18
NEAR = 1e-3
"""How near to a cost is near enough, relatively."""
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
            _check_budget(name, getattr(self, name), "positive")
        for name in ("min_mass", "max_mass"):
            _check_budget(name, getattr(self, name), "at least 0")
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


def _check_budget(name: str, value: float | None, least: str) -> None:
    require_number(value, name)
    if value is None or (0 < value <= _MOST) or (value == 0 and least != "positive"):
        return
    raise InvalidValueError(f"{name} must be {least}{' and at most 1e18' if value > _MOST else ''}, got {shown(value)}")


def check_memory(max_activation_bytes: int | None) -> None:
    """Refuse a budget of activation memory that is none.

    Raises:
        InvalidValueError: not positive.
    """
    _check_budget("max_activation_bytes", max_activation_bytes, "positive")


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
    levels: Sequence[Level] | LevelsWithin,
    budgets: Budgets,
    objective: Objective = "mass",
    *,
    space_size: int,
    deadline: float = math.inf,
    work_limit: int = WORK_LIMIT,
    near: float | None = None,
) -> Solution:
    """Find the network of the largest mass, or of the least cost, within budgets.

    Args:
        levels: of the space; or what makes them, given the limits, and leaves out what they make needless.
        budgets: what has to hold.
        objective: what is maximised (mass) or minimised.
        space_size: networks of the space.
        deadline: moment of `time.monotonic` at which the best so far is returned.
        work_limit: label extensions after which it is.
        near: instead of the least cost, the one that comes nearest to this from below, to within `NEAR` of it.

    Raises:
        InfeasibleError: it is proven that there is none; the message names the nearest budgets.
        InvalidValueError: an unknown objective.
        ResourceError: none was found in the time given.
    """
    if objective not in get_args(Objective):
        raise InvalidValueError(f"objective must be one of {', '.join(get_args(Objective))}, got {objective!r}")
    within = levels if callable(levels) else lambda _: levels
    sign = 1 if objective == "mass" or near is not None else -1
    limits = budgets.limits
    if near is not None:
        limits = (Limit(QUANTITIES.index(objective), near), *limits)
    problem = problem_of(within, QUANTITIES.index(objective), sign, limits)
    target = math.inf if near is None else near * (1 - NEAR)
    solved = solve_problem(problem, deadline=deadline, work_limit=work_limit, target=target)
    if solved.found.path is None and not solved.found.complete:
        raise ResourceError("no network within the budgets was found in the time given, nor proven impossible")
    if solved.found.path is None:
        raise InfeasibleError(nearest(within, budgets, deadline))
    return Solution(solved.found.path, solved.problem, certificate_of(solved, space_size))


def check_time(time_limit: float | None) -> None:
    """Refuse a time limit that is none.

    Raises:
        InvalidValueError: not positive.
    """
    if time_limit is not None and not time_limit > 0:
        raise InvalidValueError(f"time_limit must be positive, got {time_limit}")


class Solved(NamedTuple):
    """A problem without needless options, and what its search came to."""

    problem: Problem
    found: Found


def problem_of(within: LevelsWithin, objective: int, sign: int, limits: tuple[Limit, ...]) -> Problem:
    """The problem of a space.

    Raises:
        InfeasibleError: the space is empty, whatever the limits.
    """
    chain = connected(within(limits))
    if not all(level.blocks for level in chain) and not all(level.blocks for level in connected(within(()))):
        raise InfeasibleError("the space holds no network: its choices and limits per cell exclude each other")
    return Problem(chain, objective, sign, limits)


def certificate_of(solved: Solved, space_size: int) -> Certificate:
    """What is known of an answer."""
    problem, found = solved
    assert found.path is not None
    return certificate(problem, float(problem.gain(found.path.quantities)), found.bound, found.examined, space_size)


def certificate(problem: Problem, gain: float, bound: float, examined: int, space_size: int) -> Certificate:
    """What is known of an answer of some gain that nothing exceeds by more than a bound allows."""
    optimal = problem.least_gain(gain) > bound
    value, limit = problem.sign * gain, problem.sign * (gain if optimal else bound)
    return Certificate(optimal, limit, abs(limit - value) / max(abs(limit), 1e-300), examined, space_size)


def solve_problem(
    problem: Problem, *, deadline: float = math.inf, work_limit: int = WORK_LIMIT, target: float = math.inf
) -> Solved:
    """Solve without an upper limit on the mass first: few options matter then, and the answer mostly respects it."""
    if len(problem.levels) == 1:
        return Solved(problem, _the_best_option(problem))
    mass = QUANTITIES.index("mass")
    if problem.sign > 0 and problem.objective != mass:  # of a cost as large as may be the mass would be too large
        return Solved(problem, maximise(problem, deadline=deadline, work_limit=work_limit, target=target))
    lighter = [limit for limit in problem.limits if (limit.quantity, limit.sign) != (mass, 1)]
    easier = condensed(replace(problem, limits=tuple(lighter)))
    found = maximise(easier, deadline=deadline, work_limit=work_limit)
    if found.path is None or (problem.use(found.path.quantities) <= problem.room).all():
        return Solved(easier, found)
    problem = condensed(problem)
    exact = maximise(problem, deadline=deadline, work_limit=work_limit)
    bound = min(exact.bound, found.bound)
    return Solved(problem, replace(exact, bound=bound, examined=exact.examined + found.examined))


def _the_best_option(problem: Problem) -> Found:
    """Of a chain of one level the best path within the limits: every one is looked at."""
    level = problem.levels[0]
    best: Path | None = None
    examined = 0
    for entry, block in enumerate(level.entry_block.tolist()):
        options = options_of(level, block)
        quantities = level.quantities[options] + level.entry_quantities[entry]
        fits = np.flatnonzero((problem.use(quantities) <= problem.room).all(1))
        examined += len(options)
        if not len(fits):
            continue
        own = int(fits[problem.gain(quantities[fits]).argmax()])
        if best is None or problem.gain(quantities[own]) > problem.gain(best.quantities):
            best = Path((int(options[own]),), (entry,), quantities[own])
    bound = -math.inf if best is None else float(problem.gain(best.quantities))
    return Found(best, bound, examined, complete=True)


def condensed(problem: Problem, shapes: Sequence[IntArray] | None = None) -> Problem:
    """The problem without options that another of the same block is at least as good as in everything that counts.

    Args:
        problem: what is made smaller.
        shapes: per level a number for every option; only options of the same number make each other needless.
    """
    if not problem.comparable:
        return problem
    levels = []
    for k, level in enumerate(problem.levels):
        gain, use = problem.gain(level.quantities), problem.use(level.quantities)
        group = level.block_of
        if shapes is not None:
            group = group * (1 + int(shapes[k].max(initial=0))) + shapes[k]
        kept = np.zeros(len(gain), bool)
        kept[undominated_in_groups(group, gain, use, gain)] = True
        levels.append(level.kept(kept))
    return replace(problem, levels=tuple(levels))


def nearest(within: LevelsWithin, budgets: Budgets, deadline: float = math.inf) -> str:
    """What would have to give way: for each limit, how far with the others as they are."""
    limits = budgets.limits
    said = [_limit_text(limit) for limit in limits]
    feasible, late = [], False
    for i, limit in enumerate(limits):
        others = (*limits[:i], *limits[i + 1 :])
        problem = problem_of(within, limit.quantity, -limit.sign, others)
        _, found = solve_problem(problem, deadline=deadline)
        if found.path is not None:
            feasible.append(_limit_text(limit._replace(bound=float(found.path.quantities[limit.quantity]))))
        late |= not found.complete
    wanted = " and ".join(said)
    if not feasible:
        rest = "what would be feasible was not found in time" if late else "nor with any one of these given up"
        return f"no network of the space has {wanted}, {rest}"
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

"""The best network as far as a latency table tells: surely within the budgets, and possibly."""

from collections.abc import Callable
from typing import NamedTuple

from nnmass.designing.problem import QUANTITIES
from nnmass.designing.solver import Objective, Solution
from nnmass.errors import InfeasibleError, ResourceError
from nnmass.latency import LatencyTable

_ROUNDING = 1e-9
SolveBy = Callable[[LatencyTable | None], Solution]
"""Solves a problem with the milliseconds of a table."""


class Told(NamedTuple):
    """What a table tells of a problem.

    Attributes:
        sure: the best network that meets the budgets whatever the times are within their bounds; of the objective
            latency the one of the least upper bound.
        possible: the best by the lower bounds, where that is better: the table cannot tell whether it meets the
            budgets; of the objective latency nothing is faster than its lower bound.
        table: whose times the first answer was found by: the upper bounds, where they count.
        finished: whether the time sufficed to look for the second.
    """

    sure: Solution
    possible: Solution | None
    table: LatencyTable | None
    finished: bool = True


def solve_within_bounds(
    solve_by: SolveBy, latency: LatencyTable | None, objective: Objective, *, limited: bool, larger_is_better: bool
) -> Told:
    """Solve with the upper bounds of all blocks, and with the lower ones.

    Whatever the blocks really take within their bounds, the best of all networks is at least as good as the first
    answer, and no better than the second.  So answers by two tables whose bounds hold never contradict each other.

    Args:
        solve_by: solves.
        latency: table of measured blocks.
        objective: of the problem.
        limited: whether milliseconds have a budget.
        larger_is_better: whether the objective's quantity is maximised.

    Raises:
        InfeasibleError: nothing surely meets the budgets; says so where something possibly does.
        ResourceError: nothing was found in the time given.
    """
    if latency is None or not (limited or objective == "latency_ms"):
        return Told(solve_by(latency), None, latency)
    upper = latency.at("high_ms")
    try:
        sure = solve_by(upper)
    except InfeasibleError as error:
        raise _possibly(solve_by, latency, error) from None
    try:
        possible = solve_by(latency.at("low_ms"))
    except ResourceError:
        return Told(sure, None, upper, finished=False)
    column, sign = QUANTITIES.index(objective), 1 if larger_is_better else -1
    own, other = (sign * float(solution.path.quantities[column]) for solution in (sure, possible))
    better = other > own + _ROUNDING * max(1.0, abs(own))
    return Told(sure, possible if better else None, upper, possible.certificate.optimal)


def _possibly(solve_by: SolveBy, latency: LatencyTable, error: InfeasibleError) -> InfeasibleError:
    """The error of a problem that nothing surely solves."""
    try:
        possible = solve_by(latency.at("low_ms"))
    except InfeasibleError:
        return error
    least = float(possible.path.quantities[QUANTITIES.index("latency_ms")])
    return InfeasibleError(
        f"by the upper bounds of the latency table {error}; by its lower bounds there is a network of {least:,.4g} ms: "
        "the table cannot tell.  One that is measured longer (nnmass bench --seconds), or while the machine does less, "
        "has narrower bounds"
    )

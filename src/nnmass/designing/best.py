"""The best network of a space within budgets."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from nnmass.designing.alternatives import Alternatives
from nnmass.designing.bounded_latency import solve_within_bounds
from nnmass.designing.candidates import Candidate, Design, require_domain
from nnmass.designing.fitted import by_accuracy, predictions, require_kind, within
from nnmass.designing.problem import Level, Path, connected
from nnmass.designing.solver import (
    Budgets,
    Certificate,
    LevelsWithin,
    Objective,
    Solution,
    certificate,
    check_memory,
    check_time,
    solve,
)
from nnmass.designing.spaces import Space, space_of
from nnmass.errors import InvalidValueError, require_type
from nnmass.latency import LatencyTable
from nnmass.prediction import Comparison

_MOST_ALTERNATIVES = 100


def design(
    space: Space | str,
    *,
    max_params: float | None = None,
    max_macs: float | None = None,
    max_latency_ms: float | None = None,
    max_activation_bytes: int | None = None,
    min_mass: float | None = None,
    max_mass: float | None = None,
    objective: Objective | Literal["accuracy"] = "mass",
    latency: LatencyTable | None = None,
    fit: Comparison | None = None,
    top: int = 1,
    diversity: float = 0.25,
    time_limit: float | None = None,
    outside_domain: bool = False,
) -> Design:
    """Find the network of the largest NN-Mass, or of the least cost, within budgets, and prove it.

    No training, no search over trained networks: mass and costs are closed forms, and the optimum over all networks of
    the space is found exactly (label setting with Lagrangian bounds).

    A large mass is a reason to expect accuracy only among networks like those that were compared: of equal widths, not
    too shallow, not too dense.  So a space that reaches beyond that is refused unless ``outside_domain`` says so, and
    the answer is then marked.

    Args:
        space: the networks to choose from; a family's name stands for its default space.
        max_params: budget of parameters.
        max_macs: budget of multiply-accumulates of one input.
        max_latency_ms: budget of milliseconds; needs ``latency``.
        max_activation_bytes: budget of `Specification.activation_bytes`.
        min_mass: least NN-Mass.
        max_mass: largest NN-Mass.
        objective: ``"mass"`` is maximised, and so is ``"accuracy"`` as the fit predicts it, which grows with the mass;
            ``"params"``, ``"macs"`` and ``"latency_ms"`` are minimised, given a ``min_mass``.
        latency: table of measured blocks (``nnmass bench`` fills it).  Its times have bounds: what is within a budget
            is so by the upper ones, and what may be better by the lower ones is named beside (`Design.possible`).
        fit: accuracies of networks trained alike; predicts, and narrows the domain to what it reaches.  It holds for
            networks of its kind (family, widths, inputs, classes) alone, whatever ``outside_domain`` says.
        top: how many networks to list: the best, the best of those unlike it, and so on.
        diversity: networks are alike if widths and depths of all stages differ by less than this, relatively.
        time_limit: seconds for the whole call, alternatives included; the answer then says how far it is proven.
        outside_domain: allow what theory and fit do not speak of, and mark it; with objective ``"accuracy"`` only what
            the theory does not.

    Raises:
        DomainError: the space reaches beyond the domain, or its networks are not of the kind that was fitted.
        FitError: the fitted networks do not say what they are.
        InfeasibleError: it is proven that nothing meets the budgets; says what would be feasible.
        InvalidValueError: an option out of range, or milliseconds without a table.
        LatencyError: the table lacks blocks of the space.

    Examples:
        >>> from nnmass.designing import DenseCNNSpace
        >>> print(design(DenseCNNSpace(), max_macs=600e6, max_params=3.82e6))
        DenseCNN: widths 32, 64, 128; depth 8; max skips 87, 230, 251
        NN-Mass 1,105.14, 3,817,364 params, 599,797,760 MACs
        proven optimal, of 25,631,188,087 networks
    """
    start = time.monotonic()
    space = space_of(space)
    require_type(fit, (Comparison, type(None)), "fit", "a comparison of fits (nnmass.prediction.compare makes one)")
    near = fit if objective == "accuracy" or not outside_domain else None
    if objective == "accuracy":
        objective = by_accuracy(fit)
    _check(
        space,
        objective,
        max_latency_ms,
        min_mass,
        latency,
        top,
        diversity,
        time_limit,
        max_activation_bytes,
        outside_domain,
    )
    budgets = Budgets(max_params, max_macs, max_latency_ms, min_mass, max_mass)
    if fit is not None:
        require_kind(space, fit, every=near is not None)
    if near is not None:
        budgets = within(budgets, near)
    deadline = math.inf if time_limit is None else start + time_limit

    def levels_by(table: LatencyTable | None) -> LevelsWithin:
        return lambda limits: space.levels_within(limits, table, max_activation_bytes=max_activation_bytes)

    def solve_by(table: LatencyTable | None) -> Solution:
        return solve(levels_by(table), budgets, objective, space_size=space.size(), deadline=deadline)

    def candidate(path: Path, levels: Sequence[Level], proof: Certificate) -> Candidate:
        spec = space.specify(path.choices(levels))
        timed = None if latency is None else latency.predict(spec).latency
        accuracy, beyond = ({}, ()) if fit is None else predictions(spec, fit)
        return Candidate(spec, timed, accuracy, (*space.departures(spec), *beyond), proof)

    limited = max_latency_ms is not None
    told = solve_within_bounds(solve_by, latency, objective, limited=limited, larger_is_better=objective == "mass")
    solution = told.sure
    best = candidate(solution.path, solution.problem.levels, solution.certificate)
    others, ends = [], ""
    if top > 1:
        whole = connected(levels_by(told.table)(budgets.limits))
        problem = replace(solution.problem, levels=whole, limits=budgets.limits)
        listed = Alternatives(problem, space.shapes, diversity, deadline)
        bound = problem.sign * solution.certificate.bound
        for path, own, gain, at_most, examined in listed.after(solution.path, solution.problem.levels, bound):
            others.append(candidate(path, own, certificate(problem, gain, at_most, examined, space.size())))
            if len(others) == top - 1:
                break
        else:
            ends = _list_ends(listed, time_limit)
    other = told.possible
    possible = None if other is None else candidate(other.path, other.problem.levels, other.certificate)
    return Design(
        space,
        budgets,
        objective,
        best,
        solution.certificate,
        tuple(others),
        ends,
        possible=possible,
        told=told.finished,
        fit=fit,
    )


def _list_ends(listed: Alternatives, time_limit: float | None) -> str:
    if not listed.exhausted:
        return f"every other network within the budgets differs by less than {listed.diversity:g} from one of the list"
    spent = f"{time_limit:g} seconds" if time_limit is not None else f"{listed.work_limit:,} partial networks"
    return f"the list was not finished within {spent}"


def _check(
    space: Space,
    objective: Objective,
    max_latency_ms: float | None,
    min_mass: float | None,
    latency: LatencyTable | None,
    top: int,
    diversity: float,
    time_limit: float | None,
    max_activation_bytes: int | None,
    outside_domain: bool,
) -> None:
    require_type(latency, (LatencyTable, type(None)), "latency", "a latency table")
    if latency is None and (objective == "latency_ms" or max_latency_ms is not None):
        raise InvalidValueError("milliseconds need a latency table: nnmass bench fills one")
    if objective != "mass" and min_mass is None:
        raise InvalidValueError(
            f"objective {objective!r} needs a min_mass: without one the least network is the answer"
        )
    if not 1 <= top <= _MOST_ALTERNATIVES:
        raise InvalidValueError(f"top must lie in 1 … {_MOST_ALTERNATIVES}, got {top}")
    if not 0 <= diversity < 1:
        raise InvalidValueError(f"diversity must lie in [0, 1), got {diversity}")
    check_time(time_limit)
    check_memory(max_activation_bytes)
    require_domain(space, outside_domain)

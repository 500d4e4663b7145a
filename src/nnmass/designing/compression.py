"""The cheapest specification of the same NN-Mass."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from nnmass.architectures import LinkedSpecification, MobileNetV2, Specification
from nnmass.designing.domain import Domain
from nnmass.designing.problem import QUANTITIES, Level, count_paths
from nnmass.designing.solver import Budgets, Certificate, Objective, Solution, solve
from nnmass.designing.surroundings import levels_around, space_around
from nnmass.errors import InfeasibleError, InvalidValueError
from nnmass.latency import LatencyTable

COSTS = ("params", "macs", "latency_ms")


@dataclass(frozen=True)
class Compression:
    """A reference and the cheapest specification of the same mass.

    Attributes:
        reference: what was to be compressed.
        spec: the compressed specification; its links, if it has any, are free.
        objective: what was minimised.
        tolerance: relative tolerance of the mass.
        domain: where it was looked for.
        certificate: whether it is proven to be the cheapest.
        latency_ms: of reference and compressed, by the latency table; None without one.
    """

    reference: Specification
    spec: Specification
    objective: Objective
    tolerance: float
    domain: Domain
    certificate: Certificate
    latency_ms: tuple[float, float] | None = None

    @property
    def optimal(self) -> bool:
        """Whether ``spec`` is proven to be the cheapest."""
        return self.certificate.optimal

    @property
    def table(self) -> dict[str, dict[str, Any]]:
        """Structure, mass and costs of both, by name, and compressed/reference as ``ratio``."""
        rows: dict[str, dict[str, Any]] = {}
        for k, (name, spec) in enumerate((("reference", self.reference), ("compressed", self.spec))):
            costs = {"nn_mass": spec.nn_mass, "params": spec.params, "macs": spec.macs}
            if self.latency_ms is not None:
                costs["latency_ms"] = self.latency_ms[k]
            rows[name] = structure(spec) | costs
        numbers = ("nn_mass", "params", "macs", *(["latency_ms"] if self.latency_ms else []))
        rows["ratio"] = {key: rows["compressed"][key] / rows["reference"][key] for key in numbers}
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "reference": self.reference.without_links().model_dump(mode="json", exclude_none=True),
            "compressed": self.spec.model_dump(mode="json", exclude_none=True),
            "objective": self.objective,
            "tolerance": self.tolerance,
            "domain": asdict(self.domain),
            "certificate": asdict(self.certificate),
            "table": self.table,
        }

    def __str__(self) -> str:
        table, keys = self.table, list(structure(self.reference))
        lines = [["", *keys, "nn_mass", "params", "macs"]]
        for name in ("reference", "compressed"):
            row = table[name]
            listed = [", ".join(f"{value:g}" for value in row[key]) for key in keys]
            lines.append([name, *listed, f"{row['nn_mass']:.2f}", f"{row['params']:,}", f"{row['macs']:,}"])
        ratio = table["ratio"]
        lines.append(["ratio", *([""] * len(keys)), *(f"{ratio[key]:.3f}" for key in ("nn_mass", "params", "macs"))])
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        return "\n".join(
            line[0].ljust(widths[0])
            + "".join(f"  {text:>{width}}" for text, width in zip(line[1:], widths[1:], strict=True))
            for line in lines
        )


def structure(spec: Specification) -> dict[str, list[float]]:
    """What compression may change, per cell or stage.

    Examples:
        >>> from nnmass import DenseMLP
        >>> structure(DenseMLP(width=8, depth=16, max_skips=20))
        {'depth': [16], 'max_skips': [20]}
    """
    if isinstance(spec, LinkedSpecification):
        return {
            "depth": [cell.depth for cell in spec.cells],
            "max_skips": [cell.max_skips for cell in spec.cells],
        }
    if isinstance(spec, MobileNetV2):
        return {"expansion": [stage[0] for stage in spec.stages], "blocks": [stage[2] for stage in spec.stages]}
    values = spec.model_dump()
    if "layers" not in values:
        return {"depth": [values["depth"]]}
    narrow = {"width_per_group": [values["width_per_group"]]} if values.get("block") == "bottleneck" else {}
    return {"layers": list(values["layers"]), **narrow}


def compress(
    reference: Specification,
    *,
    max_params: int | None = None,
    max_macs: int | None = None,
    max_latency_ms: float | None = None,
    objective: Objective | None = None,
    tolerance: float = 0.02,
    domain: Domain | None = None,
    latency: LatencyTable | None = None,
    time_limit: float | None = None,
) -> Compression:
    """Find the cheapest specification with the mass of the reference, and prove it.

    It has the reference's widths; depths and skips, or expansions and blocks, lie in the domain.  Claim behind it:
    networks of equal width, mass and training reach similar accuracy (arXiv:1910.00780, section 5.3);
    `nnmass compress --verify` measures whether they do.

    Args:
        reference: a specification with a mass.
        max_params: budget of parameters.
        max_macs: budget of multiply-accumulates.
        max_latency_ms: budget of milliseconds; needs ``latency``.
        objective: what to minimise: ``"params"``, ``"macs"`` or ``"latency_ms"``; by default what alone has a budget,
            else ``"macs"``.
        tolerance: relative tolerance of the mass.
        domain: bounds on depth and density; by default half the reference's depth and density 0.8.  Its
            ``cell_tolerance`` and ``stage_tolerance`` are raised to ``tolerance`` where they are smaller.
        latency: table of measured blocks.
        time_limit: seconds; the answer then says how far it is proven.

    Raises:
        InfeasibleError: no specification of this mass within the domain meets the budgets; names the nearest.
        InvalidValueError: an option out of range, a family that is not compressed, or a reference without mass.
        LatencyError: the table lacks blocks.

    Examples:
        >>> from nnmass import DenseMLP
        >>> print(compress(DenseMLP(width=8, depth=32, max_skips=20, in_features=64)))
                    depth  max_skips  nn_mass  params   macs
        reference      32         20    40.19   7,482  7,224
        compressed     16         20    40.23   3,770  3,640
        ratio                           1.001   0.504  0.504
    """
    budgets = {"params": max_params, "macs": max_macs, "latency_ms": max_latency_ms}
    _check(reference, budgets, objective, tolerance, latency)
    domain = _widened(domain or Domain(), tolerance)
    given = [name for name, value in budgets.items() if value is not None]
    objective = objective or ("macs" if len(given) != 1 else given[0])  # type: ignore[assignment]
    assert objective is not None
    space = space_around(reference, domain)
    levels = levels_around(reference, space, domain, latency)
    mass = reference.nn_mass
    window = Budgets(
        max_params, max_macs, max_latency_ms, min_mass=mass * (1 - tolerance), max_mass=mass * (1 + tolerance)
    )
    size = count_paths(levels)
    try:
        found = _cheapest(levels, window, objective, size, time_limit)
    except InfeasibleError:
        free = replace(window, max_params=None, max_macs=None, max_latency_ms=None)
        nearest = _cheapest(levels, free, objective, size, time_limit)
        cheapest = space.specify(nearest.choices)
        nearest_ms = None if latency is None else latency.predict(cheapest).total_ms
        message = _explain(reference, cheapest, nearest_ms, domain, tolerance, budgets)
        raise InfeasibleError(message) from None
    spec = space.specify(found.choices)
    milliseconds = None
    if latency is not None:
        milliseconds = (latency.predict(reference).total_ms, latency.predict(spec).total_ms)
    return Compression(reference, spec, objective, tolerance, domain, found.certificate, milliseconds)


def _cheapest(
    levels: list[Level], window: Budgets, objective: Objective, size: int, time_limit: float | None
) -> Solution:
    """The cheapest, and of several equally cheap ones the one that costs least otherwise."""
    first = solve(levels, window, objective, space_size=size, time_limit=time_limit)
    if not first.certificate.optimal or objective == "latency_ms":
        return first
    other: Objective = "macs" if objective == "params" else "params"
    limit = float(first.path.quantities[QUANTITIES.index(objective)])
    second = solve(
        levels, replace(window, **{f"max_{objective}": limit}), other, space_size=size, time_limit=time_limit
    )
    return Solution(second.path, second.problem, first.certificate)


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
    objective: Objective | None,
    tolerance: float,
    latency: LatencyTable | None,
) -> None:
    if objective not in (None, *COSTS):
        raise InvalidValueError(f"objective must be one of {', '.join(COSTS)}, got {objective!r}")
    if latency is None and (objective == "latency_ms" or budgets["latency_ms"] is not None):
        raise InvalidValueError("milliseconds need a latency table: nnmass bench fills one")
    if reference.nn_mass == 0:
        raise InvalidValueError("the reference has NN-Mass 0 (no skips): there is no mass to keep")
    if not 0 <= tolerance < 1:
        raise InvalidValueError(f"tolerance must lie in [0, 1), got {tolerance}")
    for name in ("params", "macs"):
        if budgets[name] is not None and budgets[name] < 1:
            raise InvalidValueError(f"max_{name} must be at least 1, got {budgets[name]}")


def _explain(
    reference: Specification,
    nearest: Specification,
    milliseconds: float | None,
    domain: Domain,
    tolerance: float,
    budgets: dict[str, Any],
) -> str:
    units = {"params": "params", "macs": "macs", "latency_ms": "ms"}
    wanted = " and ".join(f"at most {budget:,} {units[name]}" for name, budget in budgets.items() if budget is not None)
    bounds = "same widths"
    if isinstance(reference, LinkedSpecification):
        lowest = min(domain.depth_choices(cell)[0] for cell in reference.cells)
        bounds += f", depth >= {lowest}, density <= {domain.max_density:g}"
    parts = (f"{key} {', '.join(f'{value:g}' for value in values)}" for key, values in structure(nearest).items())
    timed = "" if milliseconds is None else f", {milliseconds:.2f} ms"
    return (
        f"no specification of NN-Mass {reference.nn_mass:.2f} ± {tolerance:.0%} within the domain ({bounds}) has "
        f"{wanted}; the cheapest has {nearest.params:,} params and {nearest.macs:,} macs{timed} ({'; '.join(parts)})"
    )

"""What a compression found: the network, its reference, the domain, and what is to be said of it."""

from dataclasses import asdict, dataclass, field
from typing import Any

from nnmass.architectures import LinkedSpecification, MobileNetV2, Specification
from nnmass.designing.domain import Domain
from nnmass.designing.solver import NAMES, NEAR, Certificate, Objective
from nnmass.designing.surroundings import wider_domain
from nnmass.latency import Latency, LatencyTable
from nnmass.representation import brief

_FAR_FROM_BUDGET = 0.9
_FAR_FROM_REFERENCE = 0.5


@dataclass(frozen=True)
class Timed:
    """Latencies by a table, and what it cannot tell.

    Attributes:
        reference: of the reference.
        compressed: of the answer, which is within a budget by its upper bound.
        difference: what the answer takes longer than the reference; blocks that both have cancel.
        possible: what is cheaper, or nearer to the budget, by the lower bounds: the table cannot tell whether it is.
            None where there is no such network, or latencies do not count.
        possible_latency: of that.
        told: whether the time sufficed to look for it to the end.
    """

    reference: Latency
    compressed: Latency
    difference: Latency
    possible: Specification | None = None
    possible_latency: Latency | None = None
    told: bool = True

    @classmethod
    def of(
        cls,
        table: LatencyTable,
        reference: Specification,
        spec: Specification,
        possible: Specification | None,
        *,
        told: bool,
    ) -> "Timed":
        """Look up the latencies of networks."""
        return cls(
            table.predict(reference).latency,
            table.predict(spec).latency,
            table.difference(spec, reference),
            possible,
            None if possible is None else table.predict(possible).latency,
            told,
        )

    def notes(self, spec: Specification, objective: Objective) -> list[str]:
        """What the table cannot tell of an answer."""
        found, less = [], self.difference
        if less.low_ms < 0 < less.high_ms:
            change = f"{less.ms:+.2f} ms {less.bounds}"
            found.append(f"The latency table cannot tell whether it is faster than the reference: {change}.")
        if self.possible is not None and self.possible_latency is not None:
            found.append(self._left_open(spec, self.possible, self.possible_latency, objective))
        if not self.told:
            found.append("What may be better by the lower bounds of the latency table was not searched to the end.")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        possible = None
        if self.possible is not None and self.possible_latency is not None:
            values = self.possible.model_dump(mode="json", exclude_none=True)
            possible = {"spec": values, **costs_of(self.possible), **self.possible_latency.to_dict()}
        return {"difference": self.difference.to_dict(), "possible": possible}

    @staticmethod
    def _left_open(spec: Specification, possible: Specification, latency: Latency, objective: Objective) -> str:
        parts = (f"{key} {', '.join(f'{value:g}' for value in values)}" for key, values in structure(possible).items())
        if objective == "latency_ms":
            text = f"The latency table cannot tell which is the fastest: none takes less than {latency.low_ms:.2f} ms"
            return text + ("." if possible == spec else f"; it may be that of {'; '.join(parts)}, {latency}.")
        value = f"{getattr(possible, objective):,} {NAMES[objective]}"
        return (
            f"The latency table cannot tell whether another with {value} is within the budget: {'; '.join(parts)}, "
            f"{latency}."
        )


@dataclass(frozen=True)
class Compression:
    """A reference and a cheaper specification of the same mass.

    Attributes:
        reference: what was to be compressed.
        spec: the compressed specification; its links, if it has any, are free.
        objective: the cost that was minimised, or that came as near to its budget as it may.
        tolerance: relative tolerance of the mass.
        domain: where it was looked for.
        certificate: whether it is proven that none is cheaper, or nearer to the budget.
        timed: latencies of reference and compressed, by the latency table; None without one.
        budgets: largest costs, by name.
        aims: whether it was to come near to the budget of the objective, and not to be the cheapest.
        front: others of the same mass between the budget, or the reference, and the cheapest, the dearest first.
        front_finished: whether the time sufficed for all of them.
    """

    __repr__ = brief

    reference: Specification
    spec: Specification
    objective: Objective
    tolerance: float
    domain: Domain
    certificate: Certificate
    timed: Timed | None = None
    budgets: dict[str, float] = field(default_factory=dict)
    aims: bool = False
    front: tuple[Specification, ...] = ()
    front_finished: bool = True

    @property
    def optimal(self) -> bool:
        """Whether it is proven that none is cheaper, or nearer to the budget (to a thousandth of it)."""
        return self.certificate.optimal or (self.aims and self.certificate.gap <= NEAR)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of an answer far from its budget, or from its reference."""
        name = NAMES[self.objective]
        own, reference = self._cost(1), self._cost(0)
        wider = wider_domain(self.reference, self.domain)
        notes = [] if self.timed is None else self.timed.notes(self.spec, self.objective)
        if own >= reference and not self.aims:
            none = f"No network of this mass in the domain is cheaper than the reference; what may help is {wider}."
            return (none, *notes)
        budget = self.budgets.get(self.objective)
        if budget is not None and own < _FAR_FROM_BUDGET * budget:
            far = f"{own / budget:.2f} × the budget of {name}"
            notes.append(
                f"The answer has {far}: nothing of this mass in the domain lies nearer; what may help is {wider}."
                if self.aims
                else f"The answer has {far}: it is the cheapest of this mass; --keep-macs aims at a share instead."
            )
        if own < _FAR_FROM_REFERENCE * reference:
            notes.append(
                f"At {own / reference:.2f} × the {name} of the reference it is far from what was trained; equal "
                "accuracy at equal mass was measured for small networks only, mostly of half the cost."
            )
        if not self.front_finished:
            notes.append("The list of networks in between was not finished in the time given.")
        return tuple(notes)

    @property
    def latency_ms(self) -> tuple[float, float] | None:
        """Estimated milliseconds of reference and compressed."""
        return None if self.timed is None else (self.timed.reference.ms, self.timed.compressed.ms)

    def _cost(self, k: int) -> float:
        """The objective's cost of the reference (0) or the answer (1)."""
        if self.objective == "latency_ms":
            assert self.latency_ms is not None
            return self.latency_ms[k]
        return float(getattr((self.reference, self.spec)[k], self.objective))

    @property
    def table(self) -> dict[str, dict[str, Any]]:
        """Structure, mass and costs of both, by name, and compressed/reference as ``ratio``."""
        rows: dict[str, dict[str, Any]] = {}
        for k, (name, spec) in enumerate((("reference", self.reference), ("compressed", self.spec))):
            costs = costs_of(spec)
            if self.timed is not None:
                costs |= (self.timed.reference, self.timed.compressed)[k].to_dict()
            rows[name] = structure(spec) | costs
        numbers = ("nn_mass", "params", "macs", *(["latency_ms"] if self.timed else []))
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
            "budgets": self.budgets,
            "aims_at_budget": self.aims,
            "front": [
                {"spec": spec.model_dump(mode="json", exclude_none=True), **costs_of(spec)} for spec in self.front
            ],
            "latency": None if self.timed is None else self.timed.to_dict(),
            "notes": list(self.notes),
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


def costs_of(spec: Specification) -> dict[str, Any]:
    """Mass, parameters and MACs by name."""
    return {"nn_mass": spec.nn_mass, "params": spec.params, "macs": spec.macs}


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

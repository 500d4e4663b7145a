"""What a design is: the best network, its alternatives, and what is known of each."""

from dataclasses import asdict, dataclass
from typing import Any

from nnmass.architectures import Specification
from nnmass.designing.solver import NAMES, Budgets, Certificate, Objective
from nnmass.designing.spaces import Space
from nnmass.errors import DomainError
from nnmass.latency import Latency
from nnmass.prediction import Comparison
from nnmass.prediction import Prediction as AccuracyPrediction
from nnmass.representation import brief


@dataclass(frozen=True)
class Candidate:
    """A network of the space.

    Attributes:
        spec: the specification, its links free where it has any.
        latency: by the latency table, with bounds; None without one.
        accuracy: predicted, by name of the quantity it is predicted from (NN-Mass, and beside it parameters and MACs);
            what lies too far outside the fitted networks is left out.
        outside: how it reaches beyond the domain of the theory and of the fit; nothing where it lies within.
        certificate: whether it is proven that none is better of those that it was chosen from; None on a front.
        possible_mass: on a front, the largest mass at its cost by the lower bounds of the table; None where that does
            not depend on latencies.
    """

    __repr__ = brief

    spec: Specification
    latency: Latency | None
    accuracy: dict[str, AccuracyPrediction]
    outside: tuple[str, ...]
    certificate: Certificate | None = None
    possible_mass: float | None = None

    @property
    def latency_ms(self) -> float | None:
        """The estimate of its latency."""
        return None if self.latency is None else self.latency.ms

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        costs = {"nn_mass": self.spec.nn_mass, "params": self.spec.params, "macs": self.spec.macs}
        return {
            "spec": self.spec.model_dump(mode="json", exclude_none=True),
            **costs,
            "flops": 2 * self.spec.macs,
            **(self.latency.to_dict() if self.latency else dict.fromkeys(Latency.names())),
            "possible_nn_mass": self.possible_mass,
            "activation_bytes": self.spec.activation_bytes,
            "accuracy": {name: prediction._asdict() for name, prediction in self.accuracy.items()} or None,
            "outside_domain": list(self.outside),
            "certificate": None if self.certificate is None else asdict(self.certificate),
        }


@dataclass(frozen=True)
class Design:
    """The best network of a space within budgets, and what is known of it.

    Attributes:
        space: where it was looked for.
        budgets: what it had to keep to, those of the fit's domain included.
        objective: what was maximised (``"mass"``) or minimised.
        best: the network.
        certificate: whether it is proven that there is no better one, and the bound.
        alternatives: the best of those unlike it, the best of those unlike both, and so on, each with its certificate.
        list_ends: why there are fewer alternatives than were asked for; nothing where there are as many.
        possible: what is better by the lower bounds of the latency table, which cannot tell whether it is; None where
            there is no such network, or latencies do not count.  Every other network is surely within the budgets.
        told: whether the time sufficed to look for it to the end.
        fit: what predicted accuracies come from; None where there are none.
    """

    __repr__ = brief

    space: Space
    budgets: Budgets
    objective: Objective
    best: Candidate
    certificate: Certificate
    alternatives: tuple[Candidate, ...] = ()
    list_ends: str = ""
    possible: Candidate | None = None
    told: bool = True
    fit: Comparison | None = None

    @property
    def spec(self) -> Specification:
        """The best network's specification."""
        return self.best.spec

    @property
    def optimal(self) -> bool:
        """Whether it is proven that no network of the space within the budgets is better."""
        return self.certificate.optimal

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "space": self.space.model_dump(mode="json", exclude_none=True),
            "budgets": {name: value for name, value in asdict(self.budgets).items() if value is not None},
            "objective": self.objective,
            "design": self.best.to_dict(),
            "certificate": asdict(self.certificate),
            "alternatives": [candidate.to_dict() for candidate in self.alternatives],
            "list_ends": self.list_ends or None,
            "possible": None if self.possible is None else self.possible.to_dict(),
            "latency_notes": list(self.latency_notes),
            "fit": None if self.fit is None else self.fit.to_dict(),
        }

    @property
    def certain(self) -> bool:
        """Whether the answer is the same whatever the blocks take within the bounds of the latency table."""
        return self.possible is None and self.told

    @property
    def latency_notes(self) -> tuple[str, ...]:
        """What the latency table cannot tell."""
        notes = []
        if self.possible is not None and self.possible.latency is not None:
            notes.append(self._left_open(self.possible, self.possible.latency))
        if not self.told:
            notes.append("what may be better by the lower bounds of the latency table was not searched to the end")
        return tuple(notes)

    def _left_open(self, possible: Candidate, latency: Latency) -> str:
        spec = possible.spec
        if self.objective == "latency_ms":
            other = "" if spec == self.spec else f"; it may be {describe(spec)}, {latency}"
            least = f"none takes less than {latency.low_ms:.2f} ms"
            return f"the latency table cannot tell which is the fastest: {least}{other}"
        value = f"NN-Mass {spec.nn_mass:,.2f}" if self.objective == "mass" else _cost_text(spec, self.objective)
        return (
            f"the latency table cannot tell whether another with {value} is within {self.budgets.max_latency_ms:g} ms: "
            f"{describe(spec)}, {latency}"
        )

    def __str__(self) -> str:
        spec = self.spec
        proven = (
            "proven optimal" if self.optimal else f"not proven: at most {self.certificate.gap:.2%} from the optimum"
        )
        latency = "" if self.best.latency is None else f", {self.best.latency}"
        lines = [
            describe(spec),
            f"NN-Mass {spec.nn_mass:,.2f}, {spec.params:,} params, {spec.macs:,} MACs{latency}",
            f"{proven}, of {self.certificate.space_size:,} networks",
        ]
        outside = (f"outside the domain: {reason}" for reason in self.best.outside)
        return "\n".join([*lines, *self.latency_notes, *outside])


def _cost_text(spec: Specification, cost: str) -> str:
    return f"{getattr(spec, cost):,} {NAMES[cost]}"


def describe(spec: Specification) -> str:
    """A specification in one line.

    Examples:
        >>> from nnmass import MobileNetV2
        >>> describe(MobileNetV2(stages=[(1, 16, 1, 1), (6, 24, 2, 2)]))
        'MobileNetV2: stages 1×16×1, 6×24×2 (expansion × channels × blocks)'
    """
    values = spec.without_links().model_dump(exclude_none=True)
    if spec.family == "MobileNetV2":
        stages = ", ".join(f"{expansion:g}×{channels}×{blocks}" for expansion, channels, blocks, _ in values["stages"])
        return f"MobileNetV2: stages {stages} (expansion × channels × blocks)"
    names = ("width", "widths", "depth", "max_skips", "block", "layers", "planes", "width_per_group", "widen_factor")
    parts = [f"{name.replace('_', ' ')} {_listed(values[name])}" for name in names if name in values]
    return f"{spec.family}: {'; '.join(parts)}"


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def require_domain(space: Space, outside_domain: bool) -> None:
    """Refuse a space that reaches beyond the domain, unless that is asked for.

    Raises:
        DomainError: it does.
    """
    reasons = space.departures()
    if reasons and not outside_domain:
        raise DomainError(
            f"the space reaches beyond what NN-Mass was shown to compare: {'; '.join(reasons)}.  Narrow it, or say so: "
            "outside_domain=True, --outside-domain"
        )

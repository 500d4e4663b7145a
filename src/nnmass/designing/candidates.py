"""What a design is: the best network, its alternatives, and what is known of each."""

from dataclasses import asdict, dataclass
from typing import Any

from nnmass.architectures import Specification
from nnmass.designing.solver import Budgets, Certificate, Objective
from nnmass.designing.spaces import Space
from nnmass.errors import DomainError
from nnmass.prediction import Prediction as AccuracyPrediction
from nnmass.representation import brief


@dataclass(frozen=True)
class Candidate:
    """A network of the space.

    Attributes:
        spec: the specification, its links free where it has any.
        latency_ms: by the latency table; None without one.
        accuracy: predicted, by name of the quantity it is predicted from (NN-Mass, and beside it parameters and MACs);
            what lies too far outside the fitted networks is left out.
        outside: how it reaches beyond the domain of the theory and of the fit; nothing where it lies within.
        certificate: whether it is proven that none is better of those that it was chosen from; None on a front.
    """

    __repr__ = brief

    spec: Specification
    latency_ms: float | None
    accuracy: dict[str, AccuracyPrediction]
    outside: tuple[str, ...]
    certificate: Certificate | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        costs = {"nn_mass": self.spec.nn_mass, "params": self.spec.params, "macs": self.spec.macs}
        return {
            "spec": self.spec.model_dump(mode="json", exclude_none=True),
            **costs,
            "flops": 2 * self.spec.macs,
            "latency_ms": self.latency_ms,
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
    """

    __repr__ = brief

    space: Space
    budgets: Budgets
    objective: Objective
    best: Candidate
    certificate: Certificate
    alternatives: tuple[Candidate, ...] = ()
    list_ends: str = ""

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
        }

    def __str__(self) -> str:
        spec = self.spec
        proven = (
            "proven optimal" if self.optimal else f"not proven: at most {self.certificate.gap:.2%} from the optimum"
        )
        latency = "" if self.best.latency_ms is None else f", {self.best.latency_ms:.2f} ms"
        lines = [
            describe(spec),
            f"NN-Mass {spec.nn_mass:,.2f}, {spec.params:,} params, {spec.macs:,} MACs{latency}",
            f"{proven}, of {self.certificate.space_size:,} networks",
        ]
        return "\n".join([*lines, *(f"outside the domain: {reason}" for reason in self.best.outside)])


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

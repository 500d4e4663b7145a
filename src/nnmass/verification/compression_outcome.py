"""Everything that compressing a network came to."""

from dataclasses import dataclass, field
from typing import Any

from nnmass.designing import Compression
from nnmass.errors import FitError
from nnmass.prediction import Comparison, Prediction
from nnmass.representation import brief
from nnmass.verification.measured_difference import MeasuredDifference


@dataclass(frozen=True)
class CompressionOutcome:
    """A compression with what was predicted and measured of it.

    Attributes:
        compression: reference and compressed specification.
        data: name of the data set; empty where there was none.
        comparison: fits on other networks; None where nothing was fitted.
        verification: both networks trained; None where they were not.
        predictions: by name (reference, compressed), the seed mean predicted from the mass.
        not_predicted: why a prediction is missing; empty otherwise.
    """

    __repr__ = brief

    compression: Compression
    data: str = ""
    comparison: Comparison | None = None
    verification: MeasuredDifference | None = None
    predictions: dict[str, Prediction] = field(init=False, default_factory=dict)
    not_predicted: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if self.comparison is None:
            object.__setattr__(self, "not_predicted", "no networks were fitted")
            return
        for name, spec in (("reference", self.compression.reference), ("compressed", self.compression.spec)):
            try:
                self.predictions[name] = self.comparison.predict(spec)
            except FitError as error:
                object.__setattr__(self, "not_predicted", str(error))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **self.compression.to_dict(),
            "data": self.data or None,
            "prediction": {name: p._asdict() for name, p in self.predictions.items()} or None,
            "not_predicted": self.not_predicted or None,
            "fit": self.comparison.to_dict() if self.comparison else None,
            "verification": self.verification.to_dict() if self.verification else None,
        }

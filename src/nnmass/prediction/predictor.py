"""Accuracy from NN-Mass: a straight line in the logarithm, with intervals that follow the scatter along it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from nnmass.errors import ExtrapolationError, FitError, InvalidValueError
from nnmass.prediction.scatter import Scatter, bend, curvature
from nnmass.representation import brief

FloatArray = npt.NDArray[np.float64]

_REACH = 0.25
"""How far beyond the fitted range a prediction may lie, as a share of that range's extent in the logarithm."""
_SURE = 0.05
_NAMES = {"nn_mass": "NN-Mass", "macs": "MACs"}


class Prediction(NamedTuple):
    """A predicted accuracy with its prediction interval; numbers, or arrays of one shape."""

    mean: Any
    low: Any
    high: Any


@dataclass(frozen=True)
class LogFit:
    """Least-squares line of accuracy on the logarithm of a positive quantity.

    Attributes:
        quantity: its name, e.g. ``"nn_mass"``.
        slope: accuracy per unit of ln(quantity).
        intercept: accuracy where the quantity is 1.
        r2: share of the variance that the line explains.
        loo_error: root mean square error of predicting each point from all others, in units of the accuracy.
        residual_std: standard deviation around the line, with n-2 degrees of freedom.
        n: points.
        range: smallest and largest value that was fitted.
        outcome: what was fitted, for messages.
        bounded: whether it is an accuracy as a share: then a prediction lies in [0, 1].
        curvature: probability of points as far from a line as these, in favour of a parabola, if a line does describe
            them; None for fewer than five, or where they lie on a line.
        bend: by how much the least-squares parabola departs from the line, as coefficients of 1, u and u² at the
            positions u of `scatter`.
        scatter: around the line.
    """

    __repr__ = brief

    quantity: str
    slope: float
    intercept: float
    r2: float
    loo_error: float
    residual_std: float
    n: int
    range: tuple[float, float]
    outcome: str
    bounded: bool
    curvature: float | None
    bend: tuple[float, float, float] = field(repr=False)
    scatter: Scatter = field(repr=False)

    @classmethod
    def fit(
        cls,
        values: npt.ArrayLike,
        accuracy: npt.ArrayLike,
        *,
        noise: npt.ArrayLike = 0.0,
        quantity: str = "nn_mass",
        outcome: str = "accuracy",
    ) -> Self:
        """Fit accuracy = intercept + slope · ln(quantity).

        Args:
            values: (n,) positive and not all equal; n >= 3.
            accuracy: (n,) measured accuracies, as shares; give seed means to predict a seed mean.
            noise: (n,) or one for all: what of the variance of each accuracy is known, as that of a mean over seeds.
                Where it differs, intervals take the scatter of the quiet ones for less than that of the noisy ones, and
                speak of a network of average noise.
            quantity: what the values are, for messages.
            outcome: what is fitted where it is not accuracy, for messages.

        Raises:
            FitError: fewer than three points, unequal lengths, values that are not positive or all equal but for
                one, accuracies that are all equal, NaN, a noise below 0.
        """
        raw, y = _checked(values, accuracy, quantity, outcome)
        x, known = np.log(raw), _checked_noise(noise, y)
        centre, spread = float(x.mean()), float(((x - x.mean()) ** 2).sum())
        slope = float(((x - centre) * (y - y.mean())).sum() / spread)
        residuals = y - y.mean() - slope * (x - centre)
        total = float(((y - y.mean()) ** 2).sum())
        leverage = 1 / len(x) + (x - centre) ** 2 / spread
        loo = residuals / (1 - leverage)
        return cls(
            quantity=quantity,
            slope=slope,
            intercept=float(y.mean() - slope * centre),
            r2=1 - float((residuals**2).sum()) / total,
            loo_error=float(np.sqrt((loo**2).mean())),
            residual_std=math.sqrt(float((residuals**2).sum()) / (len(x) - 2)),
            n=len(x),
            range=(float(raw.min()), float(raw.max())),
            outcome=outcome,
            bounded=outcome == "accuracy" and bool(y.min() >= 0 and y.max() <= 1),
            curvature=curvature(x, y, known),
            bend=bend(x, y),
            scatter=Scatter.around_line(x, y, known),
        )

    @property
    def misfit(self) -> str:
        """What speaks against a line through these networks, in a sentence; empty where nothing does."""
        if self.curvature is None or self.curvature >= _SURE:
            return ""
        name = _NAMES.get(self.quantity, self.quantity)
        return (
            f"a straight line in log {name} does not describe these {self.n} networks: a curve fits them "
            f"better (p = {self.curvature:.2g}); predictions from the line are off in the middle and at the ends, and "
            "their intervals widened by the distance of a parabola"
        )

    def line(self, value: npt.ArrayLike) -> Any:
        """The line at a value, or an array of values, wherever it leads.

        Raises:
            InvalidValueError: a value that is not positive.
        """
        return self.intercept + self.slope * self._logarithm(value)

    def predict(self, value: npt.ArrayLike, *, level: float = 0.95, extrapolate: bool = False) -> Prediction:
        """Predict the accuracy of a new network, with the interval that holds it with probability ``level``.

        The interval counts the scatter around the line, which may grow or fall along it (`Scatter`), and how uncertain
        the line is; where a curve describes the networks better, it is wider by the distance of that
        curve.  It speaks of what was fitted: of seed means, if those were given.  Accuracies and their intervals end at
        0 and 1.

        Args:
            value: the quantity, a number or an array.
            level: between 0 and 1.
            extrapolate: predict any distance beyond the fitted range.

        Raises:
            ExtrapolationError: further beyond the fitted range than a quarter of its extent in the logarithm, or where
                the line has left what an accuracy can be.
            InvalidValueError: a value that is not positive, a level outside (0, 1).
        """
        if not 0 < level < 1:
            raise InvalidValueError(f"level must lie between 0 and 1, got {level}")
        x = self._logarithm(value)
        if not extrapolate:
            self._refuse_far(np.exp(x))
        found = self.band(value, level=level)
        if self.bounded:
            self._refuse_impossible(np.exp(x), np.asarray(found.low), np.asarray(found.high))
        return found

    def band(self, value: npt.ArrayLike, *, level: float = 0.95) -> Prediction:
        """The same as `predict` for drawing: nothing is too far, and beyond 0 and 1 an accuracy stays there."""
        x = self._logarithm(value)
        mean, half = self.intercept + self.slope * x, self.scatter.half_widths(x, level)
        if self.misfit:
            half = half + np.abs(np.polynomial.polynomial.polyval(self.scatter.position(x), self.bend))
        parts = [np.clip(part, 0, 1) if self.bounded else part for part in (mean, mean - half, mean + half)]
        return Prediction(*(part.item() if part.ndim == 0 else part for part in map(np.asarray, parts)))

    def _logarithm(self, value: npt.ArrayLike) -> FloatArray:
        try:
            array = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            raise InvalidValueError(
                f"a fit predicts from {self.quantity}, a number or an array of numbers, got {type(value).__name__}"
            ) from None
        usable = np.isfinite(array) & (array > 0)
        if not usable.all():
            wrong = array[~usable].flat[0]
            raise InvalidValueError(f"{self.quantity} must be positive to predict from its logarithm, got {wrong:g}")
        return np.asarray(np.log(array))

    def reach(self) -> tuple[float, float]:
        """Smallest and largest value that is predicted without ``extrapolate``."""
        low, high = np.log(self.range)
        margin = _REACH * (high - low)
        return float(np.exp(low - margin)), float(np.exp(high + margin))

    def _refuse_far(self, values: FloatArray) -> None:
        low, high = self.reach()
        outside = values[(values < low) | (values > high)]
        if outside.size:
            raise ExtrapolationError(
                f"{self.quantity} {outside.flat[0]:g} lies too far outside the {self.n} fitted networks "
                f"({self.range[0]:g} ... {self.range[1]:g}; {low:g} ... {high:g} is predicted); fit networks like it, "
                "or ask for extrapolation"
            )

    def _refuse_impossible(self, values: FloatArray, low: FloatArray, high: FloatArray) -> None:
        beyond = values[np.minimum(high, 1 - low) <= 0]
        if beyond.size:
            value = float(beyond.flat[0])
            raise ExtrapolationError(
                f"at {self.quantity} {value:g} the line through the {self.n} fitted networks is at "
                f"{100 * self.line(value):.0f} %, its interval beyond what an accuracy can be: it does not hold there"
            )


class MassPredictor(LogFit):
    """Accuracy of networks trained alike as a line in log NN-Mass (arXiv:1910.00780, section 4.3).

    Examples:
        >>> fit = MassPredictor.fit([10, 20, 40, 80], [0.80, 0.85, 0.89, 0.95])
        >>> round(fit.r2, 3), round(fit.predict(30).mean, 3)
        (0.994, 0.877)
    """

    __repr__ = brief


def _checked(
    values: npt.ArrayLike, accuracy: npt.ArrayLike, quantity: str, outcome: str
) -> tuple[FloatArray, FloatArray]:
    x, y = np.asarray(values, np.float64), np.asarray(accuracy, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise FitError(f"a fit needs one {outcome} per {quantity}, got shapes {x.shape} and {y.shape}")
    if len(x) < 3:
        raise FitError(f"a fit needs at least 3 networks, got {len(x)}")
    if not np.isfinite(x).all() or not np.isfinite(y).all():
        raise FitError(f"a fit needs finite numbers, got NaN or infinity in {quantity} or {outcome}")
    if (x <= 0).any():
        raise FitError(f"{quantity} must be positive to fit its logarithm, got {x.min():g}")
    different = np.unique(np.log(x), return_counts=True)[1]
    if len(different) == 1:
        raise FitError(f"all {len(x)} networks have the same {quantity}, {x[0]:g}: there is no line to fit")
    if len(different) == 2 and different.min() == 1:
        raise FitError(f"all {len(x)} networks but one have the same {quantity}: without it there is no line to fit")
    if np.ptp(y) == 0:
        raise FitError(f"all {len(y)} networks have the same {outcome}, {y[0]:g}: there is nothing to explain")
    return x, y


def _checked_noise(noise: npt.ArrayLike, y: FloatArray) -> FloatArray:
    known = np.asarray(noise, np.float64)
    if known.shape not in ((), y.shape):
        raise FitError(f"a fit needs one noise, or one per network, got shape {known.shape} for {len(y)} networks")
    if not (np.isfinite(known) & (known >= 0)).all():
        raise FitError("the noise of a network is a variance of at least 0")
    return np.broadcast_to(known, y.shape)

"""What explains measured isometry: fits on mass and its rivals, gaps between depths at equal mass, and theory."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmass.experiments.isometry_rows import IsometryRow
from nnmass.representation import brief

FloatArray = npt.NDArray[np.float64]

EXPLAINING = ("nn_mass", "degree", "density", "params", "macs")
MEASURED = ("mean", "all_mean")
_RESAMPLES = 1_000


@dataclass(frozen=True)
class CurveFit:
    """Least-squares curves of the mean singular value in the logarithm of one quantity.

    Attributes:
        line_r2: R² of a straight line.
        cubic_r2: R² of a cubic.
        cubic_r2_interval: its 95 % percentile bootstrap over networks.
        left_out_depth_error: root mean square error of predicting each depth by the other depths' cubic, relative to
            the mean of what is predicted.
    """

    line_r2: float
    cubic_r2: float
    cubic_r2_interval: tuple[float, float]
    left_out_depth_error: float


@dataclass(frozen=True)
class TheoryError:
    """Relative errors of predicted mean singular values.

    Attributes:
        mean: average of the absolute errors.
        largest: of the absolute errors.
        bias: average of the signed errors.
    """

    mean: float
    largest: float
    bias: float


@dataclass(frozen=True)
class Condition:
    """All networks under one initialisation and activation.

    Attributes:
        name: both.
        rows: the networks.
        fits: by measured figure (hidden layers: ``"mean"``, all layers: ``"all_mean"``) and quantity.
        gaps: by measured figure and mass, the largest difference between depths, relative to their mean.
        theory: by measured figure.
        short_form: of the paper's short form, for the hidden layers.
    """

    __repr__ = brief

    name: str
    rows: tuple[IsometryRow, ...]
    fits: dict[str, dict[str, CurveFit]] = field(init=False)
    gaps: dict[str, dict[float, float]] = field(init=False)
    theory: dict[str, TheoryError] = field(init=False)
    short_form: TheoryError = field(init=False)

    def __post_init__(self) -> None:
        theory = {"mean": "expected", "all_mean": "all_expected"}
        values: dict[str, Any] = {
            "fits": {measured: _fits(self.rows, measured) for measured in MEASURED},
            "gaps": {measured: equal_mass_gaps(self.rows, measured) for measured in MEASURED},
            "theory": {measured: _theory_error(self.rows, measured, theory[measured]) for measured in MEASURED},
            "short_form": _theory_error(self.rows, "mean", "short_form"),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "networks": len(self.rows),
            "largest_relative_standard_error": max(row.standard_error / row.mean for row in self.rows),
            "fits": {m: {q: asdict(fit) for q, fit in fits.items()} for m, fits in self.fits.items()},
            "equal_mass_gaps": {m: {f"{mass:g}": gap for mass, gap in gaps.items()} for m, gaps in self.gaps.items()},
            "theory_error": {measured: asdict(error) for measured, error in self.theory.items()},
            "short_form_error": asdict(self.short_form),
        }


def conditions(rows: Sequence[IsometryRow]) -> list[Condition]:
    """Group rows by initialisation and activation."""
    names = [f"{row.init}, {row.activation}" for row in rows]
    return [
        Condition(name, tuple(row for row, its in zip(rows, names, strict=True) if its == name))
        for name in dict.fromkeys(names)
    ]


def fit_curve(x: FloatArray, y: FloatArray, groups: Sequence[Any], *, seed: int = 0) -> CurveFit:
    """Fit a line and a cubic.

    Args:
        x: (n,) logarithms.
        y: (n,) mean singular values.
        groups: what is left out together.
        seed: of the bootstrap.
    """
    basis = np.polynomial.chebyshev.chebvander(2 * (x - x.min()) / (x.max() - x.min()) - 1, 3)
    generator = np.random.default_rng(seed)
    picks = generator.integers(len(x), size=(_RESAMPLES, len(x)))
    resampled = [_r2(basis[pick], y[pick]) for pick in picks]
    low, high = np.quantile(resampled, [0.025, 0.975])
    squares = []
    for group in dict.fromkeys(groups):
        out = np.array([other == group for other in groups])
        coefficients = np.linalg.lstsq(basis[~out], y[~out])[0]
        squares.append(np.mean((basis[out] @ coefficients - y[out]) ** 2))
    return CurveFit(
        line_r2=_r2(basis[:, :2], y),
        cubic_r2=_r2(basis, y),
        cubic_r2_interval=(float(low), float(high)),
        left_out_depth_error=float(np.sqrt(np.mean(squares)) / y.mean()),
    )


def equal_mass_gaps(rows: Sequence[IsometryRow], measured: str, count: int = 4) -> dict[float, float]:
    """Largest difference between depths at equal mass, relative to their mean.

    Each depth's values are interpolated linearly in the logarithm of the mass, at masses spread over the range that
    all depths share.
    """
    curves = []
    for depth in sorted({row.depth for row in rows}):
        members = sorted((row for row in rows if row.depth == depth), key=lambda row: row.nn_mass)
        curves.append(np.array([[np.log(row.nn_mass), getattr(row, measured)] for row in members]).T)
    low, high = max(curve[0, 0] for curve in curves), min(curve[0, -1] for curve in curves)
    gaps = {}
    for x in np.linspace(low, high, count):
        values = [float(np.interp(x, *curve)) for curve in curves]
        gaps[float(np.exp(x))] = float(np.ptp(values) / np.mean(values))
    return gaps


def _fits(rows: Sequence[IsometryRow], measured: str) -> dict[str, CurveFit]:
    y = np.array([getattr(row, measured) for row in rows])
    depths = [row.depth for row in rows]
    return {name: fit_curve(np.log([getattr(row, name) for row in rows]), y, depths) for name in EXPLAINING}


def _r2(basis: FloatArray, y: FloatArray) -> float:
    residuals = y - basis @ np.linalg.lstsq(basis, y)[0]
    total = float(((y - y.mean()) ** 2).sum())
    return 1 - float((residuals**2).sum()) / total if total else 0.0


def _theory_error(rows: Sequence[IsometryRow], measured: str, expected: str) -> TheoryError:
    errors = np.array([getattr(row, expected) / getattr(row, measured) - 1 for row in rows])
    return TheoryError(float(np.abs(errors).mean()), float(np.abs(errors).max()), float(errors.mean()))

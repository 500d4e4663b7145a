"""Tables as columns and rows of text, for the terminal and for pages."""

from collections.abc import Sequence
from typing import TypeAlias

from nnmass.prediction import Comparison

TextTable: TypeAlias = tuple[Sequence[str], Sequence[Sequence[str]]]

QUANTITY_NAMES = {"nn_mass": "log NN-Mass", "params": "log params", "macs": "log MACs"}


def comparison_rows(comparison: Comparison) -> TextTable:
    """R², how far it is behind that of NN-Mass, and prediction errors in percentage points, for each quantity."""
    columns = ("accuracy on", "R² [95 %]", "behind NN-Mass", "one out", "depth out", "n")
    rows = []
    for quantity, fit in comparison.fits.items():
        group = f"{100 * fit.group_error:.2f}" if fit.group_error is not None else "–"
        rows.append(
            (
                QUANTITY_NAMES[quantity],
                _with_interval(fit.fit.r2, fit.r2_interval),
                _with_interval(fit.r2_lead, fit.r2_lead_interval) if quantity != "nn_mass" else "",
                f"{100 * fit.fit.loo_error:.2f}",
                group,
                str(fit.fit.n),
            )
        )
    return columns, rows


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"

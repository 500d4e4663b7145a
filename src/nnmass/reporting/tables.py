"""Tables as columns and rows of text, for the terminal and for pages."""

from collections.abc import Sequence
from typing import TypeAlias

from nnmass.prediction import Comparison

TextTable: TypeAlias = tuple[Sequence[str], Sequence[Sequence[str]]]

QUANTITY_NAMES = {"nn_mass": "log NN-Mass", "params": "log params", "macs": "log MACs"}


def comparison_rows(comparison: Comparison) -> TextTable:
    """R², its interval and both prediction errors of each quantity; errors in percentage points of accuracy."""
    columns = ("accuracy on", "R²", "95 % interval", "leave-one-out error", "left-out-depth error", "n")
    rows = []
    for quantity, fit in comparison.fits.items():
        low, high = fit.r2_interval
        group = f"{100 * fit.group_error:.2f}" if fit.group_error is not None else "–"
        rows.append(
            (
                QUANTITY_NAMES[quantity],
                f"{fit.fit.r2:.3f}",
                f"{low:.2f} … {high:.2f}",
                f"{100 * fit.fit.loo_error:.2f}",
                group,
                str(fit.fit.n),
            )
        )
    return columns, rows

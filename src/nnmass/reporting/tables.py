"""Tables as columns and rows of text, for the terminal and for pages."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from nnmass.prediction import Comparison, Network

if TYPE_CHECKING:
    from nnmass.experiments import Pair

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


def comparison_notes(comparison: Comparison) -> list[str]:
    """What the fits hold for, what they leave out, and where a line does not describe the networks."""
    lines = []
    if comparison.kind is not None:
        varied = f"; {', '.join(comparison.kind.varied).replace('_', ' ')} vary" if comparison.kind.varied else ""
        lines.append(f"Holds for {comparison.kind}{varied}; trained with {comparison.kind.trained}.")
    if comparison.left_out:
        lines.append(f"{comparison.left_out} networks of NN-Mass 0 are in no fit: they have no logarithm.")
    misfit = comparison.mass.misfit
    if misfit:
        lines.append(f"{misfit[0].upper()}{misfit[1:]}.")
    others = [QUANTITY_NAMES[name] for name, fit in comparison.fits.items() if name != "nn_mass" and fit.fit.misfit]
    if others:
        lines.append(
            f"A curve fits them better than a straight line in {' or in '.join(others)}{', too' * bool(misfit)}."
        )
    return lines


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"


def equal_mass_rows(pairs: "Sequence[Pair]", *, most: int = 10) -> TextTable:
    """Pairs of networks of equal mass: depth, costs and accuracies of the cheap and of the dear one."""
    columns = ("depth", "NN-Mass", "params", "MACs", "accuracy", "against depth", "params", "MACs", "accuracy")
    rows = []
    for pair in pairs[:most]:
        cheap, dear = _described(pair.cheap), _described(pair.dear)
        rows.append((cheap[0], f"{pair.cheap.nn_mass:,.1f}", *cheap[1:], *dear))
    return columns, rows


def _described(network: Network) -> tuple[str, str, str, str]:
    accuracy = f"{100 * network.accuracy:.2f} ± {100 * network.accuracy_std:.2f} %"
    return str(network.group), f"{network.params:,}", f"{network.macs:,}", accuracy

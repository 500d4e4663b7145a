"""Picture and tables of mean singular values against mass."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from nnmass.experiments import EXPLAINING, Condition, IsometryExperiment, IsometryRow
from nnmass.reporting.style import COLOURS, MARKERS, figure, plain_log_ticks
from nnmass.reporting.tables import TextTable

_NAMES = {"nn_mass": "NN-Mass", "degree": "degree", "density": "density", "params": "params", "macs": "MACs"}
_MEASURED = {"mean": "hidden", "all_mean": "all"}
_DRAWN = 3
_INITS = {"default": "PyTorch's default weights", "he": "He weights", "glorot": "Glorot weights"}
_ACTIVATIONS = {"linear": "no activation", "elu": "ELU", "relu": "ReLU", "selu": "SELU"}
_ABOUT = "How layers scale gradients at initialisation; 1 keeps them.  Dots: measured; lines: theory, without data."


def isometry_figure(outcome: IsometryExperiment, *, title: str) -> Figure:
    """Draw the mean singular value of the hidden layers against NN-Mass, and below against parameters.

    One column per condition, the first three of them; a colour per depth; lines: what theory expects.

    Args:
        outcome: what was measured.
        title: over all panels.
    """
    shown = outcome.conditions[:_DRAWN]
    with figure(1.2 + 3.7 * len(shown), 6.4) as drawn:
        panels: Any = drawn.subplots(2, len(shown), squeeze=False, sharey="col")
        for column, condition in zip(panels.T, shown, strict=True):
            for axes, quantity in zip(column, ("nn_mass", "params"), strict=True):
                _panel(axes, condition, quantity)
            column[0].set_title(f"{_words(condition.name)}\n{_r2(condition, 'nn_mass')}")
            column[1].set_title(_r2(condition, "params"))
        for axes in panels[:, 0]:
            axes.set_ylabel("mean singular value, hidden layers")
        panels[0, 0].legend(fontsize=8, handletextpad=0.4, ncols=2)
        drawn.suptitle(f"{title}\n{_ABOUT}", x=0.01, ha="left", fontsize=11)
        return drawn


def isometry_fit_rows(outcome: IsometryExperiment) -> TextTable:
    """R² of a cubic in the logarithm of each quantity, per condition and measured figure."""
    columns = ("R² of a cubic in log", "layers", *_NAMES.values(), "n")
    rows = [
        (
            condition.name,
            _MEASURED[measured],
            *(f"{fits[quantity].cubic_r2:.3f}" for quantity in EXPLAINING),
            str(len(condition.rows)),
        )
        for condition in outcome.conditions
        for measured, fits in condition.fits.items()
    ]
    return columns, rows


def isometry_gap_rows(outcome: IsometryExperiment) -> TextTable:
    """Largest difference between depths at equal mass, and how far theory is off, per condition."""
    columns = ("", "layers", "depths differ at equal mass", "theory off by, mean", "largest", "short form off by")
    rows = []
    for condition in outcome.conditions:
        for measured, gaps in condition.gaps.items():
            theory = condition.theory[measured]
            short = f"{condition.short_form.mean:.1%}" if measured == "mean" else ""
            rows.append(
                (
                    condition.name,
                    _MEASURED[measured],
                    ", ".join(f"{gap:.1%}" for gap in gaps.values()),
                    f"{theory.mean:.2%}",
                    f"{theory.largest:.1%}",
                    short,
                )
            )
    return columns, rows


def _words(name: str) -> str:
    """A condition's name for those who do not know ours."""
    init, activation = name.split(", ")
    kind, _, std = init.partition(":")
    weights = f"Gaussian weights, std {std}" if kind == "gaussian" else _INITS.get(init, f"{init} weights")
    return f"{weights}; {_ACTIVATIONS.get(activation, activation)}"


def _r2(condition: Condition, quantity: str) -> str:
    fit = condition.fits["mean"][quantity]
    low, high = fit.cubic_r2_interval
    return f"R² of a cubic {fit.cubic_r2:.3f} [{low:.3f}, {high:.3f}]"


def _panel(axes: Any, condition: Condition, quantity: str) -> None:
    for i, depth in enumerate(sorted({row.depth for row in condition.rows})):
        members = sorted((row for row in condition.rows if row.depth == depth), key=lambda row: row.nn_mass)
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        x = _values(members, quantity)
        axes.plot(x, _values(members, "expected"), "-", color=colour, linewidth=1, alpha=0.8)
        axes.errorbar(
            x,
            _values(members, "mean"),
            _values(members, "standard_error"),
            fmt=marker,
            color=colour,
            markersize=4.5,
            linewidth=1,
            label=f"depth {depth}",
        )
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis)
    axes.set_xlabel({"nn_mass": "NN-Mass", "params": "parameters"}[quantity])


def _values(rows: Sequence[IsometryRow], name: str) -> list[float]:
    return [float(getattr(row, name)) for row in rows]

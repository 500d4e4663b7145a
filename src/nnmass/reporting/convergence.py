"""Picture and tables of training losses at equal mass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nnmass.experiments import MEASURES, Convergence, LossCurve
from nnmass.prediction import QUANTITIES, LogFit
from nnmass.reporting.style import COLOURS, MARKERS, QUANTITY_LABELS, figure, plain_log_ticks
from nnmass.reporting.tables import QUANTITY_NAMES, TextTable

MEASURE_NAMES = {"mean_loss": "all epochs", "final_loss": "last epoch"}

_ABOVE = "Each panel: networks of nearly equal NN-Mass; band: ±1 sd over seeds"
_BELOW = "The same networks, loss averaged over epochs; bar: ±1 sd over seeds; line and R² [95 %] in logarithms"


def convergence_figure(outcome: Convergence, *, title: str) -> Figure:
    """Draw the curves, one panel per mass, and below them what explains the mean loss.

    Above: the training loss by epoch, a line per depth with a band of ±1 sd over seeds.  Below: each network's loss,
    averaged over all epochs and seeds, against NN-Mass, parameters and MACs, with the R² of a line in logarithms.

    Args:
        outcome: what was measured.
        title: over all panels.
    """
    masses = sorted({curve.target_mass for curve in outcome.curves})
    depths = sorted({curve.depth for curve in outcome.curves})
    with figure(12.0, 7.8) as drawn:
        halves: Any = drawn.subfigures(2, 1, height_ratios=(1.1, 1))
        above, below = halves
        above.suptitle(f"{title}\n{_ABOVE}", x=0.01, ha="left", fontsize=11)
        below.suptitle(_BELOW, x=0.01, ha="left", fontsize=11)
        panels = above.subplots(1, len(masses), sharey=True, squeeze=False)[0]
        for axes, mass in zip(panels, masses, strict=True):
            _curves(axes, [curve for curve in outcome.curves if curve.target_mass == mass], depths)
            axes.set_title(f"NN-Mass {mass}")
        panels[0].set_ylabel("training loss (mean of seeds)")
        panels = below.subplots(1, len(QUANTITIES), sharey=True)
        for axes, quantity in zip(panels, QUANTITIES, strict=True):
            fit = outcome.fits["mean_loss"][quantity]
            _points(axes, outcome.curves, quantity, depths)
            _line(axes, fit.fit)
            axes.set_title(f"R² {fit.fit.r2:.2f}  [{fit.r2_interval[0]:.2f}, {fit.r2_interval[1]:.2f}]")
        panels[0].set_ylabel("training loss, mean over epochs")
        panels[0].legend(loc="best", fontsize=8, handletextpad=0.2)
        return drawn


def convergence_rows(outcome: Convergence) -> TextTable:
    """Spreads of the loss between depths at equal mass, and for scale between masses at equal depth.

    Beside each stand the standard error of one seed mean, and the spread that seeds alone exceed in one of 20 cases.
    """
    columns = ("at equal", "training loss", "lowest", "highest", "spread", "se of a mean", "seeds alone")
    rows = []
    for label, groups in (("NN-Mass", outcome.at_equal_mass), ("depth", outcome.at_equal_depth)):
        for group, spreads in groups.items():
            for measure in MEASURES:
                found = spreads[measure]
                values = (found.lowest, found.highest, found.spread, found.standard_error, found.noise_95)
                rows.append((f"{label} {group}", MEASURE_NAMES[measure], *(f"{value:.3f}" for value in values)))
    return columns, rows


def convergence_fit_rows(outcome: Convergence) -> TextTable:
    """How well mass, parameters and MACs explain the loss, with relative errors, all in logarithms."""
    columns = ("log loss on", "training loss", "R² [95 %]", "behind NN-Mass", "one out", "depth out", "n")
    rows = []
    for measure in MEASURES:
        for quantity, fit in outcome.fits[measure].items():
            low, high = fit.r2_interval
            least, most = fit.r2_lead_interval
            rows.append(
                (
                    QUANTITY_NAMES[quantity],
                    MEASURE_NAMES[measure],
                    f"{fit.fit.r2:.2f} [{low:.2f}, {high:.2f}]",
                    f"{fit.r2_lead:.2f} [{least:.2f}, {most:.2f}]" if quantity != "nn_mass" else "",
                    f"{100 * fit.fit.loo_error:.1f} %",
                    f"{100 * fit.group_error:.1f} %" if fit.group_error is not None else "–",
                    str(fit.fit.n),
                )
            )
    return columns, rows


def _curves(axes: Any, curves: Sequence[LossCurve], depths: Sequence[int]) -> None:
    for curve in curves:
        i = depths.index(curve.depth)
        colour, mean, std = COLOURS[i % len(COLOURS)], np.array(curve.mean), np.array(curve.std)
        epochs = np.arange(1, len(mean) + 1)
        axes.plot(
            epochs,
            mean,
            MARKERS[i % len(MARKERS)] + "-",
            color=colour,
            markersize=4,
            linewidth=1.4,
            label=f"depth {curve.depth}, {curve.spec.params:,} params",
        )
        axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.1, linewidth=0)
    axes.set_yscale("log")
    plain_log_ticks(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.legend(loc="best", fontsize=8)


def _line(axes: Any, fit: LogFit) -> None:
    x = np.geomspace(*fit.range, 50)
    axes.plot(x, np.exp(fit.line(x)), color="black", linewidth=1.2, zorder=1)


def _points(axes: Any, curves: Sequence[LossCurve], quantity: str, depths: Sequence[int]) -> None:
    for i, depth in enumerate(depths):
        members = [curve for curve in curves if curve.depth == depth]
        axes.errorbar(
            [getattr(curve.spec, quantity) for curve in members],
            [np.mean(curve.mean_loss) for curve in members],
            [np.std(curve.mean_loss, ddof=1) for curve in members],
            fmt=MARKERS[i % len(MARKERS)],
            color=COLOURS[i % len(COLOURS)],
            markersize=6,
            alpha=0.85,
            elinewidth=0.8,
            label=f"depth {depth}",
        )
    for scale, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
        scale("log")
        plain_log_ticks(axis)
    axes.set_xlabel(QUANTITY_LABELS[quantity])

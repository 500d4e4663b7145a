"""Pictures of accuracy against mass, parameters and MACs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from nnmass.prediction import Comparison, LogFit, Network
from nnmass.reporting.style import COLOURS, MARKERS, QUANTITY_LABELS, figure, plain_log_ticks


@dataclass(frozen=True)
class Mark:
    """A network marked in a picture.

    Attributes:
        label: its name.
        network: its mass, costs and measured accuracy.
        colour: of the mark.
    """

    label: str
    network: Network
    colour: str


def accuracy_figure(
    comparison: Comparison,
    *,
    title: str,
    quantities: Sequence[str] = ("nn_mass", "params", "macs"),
    group: str = "depth",
) -> Figure:
    """Mean accuracy of every network against each quantity, with the line fitted to it and its R².

    A line is dashed, and its panel says so, where a curve fits the networks better.

    Args:
        comparison: the fits.
        title: over all panels.
        quantities: one panel each.
        group: what the networks' groups are, for the legend.
    """
    with figure(2.2 + 3.4 * len(quantities), 3.7) as drawn:
        panels = drawn.subplots(1, len(quantities), sharey=True, squeeze=False)[0]
        for axes, quantity in zip(panels, quantities, strict=True):
            fit = comparison.fits[quantity]
            _networks(axes, comparison.networks, quantity, group)
            _line(axes, fit.fit, band=False)
            low, high = fit.r2_interval
            axes.set_title(f"R² {fit.fit.r2:.2f}  [{low:.2f}, {high:.2f}]{_curved(fit.fit)}")
        panels[0].set_ylabel("test accuracy (mean of seeds)")
        handles, labels = panels[-1].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside right center", fontsize=8, handletextpad=0.2)
        drawn.suptitle(title, x=0.01, ha="left", fontsize=11)
        return drawn


def marked_figure(comparison: Comparison, marks: Sequence[Mark], *, title: str, predicted: bool = True) -> Figure:
    """Accuracy against mass with the fitted line, its 95 % band, and marked networks with ±1 sd over their seeds."""
    with figure(7.0, 4.2) as drawn:
        axes = drawn.subplots()
        _networks(axes, comparison.networks, "nn_mass", "depth", faint=True)
        _line(axes, comparison.mass, band=True, beyond=[mark.network.nn_mass for mark in marks])
        for mark, marker in zip(marks, "*X", strict=False):
            network = mark.network
            axes.errorbar(
                network.nn_mass,
                network.accuracy,
                network.accuracy_std,
                fmt=marker,
                markersize=13,
                capsize=4,
                color=mark.colour,
                markeredgecolor="white",
                label=f"{mark.label}: {network.macs:,} MACs",
                zorder=5,
            )
        axes.set_title(title)
        axes.set_ylabel("test accuracy (mean of seeds)")
        axes.legend(loc="lower right", fontsize=8)
        return drawn


def _networks(axes: Any, networks: Sequence[Network], quantity: str, group: str, *, faint: bool = False) -> None:
    groups = sorted({network.group for network in networks}, key=lambda g: (len(str(g)), str(g)))
    for i, name in enumerate(groups):
        members = [network for network in networks if network.group == name]
        axes.plot(
            [getattr(network, quantity) for network in members],
            [network.accuracy for network in members],
            MARKERS[i % len(MARKERS)],
            color="#9a9a9a" if faint else COLOURS[i % len(COLOURS)],
            alpha=0.5 if faint else 0.85,
            markersize=5,
            label=f"{group} {name}" + (" (fitted)" if faint else ""),
        )
    axes.set_xscale("log")
    axes.set_xlabel(QUANTITY_LABELS[quantity])
    plain_log_ticks(axes.xaxis)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))


def _line(axes: Any, fit: LogFit, *, band: bool, beyond: Sequence[float] = ()) -> None:
    """The fitted line, dashed where a curve fits better, and perhaps its band."""
    x = np.geomspace(min([fit.range[0], *beyond]), max([fit.range[1], *beyond]), 100)
    drawn, style = fit.band(x), "dashed" if fit.misfit else "solid"
    label = f"line in log NN-Mass{_curved(fit)}" if band else None
    axes.plot(x, drawn.mean, color="black", linewidth=1.2, linestyle=style, zorder=3, label=label)
    if band:
        axes.fill_between(
            x, drawn.low, drawn.high, color="#0072b2", alpha=0.12, linewidth=0, label="95 % for a new network"
        )


def _curved(fit: LogFit) -> str:
    """What a picture says of a line that does not describe its networks."""
    if not fit.misfit:
        return ""
    assert fit.curvature is not None
    return "\na curve fits better (p " + (f"= {fit.curvature:.3f})" if fit.curvature >= 0.001 else "< 0.001)")

"""Picture and tables of published accuracies against mass, parameters and MACs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from nnmass.experiments import ImagenetPublished, PublishedGroup, PublishedRow
from nnmass.prediction import MEASURES, QUANTITIES, Estimate, Ranking
from nnmass.reporting.style import COLOURS, MARKERS, QUANTITY_LABELS, figure
from nnmass.reporting.tables import TextTable
from nnmass.verification import with_interval

MEASURE_NAMES = {"spearman": "Spearman", "kendall": "Kendall", "r2": "R²"}
_SHORT = {"nn_mass": "NN-Mass", "params": "params", "macs": "MACs"}
_POOLED = "all groups"
_ABOUT = "Every dot is a published model, beside others trained in the same way; marks of the groups as below."


def imagenet_figure(outcome: ImagenetPublished, *, title: str) -> Figure:
    """Draw accuracies against each quantity inside groups, and how far mass leads its rivals, group by group.

    Above, every model stands relative to the mean of its group.  Below, the rank correlation with mass minus that with
    the rival; then the differences of pairs that are equal in one quantity and far apart in others.

    Args:
        outcome: what was ranked.
        title: over all panels.
    """
    ranked = [group for group in outcome.groups if group.ranking]
    with figure(12.6, 5.6 + 0.22 * len(ranked)) as drawn:
        panels: Any = drawn.subplots(2, 3, height_ratios=(4, 1.6 + 0.22 * len(ranked)))
        for axes, quantity in zip(panels[0], QUANTITIES, strict=True):
            _scatter(axes, outcome, ranked, quantity)
        panels[0, 0].set_ylabel("top-1 minus the group's mean, points")
        for axes in panels[0, 1:]:
            axes.sharey(panels[0, 0])
            axes.tick_params(labelleft=False)
        for axes, rival in zip(panels[1], ("macs", "params"), strict=False):
            _leads(axes, outcome, ranked, rival)
        panels[1, 1].set_yticklabels([])
        _pair_differences(panels[1, 2], outcome)
        drawn.suptitle(f"{title}\n{_ABOUT}", x=0.01, ha="left", fontsize=11)
        return drawn


def imagenet_group_rows(outcome: ImagenetPublished) -> TextTable:
    """Spearman's rank correlations of every group, and of all pooled inside groups."""
    columns = ("group", "ranked", *(_SHORT[q] for q in QUANTITIES), "mass − MACs [95 %]", "mass given MACs [95 %]")
    rows = [
        (group.recipe.name, f"{len(group.answered)} of {len(group.rows)}", *_cells(group.ranking))
        for group in outcome.groups
    ]
    return columns, [*rows, (_POOLED, str(outcome.pooled.n), *_cells(outcome.pooled))]


def imagenet_pooled_rows(outcome: ImagenetPublished) -> TextTable:
    """Every measure, pooled inside groups, with intervals."""
    columns = ("inside groups", *(_SHORT[q] for q in QUANTITIES), "mass − params", "mass − MACs")
    rows = [
        (
            MEASURE_NAMES[measure],
            *(with_interval(outcome.pooled.measures[measure][quantity]) for quantity in QUANTITIES),
            *(with_interval(outcome.pooled.leads[measure][rival]) for rival in ("params", "macs")),
        )
        for measure in MEASURES
    ]
    return columns, rows


def imagenet_pair_rows(outcome: ImagenetPublished) -> TextTable:
    """Pairs of equal mass and very different cost."""
    columns = ("more MACs, fewer MACs", "mass", "params", "MACs", "top-1 %", "difference")
    rows = [
        (
            f"{a.model}, {b.architecture}",
            f"{_value(a, 'nn_mass'):,.0f}",
            f"× {_value(a, 'params') / _value(b, 'params'):.2f}",
            f"× {_value(a, 'macs') / _value(b, 'macs'):.2f}",
            f"{a.top1:.2f}, {b.top1:.2f}",
            f"{a.top1 - b.top1:+.2f}",
        )
        for a, b in outcome.equal_mass_pairs()
    ]
    return columns, rows


def imagenet_left_out_rows(outcome: ImagenetPublished) -> TextTable:
    """Models without a mass, with the reason."""
    rows = [
        (row.model, row.outcome, row.reason)
        for group in outcome.groups
        for row in group.rows
        if row.outcome != "answered"
    ]
    return ("left out", "", "reason"), rows


def _cells(ranking: Ranking | None) -> tuple[str, ...]:
    if ranking is None:
        return ("–",) * 5
    given = ranking.partial["rank"]["nn_mass given macs"]
    return (
        *(f"{ranking.measures['spearman'][quantity].value:.2f}" for quantity in QUANTITIES),
        with_interval(ranking.leads["spearman"]["macs"]),
        with_interval(given) if given else "–",
    )


def _scatter(axes: Any, outcome: ImagenetPublished, ranked: Sequence[PublishedGroup], quantity: str) -> None:
    for i, group in enumerate(ranked):
        x = np.log([_value(row, quantity) for row in group.answered])
        y = np.array([row.top1 for row in group.answered])
        colour, marker = _look(i)
        axes.plot(
            np.exp(x - x.mean()), y - y.mean(), marker, color=colour, alpha=0.8, markersize=5, label=group.recipe.name
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"×{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"{QUANTITY_LABELS[quantity]}, relative to the group's mean")
    measures = outcome.pooled.measures
    rank, line = (with_interval(measures[measure][quantity]) for measure in ("spearman", "r2"))
    axes.set_title(f"rank correlation {rank}\nR² {line}", fontsize=10)


def _leads(axes: Any, outcome: ImagenetPublished, ranked: Sequence[PublishedGroup], rival: str) -> None:
    names = []
    for i, group in enumerate(ranked):
        assert group.ranking is not None
        colour, marker = _look(i)
        _bar(axes, group.ranking.leads["spearman"][rival], i, colour, marker)
        names.append(f"{group.recipe.name} ({group.ranking.n})")
    _bar(axes, outcome.pooled.leads["spearman"][rival], len(ranked), "black", "|", size=9)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(ranked) + 1), [*names, f"{_POOLED} ({outcome.pooled.n})"], fontsize=8)
    axes.set_ylim(len(ranked) + 0.6, -0.6)
    axes.set_title(f"right of 0: mass ranks better than {_SHORT[rival]}", fontsize=10)
    axes.set_xlabel(f"rank correlation, mass − {_SHORT[rival]} [95 %]")


def _pair_differences(axes: Any, outcome: ImagenetPublished) -> None:
    names = []
    for i, quantity in enumerate(QUANTITIES):
        found = outcome.pairs.equal[quantity]
        differences = [abs(outcome.ranked[a].top1 - outcome.ranked[b].top1) for a, b in found.pairs]
        offsets = np.linspace(-0.18, 0.18, len(differences)) if len(differences) > 1 else [0.0] * len(differences)
        axes.plot(differences, i + np.asarray(offsets), "o", color="#9a9a9a", alpha=0.45, markersize=3.5)
        if found.difference is not None:
            _bar(axes, found.difference, i, COLOURS[i], "D", size=7)
        names.append(f"equal {_SHORT[quantity]} ({len(differences)})")
    _bar(axes, outcome.pairs.every, len(QUANTITIES), "black", "D", size=7)
    axes.set_yticks(range(len(QUANTITIES) + 1), [*names, "any pair"], fontsize=8)
    axes.set_ylim(len(QUANTITIES) + 0.6, -0.6)
    axes.set_xlim(left=0)
    axes.set_title("pairs equal in one, far apart in another", fontsize=10)
    axes.set_xlabel("difference in top-1, points; mean [95 %]")


def _bar(axes: Any, estimate: Estimate, y: float, colour: str, marker: str, *, size: float = 5) -> None:
    edge = colour if marker == "|" else "white"
    axes.plot(estimate.interval, (y, y), "-", color=colour, linewidth=1.4, zorder=3)
    axes.plot(estimate.value, y, marker, color=colour, markersize=size, zorder=4, markeredgecolor=edge)


def _look(i: int) -> tuple[str, str]:
    """Colour and marker of a group; both together tell up to 42 apart."""
    return COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]


def _value(row: PublishedRow, quantity: str) -> float:
    return float(getattr(row, quantity))

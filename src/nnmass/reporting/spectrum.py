"""Picture of the singular values of every layer, with what theory expects."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from nnmass.propagation import ExpectedIsometry, ExpectedLayer, Isometry, LayerIsometry
from nnmass.reporting.style import COLOURS, figure

FloatArray = npt.NDArray[np.float64]

_BINS = 60
_SHOWN = 0.995  # share of the singular values below the top of the picture
_GRID = 600
_BAND = (0.1, 0.9)


def spectrum_figure(found: Isometry, theory: ExpectedIsometry | None, *, title: str) -> Figure:
    """Draw how the singular values of each layer are distributed, and those of all hidden layers together.

    Left: a column per layer, darker where there are more singular values; a dot at its mean, and what theory expects:
    the mean, and the band that holds the middle 80 %.  Right: the hidden layers pooled, with the expected density.

    Args:
        found: measured.
        theory: of the same specification and initialisation; None where there is none.
        title: over the picture.
    """
    edges = np.linspace(0, _top(found.layers), _BINS + 1)
    heat = np.array([_histogram([layer], edges) for layer in found.layers])
    with figure(10.5, 4.6) as drawn:
        left, right = drawn.subplots(1, 2, sharey=True, width_ratios=(3.4, 1))
        ceiling = float(np.quantile(heat[heat > 0], 0.97))
        left.pcolormesh(np.arange(len(heat) + 1) - 0.5, edges, heat.T, cmap="Blues", vmin=0, vmax=ceiling)
        positions = np.arange(len(found.layers))
        left.plot(positions, [layer.mean for layer in found.layers], "o", color="black", markersize=3.5, label="mean")
        for i, layer in enumerate(found.layers):
            if layer.mean > edges[-1]:
                left.annotate(f"mean {layer.mean:.1f} ↑", (i, edges[-1]), ha="left", va="top", fontsize=8)
        if theory is not None:
            _expected(left, theory)
        _layers(left, found.layers)
        _pooled(right, found, theory, edges)
        for axes in (left, right):
            axes.axhline(
                1, color=COLOURS[2], linewidth=1, linestyle="--", zorder=3, label="1: gradients keep their size"
            )
        left.set_ylim(0, edges[-1])
        left.set_ylabel("singular value of the layer's Jacobian")
        left.set_title("darker: more singular values")
        left.legend(
            loc="lower right",
            bbox_to_anchor=(1, 0.99),
            ncols=4,
            fontsize=8,
            columnspacing=1.0,
            handlelength=1.4,
            handletextpad=0.5,
        )
        drawn.suptitle(title, x=0.01, ha="left", fontsize=11)
        return drawn


def _top(layers: Sequence[LayerIsometry]) -> float:
    """Top of the picture: the hidden layers fill it; a stem may lie above."""
    hidden = [layer for layer in layers if layer.hidden] or layers
    return 1.02 * max(1.2, *(_quantile(layer, _SHOWN) for layer in hidden))


def _quantile(layer: LayerIsometry, share: float) -> float:
    grid = np.linspace(0, float(layer.singular_values.max()), _GRID)
    return float(np.interp(share, _cumulative(layer, grid), grid))


def _cumulative(layer: LayerIsometry, edges: FloatArray) -> FloatArray:
    """Share of a layer's singular values below each edge, the first of which is 0.

    A node of a quadrature stands for what lies around it: its weight is spread to its neighbours on both sides.
    """
    below: FloatArray
    if layer.weights is None:
        values = np.sort(layer.singular_values, axis=None)
        below = np.searchsorted(values, edges, side="right") / values.size
    else:
        nodes, weights = (a.reshape(-1, a.shape[-1])[:, ::-1] for a in (layer.singular_values, layer.weights))
        reached = np.cumsum(weights, 1) - weights / 2
        below = np.mean([np.interp(edges, *curve, right=1.0) for curve in zip(nodes, reached, strict=True)], axis=0)
    below[0] = 0
    return below


def _histogram(layers: Sequence[LayerIsometry], edges: FloatArray) -> FloatArray:
    """Density of the layers' pooled singular values in each bin."""
    below = np.average(
        [_cumulative(layer, edges) for layer in layers], axis=0, weights=[layer.count for layer in layers]
    )
    density: FloatArray = np.diff(below) / np.diff(edges)
    return density


def _expected(axes: Any, theory: ExpectedIsometry) -> None:
    for i, layer in enumerate(theory.layers):
        low, high = _quantiles(layer)
        first = i == 0
        axes.plot([i - 0.4, i + 0.4], [layer.mean] * 2, color=COLOURS[1], label="expected mean" if first else None)
        axes.plot(
            [i, i],
            [low, high],
            color=COLOURS[1],
            linewidth=1,
            alpha=0.8,
            label="expected middle 80 %" if first else None,
        )


def _quantiles(layer: ExpectedLayer) -> tuple[float, float]:
    """Ends of the middle of the expected singular values."""
    grid = np.linspace(0, 4 * np.sqrt(layer.mean_square) + layer.mean, _GRID)
    below = layer.below(grid)
    low, high = (float(grid[np.searchsorted(below, share)]) for share in _BAND)
    return low, high


def _pooled(axes: Any, found: Isometry, theory: ExpectedIsometry | None, edges: FloatArray) -> None:
    hidden = [layer for layer in found.layers if layer.hidden] or list(found.layers)
    density = _histogram(hidden, edges)
    axes.stairs(density, edges, orientation="horizontal", fill=True, color="#9ecae1")
    if theory is not None and (expected := theory.hidden):
        weights = [layer.count for layer in expected]
        below = np.average([layer.below(edges) for layer in expected], axis=0, weights=weights)
        below[0] = 0  # zeros lie in the first bin, like those that were measured
        curve = np.diff(below) / np.diff(edges)
        axes.stairs(curve, edges, orientation="horizontal", color=COLOURS[1], linewidth=1.3)
        axes.set_xlim(0, 1.15 * min(max(density.max(), 1e-9), 3 * np.quantile(curve, 0.95) + np.median(density)))
    axes.set_title("hidden layers pooled")
    axes.set_xlabel("share per unit")
    axes.set_xticks([])


def _layers(axes: Any, layers: Sequence[LayerIsometry]) -> None:
    axes.set_xlim(-0.5, len(layers) - 0.5)
    step = max(len(layers) // 16, 1)
    axes.set_xticks(range(0, len(layers), step), [str(i) for i in range(0, len(layers), step)])
    axes.set_xlabel("layer, from input to output")
    axes.grid(visible=False)
    cells = [layer.name.split(".")[1] if layer.name.startswith("cells.") else "" for layer in layers]
    for i, (before, after) in enumerate(pairwise(cells)):
        if before != after:
            axes.axvline(i + 0.5, color="#808080", linewidth=0.8)
    for cell in filter(None, dict.fromkeys(cells)):
        middle = cells.index(cell) + (cells.count(cell) - 1) / 2
        place = axes.get_xaxis_transform()
        axes.annotate(f"cell {int(cell) + 1}", (middle, 0.97), xycoords=place, ha="center", va="top", fontsize=8)

"""Pictures of where the skips of a network go."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from nnmass.architectures import LinkedSpecification
from nnmass.reporting.style import COLOURS, figure
from nnmass.topology import Cell

_GAP = 2.0  # between cells, in layers
_RISE = 0.5  # height of an arc per layer that it spans


def topology_figure(specs: Sequence[tuple[str, LinkedSpecification]]) -> Figure:
    """Draw networks below each other to one scale: a dot per layer, an arc per pair of layers that a skip joins.

    An arc is the darker the more of the source layer's channels it carries.

    Args:
        specs: names and specifications; links that are not fixed are drawn with seed 0.

    Raises:
        InvalidValueError: no network.
    """
    linked = [(name, spec if spec.links is not None else spec.with_links(0)) for name, spec in specs]
    longest = max(_extent(spec.cells) for _, spec in linked)
    heights = [max(cell.depth for cell in spec.cells) + _GAP for _, spec in linked]
    with figure(9.0, min(0.5 + 3.8 * sum(heights) / longest + 0.3 * len(linked), 5.2)) as drawn:
        panels = drawn.subplots(len(linked), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for i, (axes, (name, spec)) in enumerate(zip(panels, linked, strict=True)):
            _network(axes, spec, COLOURS[i % len(COLOURS)])
            axes.set_xlim(-1, longest)
            skips = sum(cell.num_skips for cell in spec.cells)
            axes.set_title(
                f"{name}: {skips:,} skip channels, NN-Mass {spec.nn_mass:.1f}, {spec.params:,} parameters, "
                f"{spec.macs:,} MACs"
            )
        panels[-1].set_xlabel("layer (each dot also feeds the next; arcs are skips, darker: more channels)")
        return drawn


def _network(axes: Any, spec: LinkedSpecification, colour: str) -> None:
    assert spec.links is not None
    offset = 0.0
    for cell, links in zip(spec.cells, spec.links, strict=True):
        arcs = Counter((c // cell.width, i) for i, channels in enumerate(links) for c in channels)
        patches = [PathPatch(_arc(offset + j, offset + i)) for j, i in arcs]
        shares = np.array([count / cell.width for count in arcs.values()])
        axes.add_collection(
            PatchCollection(
                patches,
                facecolors="none",
                edgecolors=colour,
                linewidths=0.4 + 1.2 * shares,
                alpha=np.clip(0.08 + 0.7 * shares, 0, 0.85) if len(shares) else None,
            )
        )
        layers = offset + np.arange(cell.depth)
        axes.plot(layers, np.zeros(cell.depth), "-", color="#404040", linewidth=1)
        axes.plot(layers, np.zeros(cell.depth), "o", color="#202020", markersize=3.5)
        axes.text(offset, -0.7, f"width {cell.width}, depth {cell.depth}", va="top", fontsize=8, color="#404040")
        offset += cell.depth - 1 + _GAP
    deepest = max(cell.depth for cell in spec.cells)
    axes.set_ylim(-2.2, 1 + (deepest - 1) * _RISE)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)


def _arc(start: float, end: float) -> Path:
    control = ((start + end) / 2, 2 * _RISE * (end - start))  # the curve rises to half of its control point
    return Path([(start, 0), control, (end, 0)], [Path.MOVETO, Path.CURVE3, Path.CURVE3])


def _extent(cells: Sequence[Cell]) -> float:
    return sum(cell.depth - 1 + _GAP for cell in cells) - _GAP + 1

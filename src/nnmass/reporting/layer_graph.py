"""Picture of any model: its layers, what skips over them, and its cells."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path

from nnmass.reporting.layer_graph_cells import BOX, Box, boxes, draw_boxes, form_of
from nnmass.reporting.layer_graph_layout import Layout, layout, stages
from nnmass.reporting.layer_graph_strip import LABEL, Spot, Strip, Texts, text_width, width_of
from nnmass.reporting.model import times
from nnmass.reporting.style import COLOURS, figure
from nnmass.tracing.report import Report

_SKIPS = {"addition": COLOURS[0], "concatenation": COLOURS[1], "path": "#8c8c8c"}
_INK, _PALE = "#383838", "#b4b4b4"
_MARKERS: dict[str, dict[str, Any]] = {
    "input": {"marker": ">", "markersize": 5},
    "add": {"marker": "o", "markersize": 4.6},
    "concatenation": {"marker": "s", "markersize": 4.2},
}
_CROWD = 60  # arcs side by side, from which on they are drawn paler
_WIDTH, _LEAST_WIDTH, _PITCH = 10.0, 8.0, 0.4  # inches
_HEAD, _FOOT, _GAP = 0.6, 0.16, 0.14
_HANDLE = 0.48  # of the legend, and the space between two
_SIZE = 7.5  # points
_BAR, _LEAST_BAR, _BAR_WIDTH = 0.4, 0.05, 0.13


def layer_graph_figure(report: Report) -> Figure:
    """Draw the layers of a model from left to right, in as many rows as they need.

    A bar per layer, the longer the wider the layer; an arc per pair of nodes that channels skip between, the darker the
    more channels; a box per cell with its NN-Mass.  What runs beside the longest path hangs below it.

    Args:
        report: of the model.
    """
    plan = layout(report.graph)
    found = boxes(report, plan)
    strips = _strips(plan, found)
    width = max(_LEAST_WIDTH, width_of(max(strip.row.length for strip in strips), strips[0].pitch))
    legend = _legend(plan, cells=bool(found))
    lines = math.ceil(sum(text_width(handle.get_label(), _SIZE) + _HANDLE for handle in legend) / width)
    height = _HEAD + sum(strip.top - strip.bottom + _GAP for strip in strips) + _FOOT + lines * LABEL
    with figure(width, height) as drawn:
        drawn.set_layout_engine("none")  # everything has its place
        axes = drawn.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
        axes.set_axis_off()
        _title(axes, report, height)
        form, texts, top = form_of(found, strips[0].pitch), Texts(axes, width), height - _HEAD
        for strip in strips:
            placed = replace(strip, top=top)
            draw_boxes(axes, placed, found, form, texts)
            _links(axes, placed)
            _nodes(axes, placed)
            _resolutions(axes, placed, texts)
            top = placed.bottom - _GAP
        _draw_legend(axes, legend, lines)
        return drawn


def _strips(plan: Layout, found: Sequence[Box]) -> list[Strip]:
    pitch = min(_PITCH, _WIDTH / max(row.length for row in plan.rows))
    widest = _widest(plan)
    bars = {
        i: _LEAST_BAR + _BAR * math.sqrt(node.width / widest) if node is not None and node.is_layer else 0.0
        for i, node in plan.nodes.items()
    }
    strips = []
    for row in plan.rows:
        heights = [box.height for box in found if box.first <= row.last and row.first <= box.last]
        strips.append(Strip(plan, row, pitch, bars, max(heights, default=0)))
    return strips


def _widest(plan: Layout) -> int:
    return max((node.width for node in plan.nodes.values() if node is not None and node.is_layer), default=1)


def _title(axes: Any, report: Report, height: float) -> None:
    many = f"{len(report.cells)} cells, " if len(report.cells) > 1 else ""
    mass = f"{many}NN-Mass {report.nn_mass:,.1f}" if report.cells else "no cell with skips: NN-Mass 0 is uninformative"
    size = " and ".join(times(size) for size in report.input_sizes)
    axes.text(0.2, height - 0.26, report.name.rpartition("/")[2], fontsize=11, weight="bold")
    macs = "MACs unknown" if report.macs is None else f"{report.macs:,} MACs"
    axes.text(0.2, height - 0.46, f"{mass}, {report.params:,} params, {macs} on {size}", fontsize=8.5)


def _links(axes: Any, strip: Strip) -> None:
    most = max((link.channels for link in strip.plan.links if link.kind != "path"), default=1)
    crowd = min(1.0, math.sqrt(_CROWD / max(strip.crowd, 1)))
    for link in strip.links:
        start, end = strip.spot(link.source), strip.spot(link.reader)
        if not strip.arched(link):
            axes.add_patch(_line(_beside(start, end, strip.pitch), _INK, linewidth=0.9, alpha=0.8))
            continue
        alpha = 0.7 if link.kind == "path" else (0.2 + 0.75 * math.sqrt(link.channels / most)) * crowd
        style: dict[str, Any] = {"linewidth": min(1.5, 0.45 + 2.6 * strip.pitch), "alpha": alpha}
        control = strip.base + 4 / 3 * strip.rise(link)  # a cubic curve rises to three quarters of its control points
        if link.projection is not None:
            style["linestyle"] = (0, (4, 1.5))
            middle = Spot((start.x + end.x) / 2, (start.y + end.y + 6 * control) / 8)
            axes.plot(*middle, "D", color=_SKIPS[link.kind], markersize=3.2, alpha=max(alpha, 0.6))
        axes.add_patch(_line(_arc(start, end, control), _SKIPS[link.kind], **style))


def _line(path: Path, colour: str, **style: Any) -> PathPatch:
    return PathPatch(path, facecolor="none", edgecolor=colour, zorder=2, **style)


def _arc(start: Spot, end: Spot, control: float) -> Path:
    points = [start, (start.x, control), (end.x, control), end]
    return Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])


def _beside(start: Spot, end: Spot, pitch: float) -> Path:
    """From one lane to another: along the lower one, and over by a curve of one column."""
    if start.y >= end.y:
        bend = Spot(start.x + pitch, end.y)
        points = [start, (start.x + pitch / 2, start.y), (start.x + pitch / 2, end.y), bend, end]
        return Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO])
    bend = Spot(end.x - pitch, start.y)
    points = [start, bend, (end.x - pitch / 2, start.y), (end.x - pitch / 2, end.y), end]
    return Path(points, [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])


def _nodes(axes: Any, strip: Strip) -> None:
    if strip.row.before is not None:
        _node(axes, strip, strip.row.before, faded=True)
    for i in strip.nodes:
        _node(axes, strip, i)


def _node(axes: Any, strip: Strip, i: int, *, faded: bool = False) -> None:
    x, y = strip.spot(i)
    node = strip.plan.nodes[i]
    colour = _PALE if faded else _INK
    if node is not None and node.is_layer:
        width, length = min(_BAR_WIDTH, 0.55 * strip.pitch), strip.bars[i]
        face = "white" if node.groups > 1 or faded else colour
        style: dict[str, Any] = {"facecolor": face, "edgecolor": colour, "linewidth": 0.8, "zorder": 3}
        axes.add_patch(Rectangle((x - width / 2, y - length), width, length, **style))
    else:
        marker = _MARKERS["concatenation" if node is None else node.kind]
        axes.plot(x, y, color="white", markeredgecolor=colour, zorder=4, **marker)


def _resolutions(axes: Any, strip: Strip, texts: Texts) -> None:
    """Say below the first node of each resolution what it is; the longest stages have their say first."""
    plan, row = strip.plan, strip.row
    on_path = {plan.columns[i]: node for i in strip.nodes if (node := plan.nodes[i]) is not None and not plan.lanes[i]}
    starts = stages({column: node.resolution for column, node in on_path.items()})
    ends = [*starts[1:], row.last + 1]
    for start, end in sorted(zip(starts, ends, strict=True), key=lambda stage: stage[0] - stage[1]):
        forms = [node.resolution for column, node in on_path.items() if start <= column < end]
        text = times(max(forms, key=len)) if forms[0] else ""
        left = strip.x(start - 0.45)
        if text and texts.put(left + 0.03, strip.bottom, text, size=7, align="left", color="#6e6e6e"):
            axes.plot([left, left], [strip.bottom, strip.base], color="#c8c8c8", linewidth=0.7, linestyle=":", zorder=0)


def _legend(plan: Layout, *, cells: bool) -> list[Any]:
    """What stands for what, as far as it occurs."""
    nodes = plan.nodes.values()
    kinds = [kind for kind in ("addition", "concatenation") if any(link.kind == kind for link in plan.links)]
    layer = f"layer (longer: wider, up to {_widest(plan):,} channels; not to scale)"
    handles: list[Any] = [Patch(facecolor=_INK, label=layer)]
    if any(node is not None and node.groups > 1 for node in nodes):
        handles.append(Patch(facecolor="white", edgecolor=_INK, label="grouped or depthwise"))
    for kind, word in (("add", "sum"), ("concatenation", "concatenation")):
        if any(kind == ("concatenation" if node is None else node.kind) for node in nodes):
            style = {"color": "white", "markeredgecolor": _INK, "linestyle": "", **_MARKERS[kind]}
            handles.append(Line2D([], [], label=word, **style))
    for kind in kinds:
        note = " (darker: more channels)" if kind == kinds[-1] else ""
        handles.append(Line2D([], [], color=_SKIPS[kind], label=f"skip by {kind}{note}"))
    if any(link.projection is not None for link in plan.links):
        style = {"color": _SKIPS["addition"], "linestyle": "--", "marker": "D", "markersize": 4}
        handles.append(Line2D([], [], label="… through a projection", **style))
    return [*handles, *([Patch(**BOX, label="cell, with its NN-Mass")] if cells else [])]


def _draw_legend(axes: Any, handles: Sequence[Any], lines: int) -> None:
    place = {"loc": "lower left", "bbox_to_anchor": (0.2, 0.1), "bbox_transform": axes.transData}
    space = {"borderpad": 0, "borderaxespad": 0, "columnspacing": 1.4}
    axes.legend(handles=handles, ncols=-(-len(handles) // lines), fontsize=_SIZE, **place, **space)

"""The cells of a layer graph's picture: boxes with names and masses."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.patches import Rectangle

from nnmass.reporting.layer_graph_layout import Layout
from nnmass.reporting.layer_graph_strip import LABEL, Strip, Texts, text_width
from nnmass.reporting.model import nesting
from nnmass.topology import GraphCell, LayerGraph
from nnmass.tracing.report import Report

BOX: dict[str, Any] = {"facecolor": "#dfe9d3", "edgecolor": "#9bb37d"}
_SIZE, _SMALL = 7.5, 6.5  # points
_MOST = 0.75  # of the layers that are in the module that a cell is named after
_CLEAR = 0.1  # inches beside a text
_MARGIN = 0.45  # of a column, around the layers
_FORMS: tuple[Callable[[GraphCell], str], ...] = (
    lambda cell: f"NN-Mass {cell.nn_mass:,.1f}, density {cell.density:.2f}",
    lambda cell: f"NN-Mass {cell.nn_mass:,.1f}",
    lambda cell: f"{cell.nn_mass:,.1f}",
    lambda cell: f"{cell.nn_mass:,.0f}",
)


@dataclass(frozen=True)
class Box:
    """A cell in the picture.

    Attributes:
        cell: the cell.
        name: module that holds most of it.
        first: column.
        last: column.
        nesting: how many cells lie around it.
        height: how many cells lie within each other in it, itself included.
    """

    cell: GraphCell
    name: str
    first: int
    last: int
    nesting: int
    height: int


def boxes(report: Report, plan: Layout) -> tuple[Box, ...]:
    """Boxes of the cells, those within others after them."""
    cells, graph = report.cells, report.graph
    sums, found = _sums(graph), []
    for k, cell in enumerate(cells):
        held = _held(cells, k)
        layers = {i for j in (k, *held) for i in cells[j].layers}
        if graph.nodes[cell.layers[0]].name == cell.entry and any(cell.layers[0] in c.layers for c in cells[:k]):
            layers.remove(cell.layers[0])  # it is the last of the cell before
        columns = [plan.columns[i] for i in _with_sums(graph, sums, cell.entry, layers) if i in plan.columns]
        depth = nesting(cells, k)
        height = 1 + max((nesting(cells, j) - depth for j in held), default=0)
        found.append(Box(cell, _name(graph, layers), min(columns), max(columns), depth, height))
    return tuple(sorted(found, key=lambda box: box.nesting))


def _held(cells: Sequence[GraphCell], position: int) -> list[int]:
    """Positions of all cells within one."""
    direct = [j for j, cell in enumerate(cells) if cell.inside == position]
    return [*direct, *(i for j in direct for i in _held(cells, j))]


def _sums(graph: LayerGraph) -> dict[int, set[int]]:
    """The sums and their terms."""
    return {
        i: {s for operand in node.operands for s in operand.channels.sources.tolist()}
        for i, node in enumerate(graph.nodes)
        if node.kind == "add"
    }


def _with_sums(graph: LayerGraph, sums: dict[int, set[int]], entry: str, layers: set[int]) -> set[int]:
    """Layers of a cell, and the sums of nothing but them and its entry."""
    found = set(layers)
    for i, terms in sums.items():
        if terms & found and all(s in found or graph.nodes[s].name == entry for s in terms):
            found.add(i)
    return found


def _name(graph: LayerGraph, layers: Iterable[int]) -> str:
    """The innermost module that most of the layers are in."""
    names = [graph.nodes[i].name.replace("/", ".").strip(".") for i in layers]  # ONNX graphs have slashes
    paths = [name.split(".") for name in names]
    counts = Counter(".".join(path[:k]) for path in paths for k in range(1, len(path)))
    held = [module for module, count in counts.items() if count > _MOST * len(paths)]
    return max(held, key=lambda module: module.count("."), default="")


def form_of(found: Sequence[Box], pitch: float) -> Callable[[GraphCell], str]:
    """The longest form in which every cell's box has room for its mass."""
    for form in _FORMS:
        if all(text_width(form(box.cell), _SIZE) < _box_width(box, pitch) for box in found):
            return form
    return _FORMS[-1]


def _box_width(box: Box, pitch: float) -> float:
    return (box.last - box.first + 2 * _MARGIN) * pitch - _CLEAR


def draw_boxes(axes: Any, strip: Strip, found: Sequence[Box], form: Callable[[GraphCell], str], texts: Texts) -> None:
    """Draw the boxes of one row; a cell that goes on in the next row is named there."""
    for box in found:
        first, last = max(box.first, strip.row.first), min(box.last, strip.row.last)
        if first > last:
            continue
        left, right = strip.x(first - _MARGIN), strip.x(last + _MARGIN)
        top = strip.top - (strip.labels - box.height) * LABEL
        bottom = strip.floor - (0 if box.nesting else LABEL)
        style: dict[str, Any] = {**BOX, "linewidth": 0.7, "alpha": 0.55, "zorder": 0}
        axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, **style))
        if box.last == last:
            middle = (left + right) / 2
            texts.put(middle, top - 0.75 * LABEL, form(box.cell), size=_SIZE, color="#1f3d0c", zorder=5)
            name = "" if box.nesting else _fitting_name(box.name, right - left - _CLEAR)
            texts.put(middle, strip.floor - 0.75 * LABEL, name, size=_SMALL, color="#5c6b4f", zorder=5)


def _fitting_name(name: str, width: float) -> str:
    """As much of the end of a module's path as there is room for."""
    parts = name.split(".")
    names = (".".join(parts[k:]) for k in range(len(parts)))
    return next((text for text in names if text_width(text, _SMALL) <= width), "")

"""Tables and sentences of what the topology of a model says."""

import re
from collections.abc import Iterable, Sequence

from nnmass.reporting.tables import TextTable
from nnmass.topology import GraphCell, SmallWorld
from nnmass.tracing.report import Report, short

UNINFORMATIVE = "No cell holds a skip: NN-Mass is 0, which is uninformative; it does not say that the model is bad."
_PLACES = 4  # named per reason of what was skipped


def cell_rows(report: Report) -> TextTable:
    """A row per cell, those within others indented below them."""
    columns = ("cell", "kind", "widths", "depth", "skips", "density", "NN-Mass")
    return columns, [_cell_row(report.cells, i) for i in _around_first(report.cells)]


def _cell_row(cells: Sequence[GraphCell], position: int) -> tuple[str, ...]:
    cell = cells[position]
    return (
        "  " * nesting(cells, position) + f"{cell.entry} … {cell.exit}",
        cell.kind.replace("concatenation", "concat"),
        short(cell.widths),
        str(cell.depth),
        f"{cell.num_skips:,}",
        f"{cell.density:.3f}",
        f"{cell.nn_mass:,.2f}",
    )


def nesting(cells: Sequence[GraphCell], position: int) -> int:
    """How many cells lie around one."""
    around = cells[position].inside
    return 0 if around is None else 1 + nesting(cells, around)


def _around_first(cells: Sequence[GraphCell]) -> list[int]:
    """Positions in an order in which every cell is followed by those within it."""

    def within(around: int | None) -> list[int]:
        return [j for i, cell in enumerate(cells) if cell.inside == around for j in (i, *within(i))]

    return within(None)


def layer_rows(report: Report) -> TextTable:
    """A row per weighted layer."""
    columns = ("layer", "kind", "width", "resolution", "kernel", "groups", "params", "MACs")
    rows = [
        (
            node.name,
            node.kind,
            f"{node.width:,}",
            times(node.resolution),
            times(node.kernel),
            str(node.groups),
            f"{node.params:,}",
            f"{node.macs:,}",
        )
        for node in report.graph.layers
    ]
    return columns, rows


def times(sizes: Sequence[int]) -> str:
    """Sizes as people write them.

    Examples:
        >>> times((1, 3, 224, 224)), times(())
        ('1×3×224×224', '–')
    """
    return "×".join(map(str, sizes)) or "–"


def model_summary(report: Report) -> list[str]:
    """Totals, costs, what lies outside the cells, and what was skipped, a sentence each."""
    costs = report.costs
    if not report.cells:
        return [UNINFORMATIVE, costs, *skipped_lines(report)]
    outside = f"{100 * report.outside.layers:.1f} % of the layers"
    outside += "" if report.outside.macs is None else f", {100 * report.outside.macs:.1f} % of the MACs"
    return [
        f"NN-Mass {report.nn_mass:,.2f}, {costs}",
        *_readings(report),
        f"Density {report.density:.3f}, average degree {report.average_degree:,.1f}",
        f"Outside every cell: {outside}",
        *skipped_lines(report),
    ]


def _readings(report: Report) -> list[str]:
    lines = []
    if any(cell.kind == "concatenation" for cell in report.cells):
        lines.append(
            "Concatenations have two readings: composite, as above (a chain of layers such as 1×1, 3×3 is one node, "
            f"and the layer that reads the last concatenation counts), NN-Mass {report.nn_mass:,.2f}; every layer a "
            f"node (and that reader's width does not count), NN-Mass {report.nn_mass_every_layer:,.2f}"
        )
    if report.nested_mass:
        lines.append(f"Cells within other cells hold {report.nested_mass:,.2f} of the NN-Mass")
    return lines


def small_world_line(found: SmallWorld) -> str:
    """Measures of the graph of layers, in a sentence."""
    return (
        f"Graph of {found.nodes:,} layers and inputs: {found.average_degree:.2f} neighbours on average, "
        f"clustering {found.clustering:.3f}, path length {found.path_length:.2f}"
    )


def skipped_lines(report: Report) -> list[str]:
    """What is no part of the layer graph, a line per reason."""
    places: dict[str, list[str]] = {}
    for module, reason in report.skipped:
        places.setdefault(reason, []).append(module)
    return [f"Skipped {len(modules):,} × {reason} ({_grouped(modules)})" for reason, modules in places.items()]


def _grouped(modules: Iterable[str]) -> str:
    """Module paths with numbers left open.

    Examples:
        >>> _grouped(["blocks.0.1.se.gate", "blocks.1.0.se.gate", "head.gate"])
        'blocks.*.*.se.gate, head.gate'
    """
    patterns = list(dict.fromkeys(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", module) for module in modules))
    more = [f"{len(patterns) - _PLACES} more"] if len(patterns) > _PLACES else []
    return ", ".join([*patterns[:_PLACES], *more])

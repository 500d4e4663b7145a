"""``nnmass analyze``: what the topology of a model says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from nnmass.architectures import Specification
    from nnmass.errors import RefusedError
    from nnmass.topology import Cell, ResidualCell
    from nnmass.tracing import Report


def analyze(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=o.MODEL_HELP)],
    input_size: o.InputSizeOption = None,
    image_size: o.ImageSizeOption = None,
    projection: o.ProjectionOption = None,
    by_layer: Annotated[bool, typer.Option("--by-layer", help="List the layers.")] = False,
    small_world: Annotated[
        bool, typer.Option("--small-world", help="Measure clustering and path length of the graph of layers.")
    ] = False,
    graph: Annotated[Path | None, destinations.picture(help="Draw cells and skips")] = None,
    as_json: o.JsonOption = False,
) -> None:
    """Show cells, density, NN-Mass, parameters and MACs of any PyTorch model; nothing is trained or downloaded.

    FILE.py:NAME runs the code of that file: do so with files that you trust.  The figures of a specification come from
    closed forms; with --by-layer, --small-world or --graph its network is built and traced as well.

    Example: nnmass analyze examples/reference.json --graph skips.svg
    """
    from nnmass.architectures.files import is_specification, read_specification
    from nnmass.errors import RefusedError

    spec = report = None
    sizes, types = [size for size, _ in input_size or ()], [kind for _, kind in input_size or ()]
    if is_specification(model) and not input_size:
        spec = read_specification(model, image_size=image_size, projection=projection)
    if spec is None or by_layer or small_world or graph is not None:
        from nnmass.tracing import analyze_source

        try:
            report = analyze_source(
                model, input_sizes=sizes, dtypes=types or None, image_size=image_size, projection=projection
            )
        except RefusedError as error:
            if as_json:
                print_json(_refusal(model, error))
            raise
    if report is not None and graph is not None:
        from nnmass.reporting import layer_graph_figure, save

        save(layer_graph_figure(report), graph)
    if as_json:
        traced = {} if report is None else _traced_values(report, by_layer=by_layer, small_world=small_world)
        print_json(traced if spec is None else _closed_form(spec) | ({"traced": traced} if traced else {}))
        return
    if spec is not None:
        _show_specification(spec, model)
    if report is not None:
        _show_report(report, by_layer=by_layer, small_world=small_world)


def _refusal(model: str, error: "RefusedError") -> dict[str, Any]:
    """What is known of a model that NN-Mass is not defined for."""
    flops = None if error.macs is None else 2 * error.macs
    costs = {"params": error.params, "macs": error.macs, "flops": flops, "uncounted": error.uncounted}
    return {"model": model, "outcome": "refused", "module": error.module, "reason": error.reason, **costs}


def _traced_values(report: "Report", *, by_layer: bool, small_world: bool) -> dict[str, Any]:
    from dataclasses import asdict

    values = report.as_dict(by_layer=by_layer)
    return values | ({"small_world": asdict(report.graph.small_world())} if small_world else {})


def _show_report(report: "Report", *, by_layer: bool, small_world: bool) -> None:
    from nnmass.reporting import cell_rows, layer_rows, model_summary, small_world_line, times

    title = f"{report.name} on {' and '.join(times(size) for size in report.input_sizes)}"
    if by_layer:
        print_table(f"{title}: layers", *layer_rows(report), wrapped=["layer"])
    if report.cells:
        print_table(title, *cell_rows(report), wrapped=["cell"])
    else:
        say(title, style="bold")
    for line in model_summary(report):
        say(line)
    if small_world:
        say(small_world_line(report.graph.small_world()))


def _show_specification(spec: "Specification", source: str) -> None:
    cells = [_describe(cell) for cell in spec.cells]
    rows = [[f"{k + 1}", *(_text(value) for value in cell.values())] for k, cell in enumerate(cells)]
    print_table(f"{spec.family}: {source}", ("cell", *(name.replace("_", " ") for name in cells[0])), rows)
    say(f"NN-Mass {spec.nn_mass:.4f}, {spec.params:,} params, {spec.macs:,} MACs ({2 * spec.macs:,} FLOPs)")


def _closed_form(spec: "Specification") -> dict[str, Any]:
    values = spec.without_links().model_dump(mode="json", exclude_none=True)
    totals = {"nn_mass": spec.nn_mass, "params": spec.params, "macs": spec.macs, "flops": 2 * spec.macs}
    return {"spec": values, "cells": [_describe(cell) for cell in spec.cells], **totals}


def _describe(cell: "Cell | ResidualCell") -> dict[str, Any]:
    """Return what there is to know of a cell: of a residual block, the widths of its nodes."""
    from nnmass.topology import MIN_DENSITY_DEPTH, Cell

    if not isinstance(cell, Cell):
        measures = {"num_skips": cell.num_skips, "density": cell.density, "nn_mass": cell.nn_mass}
        return {"widths": list(cell.widths), "depth": cell.depth, **measures}
    return {
        "width": cell.width,
        "depth": cell.depth,
        "max_skips": cell.max_skips,
        "num_skips": cell.num_skips,
        "density": cell.density if cell.depth >= MIN_DENSITY_DEPTH else None,
        "nn_mass": cell.nn_mass,
        "average_degree": cell.average_degree,
    }


def _text(value: float | list[int] | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"

"""``nnmass analyze``: what a specification is."""

from typing import TYPE_CHECKING, Any

from nnmass.cli import options as o
from nnmass.cli.output import console, print_json, print_table

if TYPE_CHECKING:
    from nnmass.topology import Cell, ResidualCell


def analyze(spec: o.SpecArgument, as_json: o.JsonOption = False) -> None:
    """Show cells, density, NN-Mass, parameters and MACs of a specification.

    Example: nnmass analyze examples/reference.json
    """
    from nnmass.architectures import load_spec

    loaded = load_spec(spec)
    cells = [_describe(cell) for cell in loaded.cells]
    totals = {"nn_mass": loaded.nn_mass, "params": loaded.params, "macs": loaded.macs, "flops": 2 * loaded.macs}
    if as_json:
        values = loaded.without_links().model_dump(mode="json", exclude_none=True)
        print_json({"spec": values, "cells": cells, **totals})
        return
    rows = [[f"{k + 1}", *(_text(value) for value in cell.values())] for k, cell in enumerate(cells)]
    print_table(f"{loaded.family}: {spec}", ("cell", *(name.replace("_", " ") for name in cells[0])), rows)
    console.print(
        f"NN-Mass {loaded.nn_mass:.4f}, {loaded.params:,} params, {loaded.macs:,} MACs ({2 * loaded.macs:,} FLOPs)"
    )


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

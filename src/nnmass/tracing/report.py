"""What the topology of a model says."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from nnmass.representation import brief
from nnmass.topology import GraphCell, LayerGraph, Node

Outcome = Literal["answered", "uninformative"]


class Skipped(NamedTuple):
    """Something that is no part of the layer graph.

    Attributes:
        module: where.
        reason: why.
    """

    module: str
    reason: str


class Outside(NamedTuple):
    """Shares that lie outside every cell.

    Attributes:
        layers: of the weighted layers.
        macs: of the multiply-accumulates; None where these are not known.
    """

    layers: float
    macs: float | None


@dataclass(frozen=True, eq=False)
class Report:
    """Cells, NN-Mass and costs of a model; prints as a table.

    Attributes:
        name: of the model.
        input_sizes: sizes of the inputs, the samples first.
        graph: layers and what they read.
        cells: cells with at least one skip, by their entries; those within others name the one around them.
        params: parameters.
        macs: multiply-accumulates of one forward pass; FLOPs are twice as many.  None where an operator ran whose cost
            is not known; ``skipped`` names it.
        skipped: gates and the layers that only lead to them, and operators whose cost is not known.
        projection: whether the skips of projections were counted.
        input_types: types of the inputs, ``"float32"`` or ``"int64"``.
    """

    __repr__ = brief

    name: str
    input_sizes: tuple[tuple[int, ...], ...]
    graph: LayerGraph
    cells: tuple[GraphCell, ...]
    params: int
    macs: int | None
    skipped: tuple[Skipped, ...]
    projection: str
    input_types: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """``"uninformative"`` where no cell holds a skip: the mass is 0, which does not mean that the model is bad."""
        return "answered" if self.cells else "uninformative"

    @property
    def nn_mass(self) -> float:
        """NN-Mass, summed over all cells, nested ones included."""
        return float(sum(cell.nn_mass for cell in self.cells))

    @property
    def nn_mass_every_layer(self) -> float:
        """NN-Mass in the other reading of concatenations, where every layer is a node and no chain of them one."""
        masses = (cell.nn_mass if cell.every_layer is None else cell.every_layer for cell in self.cells)
        return float(sum(masses))

    @property
    def nested_mass(self) -> float:
        """The part of the mass that is of cells within other cells."""
        return float(sum(cell.nn_mass for cell in self.cells if cell.inside is not None))

    @property
    def density(self) -> float | None:
        """Share of the possible skips of all cells; None without a cell."""
        possible = sum(cell.possible_skips for cell in self.cells)
        return sum(cell.num_skips for cell in self.cells) / possible if possible else None

    @property
    def average_degree(self) -> float | None:
        """Channels read per channel of the cells' nodes; None without a cell."""
        widths = [sum(cell.widths) for cell in self.cells]
        links = sum(cell.average_degree * width for cell, width in zip(self.cells, widths, strict=True))
        return links / sum(widths) if widths else None

    @cached_property
    def outside(self) -> Outside:
        """Shares of layers and MACs outside every cell."""
        inside = {i for cell in self.cells for i in cell.layers}
        nodes = self.graph.nodes
        macs = sum(nodes[i].macs for i in inside)
        share = None if self.macs is None else 1 - macs / max(self.macs, 1)
        return Outside(1 - len(inside) / max(len(self.graph.layers), 1), share)

    @property
    def flops(self) -> int | None:
        """Floating-point operations: twice the multiply-accumulates."""
        return None if self.macs is None else 2 * self.macs

    @property
    def costs(self) -> str:
        """Parameters, MACs and FLOPs, for people."""
        counted = "MACs unknown" if self.macs is None else f"{self.macs:,} MACs ({self.flops:,} FLOPs)"
        return f"{self.params:,} params, {counted}"

    def as_dict(self, *, by_layer: bool = False) -> dict[str, Any]:
        """Plain numbers and text, for JSON."""
        found = {
            "model": self.name,
            "input_sizes": [list(size) for size in self.input_sizes],
            "input_types": list(self.input_types),
            "outcome": self.outcome,
            "nn_mass": self.nn_mass,
            "nn_mass_every_layer": self.nn_mass_every_layer,
            "nested_mass": self.nested_mass,
            "density": self.density,
            "average_degree": self.average_degree,
            "params": self.params,
            "macs": self.macs,
            "flops": self.flops,
            "projection": self.projection,
            "outside_cells": self.outside._asdict(),
            "cells": [_cell_values(cell) for cell in self.cells],
            "skipped": [skipped._asdict() for skipped in self.skipped],
        }
        return found | ({"layers": [_layer_values(node) for node in self.graph.layers]} if by_layer else {})

    def __str__(self) -> str:
        """A line per cell, then totals."""
        names = [("  " if cell.inside is not None else "") + f"{cell.entry} … {cell.exit}" for cell in self.cells]
        longest = max(map(len, ["cell", *names]))
        lines = [f"{'cell':<{longest}}{'widths':>20}{'skips':>9}{'density':>9}{'nn_mass':>11}"]
        for name, cell in zip(names, self.cells, strict=True):
            numbers = f"{cell.num_skips:>9,}{cell.density:>9.3f}{cell.nn_mass:>11,.2f}"
            lines.append(f"{name:<{longest}}{short(cell.widths):>20}{numbers}")
        mass = f"NN-Mass {self.nn_mass:,.2f}" if self.cells else "no cell with skips: NN-Mass 0 is uninformative"
        lines.append(f"{mass}, {self.costs}")
        return "\n".join(lines)


def short(widths: tuple[int, ...]) -> str:
    """Widths in few characters.

    Examples:
        >>> short((64, 32, 32, 32, 32, 32, 128))
        '64 32×5 128'
    """
    runs: list[list[int]] = []
    for width in widths:
        if runs and runs[-1][0] == width:
            runs[-1][1] += 1
        else:
            runs.append([width, 1])
    parts = [f"{width}×{times}" if times > 1 else str(width) for width, times in runs]
    return " ".join(parts if len(parts) <= 5 else [*parts[:2], "…", *parts[-2:]])


def _cell_values(cell: GraphCell) -> dict[str, Any]:
    return {
        "entry": cell.entry,
        "exit": cell.exit,
        "kind": cell.kind,
        "widths": list(cell.widths),
        "depth": cell.depth,
        "num_skips": cell.num_skips,
        "possible_skips": cell.possible_skips,
        "density": cell.density,
        "nn_mass": cell.nn_mass,
        "nn_mass_every_layer": cell.every_layer,
        "average_degree": cell.average_degree,
        "inside": cell.inside,
    }


def _layer_values(node: Node) -> dict[str, Any]:
    return {
        "module": node.name,
        "kind": node.kind,
        "width": node.width,
        "resolution": list(node.resolution),
        "kernel": list(node.kernel),
        "groups": node.groups,
        "params": node.params,
        "macs": node.macs,
    }

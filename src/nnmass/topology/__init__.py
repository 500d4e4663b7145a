"""Cells of a network, in closed form and in any layer graph: skips, density, NN-Mass and degree.  NumPy only."""

from nnmass.topology.cell import (
    LARGEST,
    MIN_DENSITY_DEPTH,
    Cell,
    average_degree,
    cell_density,
    nn_mass,
    num_skips,
    possible_skips,
    whole_numbers,
)
from nnmass.topology.cells import FoundCells, find_cells, search_cells
from nnmass.topology.graph import Channels, LayerGraph, Node, Operand, SmallWorld
from nnmass.topology.graph_cell import GraphCell
from nnmass.topology.levels import Projection
from nnmass.topology.links import CellLinks, check_links, draw_links
from nnmass.topology.residual import ResidualCell

__all__ = [
    "LARGEST",
    "MIN_DENSITY_DEPTH",
    "Cell",
    "CellLinks",
    "Channels",
    "FoundCells",
    "GraphCell",
    "LayerGraph",
    "Node",
    "Operand",
    "Projection",
    "ResidualCell",
    "SmallWorld",
    "average_degree",
    "cell_density",
    "check_links",
    "draw_links",
    "find_cells",
    "nn_mass",
    "num_skips",
    "possible_skips",
    "search_cells",
    "whole_numbers",
]

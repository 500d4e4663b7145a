"""Cells of a network: skips, density, NN-Mass and degree in closed form.  NumPy only."""

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
from nnmass.topology.links import CellLinks, check_links, draw_links
from nnmass.topology.residual import ResidualCell

__all__ = [
    "LARGEST",
    "MIN_DENSITY_DEPTH",
    "Cell",
    "CellLinks",
    "ResidualCell",
    "average_degree",
    "cell_density",
    "check_links",
    "draw_links",
    "nn_mass",
    "num_skips",
    "possible_skips",
    "whole_numbers",
]

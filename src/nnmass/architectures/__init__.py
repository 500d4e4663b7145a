"""Specifications of networks, with mass, parameters and MACs in closed form.  No PyTorch."""

from nnmass.architectures.costs import (
    POOLED,
    CellCosts,
    Convolution,
    Costs,
    cell_costs,
    cell_resolutions,
    dense_cnn_costs,
    dense_mlp_costs,
    head_costs,
)
from nnmass.architectures.dense_cnn import DenseCNN
from nnmass.architectures.dense_mlp import Activation, DenseMLP
from nnmass.architectures.files import load_spec, spec_from_dict
from nnmass.architectures.specification import Links, Specification, explain

__all__ = [
    "POOLED",
    "Activation",
    "CellCosts",
    "Convolution",
    "Costs",
    "DenseCNN",
    "DenseMLP",
    "Links",
    "Specification",
    "cell_costs",
    "cell_resolutions",
    "dense_cnn_costs",
    "dense_mlp_costs",
    "explain",
    "head_costs",
    "load_spec",
    "spec_from_dict",
]

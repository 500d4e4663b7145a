"""Latency of networks from measured blocks: what there is to time, and the table of what was.  No PyTorch."""

from nnmass.latency.blocks import KINDS, Block, block, blocks_of, inverted_residual_block, residual_block
from nnmass.latency.table import Conditions, LatencyTable, Prediction, Timing

__all__ = [
    "KINDS",
    "Block",
    "Conditions",
    "LatencyTable",
    "Prediction",
    "Timing",
    "block",
    "blocks_of",
    "inverted_residual_block",
    "residual_block",
]

"""Latency of networks from measured blocks: what there is to time, and the table of what was.  No PyTorch."""

from nnmass.latency.blocks import KINDS, Block, block, blocks_of, comparison, inverted_residual_block, residual_block
from nnmass.latency.monotone import Smoothed, smoothed
from nnmass.latency.table import Conditions, LatencyTable, Prediction
from nnmass.latency.times import LARGEST_CORRECTION, PASSES, Latency, Timing, corrected, known_from, total

__all__ = [
    "KINDS",
    "LARGEST_CORRECTION",
    "PASSES",
    "Block",
    "Conditions",
    "Latency",
    "LatencyTable",
    "Prediction",
    "Smoothed",
    "Timing",
    "block",
    "blocks_of",
    "comparison",
    "corrected",
    "inverted_residual_block",
    "known_from",
    "residual_block",
    "smoothed",
    "total",
]

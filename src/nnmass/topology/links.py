"""Which channels a cell's skips come from."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from nnmass.errors import InvalidValueError
from nnmass.topology.cell import Cell

CellLinks: TypeAlias = tuple[tuple[int, ...], ...]
"""For each layer of a cell the channels it skips from, ascending; channel c is output c % width of layer c // width."""


def draw_links(cell: Cell, generator: np.random.Generator) -> CellLinks:
    """Draw the skips of a cell uniformly without replacement.

    Layer i >= 2 draws ``min(max_skips, width * (i - 1))`` of the ``width * (i - 1)`` outputs of layers 0 ... i-2;
    layers 0 and 1 draw none.  Source: arXiv:1910.00780, section 3.

    Note:
        The published CNN code draws from layers 1 ... i-1 instead, so that many of its skips repeat the layer's
        direct input and none reaches layer 0.

    Examples:
        >>> draw_links(Cell(width=1, depth=4, max_skips=9), np.random.default_rng(0))
        ((), (), (0,), (0, 1))
    """
    return tuple(
        tuple(np.sort(generator.choice(cell.width * (i - 1), skips, replace=False)).tolist()) if skips else ()
        for i, skips in enumerate(cell.layer_skips)
    )


def check_links(cell: Cell, links: Sequence[Sequence[int]], *, where: str = "links") -> None:
    """Check that ``links`` are skips that ``cell`` can have.

    Raises:
        InvalidValueError: a wrong number of layers or skips, a channel out of range, repeated or out of order.
    """
    if len(links) != cell.depth:
        raise InvalidValueError(f"{where} must list {cell.depth} layers (the depth), got {len(links)}")
    for i, (channels, skips) in enumerate(zip(links, cell.layer_skips, strict=True)):
        if len(channels) != skips:
            raise InvalidValueError(f"{where}[{i}] must have {skips} skips, got {len(channels)}")
        if any(a >= b for a, b in pairwise(channels)):
            raise InvalidValueError(f"{where}[{i}] must be ascending without repeats")
        if channels and not (channels[0] >= 0 and channels[-1] < cell.width * (i - 1)):
            raise InvalidValueError(
                f"{where}[{i}] must lie in 0 ... {cell.width * (i - 1) - 1} (outputs of layers 0 ... {i - 2}), "
                f"got {channels[0]} ... {channels[-1]}"
            )

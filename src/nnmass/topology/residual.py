"""Skips, density and NN-Mass of one residual block, in closed form.

A block has weighted layers 1 to D between nodes of widths w_0, w_1, ..., w_D; a shortcut adds node 0 to node D.  The
rule is that of all cells, of which `nnmass.topology.Cell` is the case of concatenation: possible skips into node i >= 2
come from nodes 0 to i-2, and the mass is the density times the widths that make up the cell, here w_0 to w_{D-1},
since node D is the next block's first.
"""

from dataclasses import dataclass

import numpy as np

from nnmass.errors import InvalidValueError
from nnmass.representation import brief
from nnmass.topology.cell import whole_numbers


@dataclass(frozen=True)
class ResidualCell:
    """One residual block (arXiv:1910.00780, section 5.4).

    Attributes:
        widths: channels of nodes 0 to D; at least two nodes.
        shortcut: whether node 0 is added to node D, and is counted.

    Raises:
        InvalidValueError: fewer than two nodes, or a width that is not a whole number of at least 1.

    Examples:
        >>> ResidualCell((64, 64, 64)).nn_mass  # basic block: 64 + 64, density 1
        128.0
        >>> bottleneck = ResidualCell((256, 64, 64, 256))
        >>> bottleneck.density, bottleneck.nn_mass  # 256 of 2 * 256 + 64
        (0.4444444444444444, 170.66666666666666)
    """

    __repr__ = brief

    widths: tuple[int, ...]
    shortcut: bool = True

    def __post_init__(self) -> None:
        if len(self.widths) < 2:
            raise InvalidValueError(f"a residual cell needs at least two nodes, got widths {self.widths}")
        whole_numbers("widths", np.asarray(self.widths), minimum=1)
        object.__setattr__(self, "widths", tuple(int(width) for width in self.widths))

    @property
    def depth(self) -> int:
        """Weighted layers, D."""
        return len(self.widths) - 1

    @property
    def num_skips(self) -> int:
        """Channels of the shortcut; 0 below two layers, where it passes over nothing."""
        return self.widths[0] if self.shortcut and self.depth > 1 else 0

    @property
    def possible_skips(self) -> int:
        """Channels that could skip: Σ_{i>=2} Σ_{j<=i-2} w_j."""
        return sum(sum(self.widths[: i - 1]) for i in range(2, self.depth + 1))

    @property
    def density(self) -> float:
        """Share of the possible skips; an `InvalidValueError` below two layers, where none is possible."""
        if self.depth < 2:
            raise InvalidValueError(f"a density needs at least two layers, got {self.depth}: no skip is possible")
        return self.num_skips / self.possible_skips

    @property
    def nn_mass(self) -> float:
        """Density times Σ w_0 ... w_{D-1}; 0 below two layers."""
        return self.density * sum(self.widths[:-1]) if self.depth > 1 else 0.0

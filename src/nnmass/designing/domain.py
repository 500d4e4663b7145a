"""Where the theory speaks: the specifications that may stand in for a reference."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.architectures import DenseCNN, DenseMLP, LinkedSpecification
from nnmass.designing.spaces import DENSITY_CAP
from nnmass.errors import InvalidValueError
from nnmass.topology import MIN_DENSITY_DEPTH, Cell, cell_density, nn_mass

IntArray: TypeAlias = npt.NDArray[np.int64]

CELL_TOLERANCE = 0.1
STAGE_TOLERANCE = 0.3
INNER_TOLERANCES = (0.25, 0.5)
_INNER_STEP = 8
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Domain:
    """Bounds on a design, besides the reference's widths, which it keeps.

    NN-Mass compares networks of equal width and of depths that are not extreme.  Without bounds the cheapest network of
    a given mass is the shallowest and densest one, far from anything the theory or a fit speaks of.

    Attributes:
        min_depth: fewest layers of a cell; None: half of the reference's (rounded up), but at least 3.
        max_density: largest density of a cell; a cell of the reference that is denser may stay as dense as it is.
        cell_tolerance: how far the mass of a single cell may move, relative to what it is in the reference; one step of
            its skips is always allowed.  None: only the sum over the cells counts, and the skips of a network of
            several cells gather where they are cheapest, in the last one.
        stage_tolerance: the same for the stages of residual networks, whose mass moves by whole blocks.  None: blocks
            gather in the stage where mass is cheapest.
        inner_tolerance: how far the inner width of bottlenecks may lie below the reference's, relatively.  NN-Mass
            hardly sees it, so that without a bound the cheapest bottlenecks are the thinnest.  None: a quarter, and
            half only where nothing else meets the budgets.
    """

    min_depth: int | None = None
    max_density: float = DENSITY_CAP
    cell_tolerance: float | None = CELL_TOLERANCE
    stage_tolerance: float | None = STAGE_TOLERANCE
    inner_tolerance: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.max_density <= 1:
            raise InvalidValueError(f"max_density must lie in (0, 1], got {self.max_density}")
        for name in ("cell_tolerance", "stage_tolerance", "inner_tolerance"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise InvalidValueError(f"{name} must lie in [0, 1), got {value}")
        if self.min_depth is not None and self.min_depth < MIN_DENSITY_DEPTH:
            raise InvalidValueError(f"min_depth must be at least {MIN_DENSITY_DEPTH}, got {self.min_depth}")

    def depth_choices(self, cell: Cell) -> range:
        """Depths that may replace a cell's: its own and below."""
        low = self.min_depth if self.min_depth is not None else max((cell.depth + 1) // 2, MIN_DENSITY_DEPTH)
        return range(min(low, cell.depth), cell.depth + 1)

    def inner_choices(self, own: int) -> tuple[int, ...]:
        """Inner widths that may replace a bottleneck's: its own and below, those from 32 on by eights.

        Examples:
            >>> Domain().inner_choices(128), Domain().inner_choices(4)
            ((96, 104, 112, 120, 128), (3, 4))
        """
        step = _INNER_STEP if own >= 4 * _INNER_STEP else 1
        tolerance = INNER_TOLERANCES[0] if self.inner_tolerance is None else self.inner_tolerance
        least = max((1 - tolerance) * own - _ROUNDING, 1)
        return (*(width for width in range(step, own, step) if width >= least), own)

    def density_cap(self, cell: Cell) -> float:
        """Largest density that may replace this cell's."""
        own = cell.density if cell.depth >= MIN_DENSITY_DEPTH else 0.0
        return max(self.max_density, own)

    def skip_choices(self, cell: Cell, depth: int) -> IntArray:
        """Return, ascending, the max_skips that a cell of this depth may have in place of the reference's cell."""
        if depth < MIN_DENSITY_DEPTH:
            return np.zeros(1, np.int64)
        candidates = np.arange(cell.width * (depth - 2) + 1)
        allowed = cell_density(cell.width, depth, candidates) <= self.density_cap(cell) + _ROUNDING
        if self.cell_tolerance is not None:
            distance = np.abs(nn_mass(cell.width, depth, candidates) - cell.nn_mass)
            step = nn_mass(cell.width, depth, 1)
            allowed &= distance <= max(self.cell_tolerance * cell.nn_mass, step if cell.num_skips else 0.0) + _ROUNDING
        return candidates[allowed]


def respecified(
    reference: LinkedSpecification, depths: tuple[int, ...], max_skips: tuple[int, ...]
) -> LinkedSpecification:
    """Return the reference with other depths and skips, its links left to be drawn."""
    if isinstance(reference, DenseMLP):
        changes: dict[str, object] = {"depth": depths[0], "max_skips": max_skips[0]}
    elif isinstance(reference, DenseCNN):
        changes = {"depth": depths, "max_skips": max_skips}
    else:
        raise InvalidValueError(f"compression takes a DenseMLP or DenseCNN, got {reference.family}")
    values = reference.model_dump(exclude={"links"}) | changes
    return type(reference)(**values)

"""How large a space may be: stated limits, checked before time or memory is spent."""

from nnmass.errors import ResourceError
from nnmass.memory import require_memory

MOST_CHOICES = 100_000
"""Most values that one choice of a space may list."""
MOST_PAIRS = 5_000_000
"""Most pairs of a width and a depth, or of what enters a stage and what leaves it."""
MOST_OPTIONS = 20_000_000
"""Most options of all cells or stages together that are listed one by one."""
_EXACT = 2**53
"""Whole numbers up to this are exact in floating point."""
_BYTES_OF_AN_OPTION = 200
"""Quantities and choices of an option, and the copies that the solver makes of them."""


def most_links(width: int, depth: int) -> int:
    """Links between the layers of a cell that has every skip.

    Examples:
        >>> most_links(2, 3)  # 4 into layer 1, 8 into layer 2
        12
    """
    return width * width * depth * (depth - 1) // 2


def limit_counts(largest: int) -> None:
    """Refuse networks whose costs are too large to be counted exactly.

    Raises:
        ValueError: for a validator.
    """
    if largest > _EXACT:
        raise ValueError(f"its largest network would cost about {largest:.1e}: counts are exact up to {_EXACT:.1e}")


def limit_pairs(pairs: int) -> None:
    """Refuse a space of too many combinations.

    Raises:
        ValueError: for a validator.
    """
    if pairs > MOST_PAIRS:
        raise ValueError(f"its choices make {pairs:,} combinations of a stage or cell: at most {MOST_PAIRS:,}")


def limit_options(options: int) -> None:
    """Refuse to list too many options.

    Raises:
        ResourceError: too many, or more than the memory holds.
    """
    if options > MOST_OPTIONS:
        raise ResourceError(f"the space has {options:,} options of its cells or stages: at most {MOST_OPTIONS:,}")
    require_memory(options * _BYTES_OF_AN_OPTION, f"a space of {options:,} options of its cells or stages")

"""How large a space may be: stated limits, checked before time or memory is spent.

The checks of a space's own values raise a ``ValueError``, for its validator.
"""

from nnmass.architectures.specification import shown
from nnmass.errors import ResourceError
from nnmass.memory import require_memory

MOST_CHOICES = 100_000
"""Most values that one choice of a space may list."""
MOST_CELLS = 64
"""Most cells or stages."""
MOST_PAIRS = 5_000_000
"""Most pairs of choices that are looked at together: a width and a depth, or widths of neighbouring stages."""
MOST_TRANSITIONS = 20_000
"""Most ways of all stages together from what enters a stage to what leaves it."""
MOST_OPTIONS = 6_000_000
"""Most options of all cells or stages together."""
MOST_BLOCKS = 200_000
"""Most blocks of all members together, where members are weighed one by one."""
_EXACT = 2**53
"""Whole numbers up to this are exact in floating point."""
_READABLE_BITS = 64
_BYTES_OF_AN_OPTION = 250
"""Quantities and choices of an option, and the copies that the solver makes of them."""


def most_links(width: int, depth: int) -> int:
    """Links between the layers of a cell that has every skip.

    Examples:
        >>> most_links(2, 3)  # 4 into layer 1, 8 into layer 2
        12
    """
    return width * width * depth * (depth - 1) // 2


def limit_choices(count: int) -> None:
    """Refuse a choice among too many values."""
    if count > MOST_CHOICES:
        raise ValueError(f"a choice among {_number(count)} values: at most {MOST_CHOICES:,}")


def limit_counts(largest: float) -> None:
    """Refuse networks whose costs are too large to be counted exactly."""
    if largest > _EXACT:
        raise ValueError(f"its largest network would cost about {_number(largest)}: at most {_EXACT:,} is exact")


def limit_pairs(pairs: int) -> None:
    """Refuse too many pairs of choices."""
    if pairs > MOST_PAIRS:
        raise ValueError(f"its widths and depths make {_number(pairs)} pairs: at most {MOST_PAIRS:,}")


def limit_transitions(transitions: int) -> None:
    """Refuse stages with too many different ways through them."""
    if transitions > MOST_TRANSITIONS:
        raise ValueError(
            f"its choices make {_number(transitions)} ways from what enters a stage to what leaves it: "
            f"at most {MOST_TRANSITIONS:,}"
        )


def limit_blocks(blocks: int) -> None:
    """Refuse members that have too many blocks together."""
    if blocks > MOST_BLOCKS:
        raise ValueError(f"its members have {_number(blocks)} blocks together: at most {MOST_BLOCKS:,}")


def limit_options(options: int) -> None:
    """Refuse to list too many options.

    Raises:
        ResourceError: too many, or more than the memory holds.
    """
    if options > MOST_OPTIONS:
        raise ResourceError(f"the space has {_number(options)} options of its cells: at most {MOST_OPTIONS:,}")
    require_memory(options * _BYTES_OF_AN_OPTION, f"a space of {options:,} options of its cells or stages")


def _number(value: float) -> str:
    if isinstance(value, int) and value.bit_length() > _READABLE_BITS:
        return shown(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.1e}"

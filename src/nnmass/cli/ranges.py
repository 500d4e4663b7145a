"""Numbers on the command line: the range of an option stands once, in its type."""

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import typer

from nnmass.plain_text import plain

_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9}
_LONGEST = 40  # characters of a number that is read, and of one that a message repeats
_MOST = 10**18


@dataclass(frozen=True)
class Range:
    """Reads a number of a range; NaN and infinity are in none.

    Attributes:
        low: the least.
        high: the largest.
        whole: whether only whole numbers are in it.
        open_low: whether ``low`` itself is not in it.
        open_high: whether ``high`` itself is not in it.

    Examples:
        >>> Range(1, 100)("20"), Range(0, 1, whole=False, open_low=True)("0.5")
        (20, 0.5)
    """

    low: float
    high: float
    whole: bool = True
    open_low: bool = False
    open_high: bool = False

    def __call__(self, text: str) -> float:
        """Read a number.

        Raises:
            BadParameter: it is none, or outside the range.
        """
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            value = math.nan
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        if not (above and below):
            raise typer.BadParameter(f"must be {self}, got {plain(text, limit=_LONGEST)!r}")
        return value

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low, high = _shown(self.low), _shown(self.high)
        if self.open_low:
            return f"{kind} above {low} and {'below' if self.open_high else 'at most'} {high}"
        return f"{kind} from {low} to {'below ' if self.open_high else ''}{high}"

    @property
    def interval(self) -> str:
        """The range as help texts show it."""
        ends = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"{ends[0]}{_shown(self.low)}…{_shown(self.high)}{ends[1]}"


def _shown(value: float) -> str:
    return f"{value:,}" if abs(value) < 10**9 else f"{value:.3g}"


def whole(*names: str, low: int = 1, high: int, help: str) -> Any:
    """Return an option that is a whole number from ``low`` to ``high``."""
    span = Range(low, high)
    return typer.Option(*names, parser=span, metavar=span.interval, help=help)


def real(
    *names: str,
    low: float = 0,
    high: float,
    open_low: bool = False,
    open_high: bool = False,
    help: str,
) -> Any:
    """Return an option that is a number from ``low`` to ``high``, or above and below them."""
    span = Range(low, high, whole=False, open_low=open_low, open_high=open_high)
    return typer.Option(*names, parser=span, metavar=span.interval, help=help)


def count(text: str) -> int:
    """Read a whole number from 1 to 10¹⁸, with k, M or G for thousands, millions and billions (powers of ten).

    Examples:
        >>> count("3.5M"), count("1200"), count("9007199254740993")
        (3500000, 1200, 9007199254740993)
    """
    unit = _UNITS.get(text[-1:], 1)
    digits = text[:-1] if text[-1:] in _UNITS else text
    try:
        read = Decimal(digits.replace(",", "")) if len(text) <= _LONGEST else Decimal("NaN")
    except InvalidOperation:
        read = Decimal("NaN")
    if not read.is_finite() or not 0 < read <= _MOST or (read * unit) % 1 or not 1 <= read * unit <= _MOST:
        shown = plain(text, limit=_LONGEST)
        raise typer.BadParameter(f"must be a whole number from 1 to 10¹⁸ such as 250000, 250k or 1.5M, got {shown!r}")
    return int(read * unit)

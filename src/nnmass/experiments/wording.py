"""Estimates in words that follow from their intervals."""

from typing import Literal, TypeAlias

from nnmass.prediction import Estimate

Sign: TypeAlias = Literal["above", "below", "open"]


def sign(estimate: Estimate) -> Sign:
    """Whether the interval lies above zero, below it, or leaves it open."""
    low, high = estimate.interval
    return "above" if low > 0 else "below" if high < 0 else "open"


def with_interval(estimate: Estimate, digits: int = 2) -> str:
    """Value and interval as text."""
    low, high = estimate.interval
    return f"{estimate.value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def better(gain: Estimate | None) -> str:
    """Whether a gain in accuracy, in points, is one."""
    if gain is None:
        return "neither shown to be better nor worse: there are too few pairs"
    word = {"above": "better", "below": "worse", "open": "not shown to be better or worse"}[sign(gain)]
    return f"{word} ({gain.value:+.2f} [{gain.interval[0]:.2f}, {gain.interval[1]:.2f}] points)"

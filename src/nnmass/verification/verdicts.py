"""What intervals show, in words: every sentence on a measured difference comes from here."""

from typing import Literal, TypeAlias

from nnmass.prediction import FEWEST_UNITS, Estimate
from nnmass.verification.measured_difference import FEWEST_SEEDS, Interval, Measured, MeasuredDifference

Sign: TypeAlias = Literal["above", "below", "open"]
_ROUNDING = 1e-9
TOO_FEW_PAIRS = f"too few to compare, as fewer than {FEWEST_UNITS} of them share no network"


def sign(interval: Interval, *, units: int = FEWEST_UNITS) -> Sign:
    """Whether an interval lies above zero, below it, or leaves it open.

    An interval without width leaves it open, as resamples that all agree tell nothing of scatter; and so does that of a
    bootstrap over fewer than `FEWEST_UNITS`.
    """
    low, high = interval
    if units < FEWEST_UNITS or high - low <= _ROUNDING * max(-low, high):
        return "open"
    return "above" if low > 0 else "below" if high < 0 else "open"


def with_interval(estimate: Estimate, digits: int = 2) -> str:
    """Value and interval as text."""
    low, high = estimate.interval
    return f"{estimate.value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def better(gain: Estimate | None) -> str:
    """Whether a gain in accuracy, in points, is one."""
    if gain is None:
        return f"neither shown to be better nor worse, as fewer than {FEWEST_UNITS} of the pairs share no network"
    low, high = gain.interval
    return f"{_better_or_worse(gain.interval)} ({gain.value:+.2f} [{low:.2f}, {high:.2f}] points)"


def measured_verdict(found: MeasuredDifference, name: str) -> str:
    """Whether one network is better or worse than the reference, in one or more sentences.

    Args:
        found: the difference.
        name: of the network that is compared with the reference: "compressed network".
    """
    over = f"{seed_count(found)} and {found.test_samples:,} test samples"
    if found.interval is not None and not found.paired:
        over += ", which are not paired, as the store lacks the answers of these runs"
    return (
        f"the {name} is {_claim(found)}: {100 * found.compressed.mean:.2f} % against "
        f"{100 * found.reference.mean:.2f} %, a difference of {difference_points(found)} over {over}."
        f"{_left_out(found)}{_at_chance(found, name)}"
    )


def difference_points(found: MeasuredDifference) -> str:
    """The difference in percentage points, with its interval where there is one."""
    interval = "" if found.interval is None else f" {interval_points(found)}"
    return f"{100 * found.difference:+.2f} points{interval}"


def interval_points(found: MeasuredDifference) -> str:
    """The interval of the difference in percentage points, or why there is none."""
    if found.interval is None:
        return f"none: it needs {FEWEST_SEEDS} seeds"
    low, high = found.interval
    return f"[{100 * low:+.2f}, {100 * high:+.2f}]"


def accuracy_percent(measured: Measured) -> str:
    """Mean and standard deviation over seeds, in per cent."""
    spread = "" if measured.std is None else f" ± {100 * measured.std:.2f}"
    return f"{100 * measured.mean:.2f}{spread} %"


def seed_count(found: MeasuredDifference) -> str:
    """How many seeds there are: "1 seed", "3 seeds"."""
    return f"{found.seeds} seed{'s' if found.seeds > 1 else ''}"


def _claim(found: MeasuredDifference) -> str:
    if found.interval is None:
        return f"neither shown to be better nor worse, as an interval needs {FEWEST_SEEDS} seeds"
    open_ = "; the interval says by how much it may be" if sign(found.interval) == "open" else ""
    return f"{_better_or_worse(found.interval)}{open_}"


def _better_or_worse(interval: Interval) -> str:
    return {"above": "better", "below": "worse", "open": "not shown to be better or worse"}[sign(interval)]


def _left_out(found: MeasuredDifference) -> str:
    more = f"{found.left_out} more seed{'s' if found.left_out > 1 else ''}"
    return f" With {more} one of both networks diverged." if found.left_out else ""


def _at_chance(found: MeasuredDifference, name: str) -> str:
    """Name the networks that are not shown to have learned anything."""
    chance = f"above chance, {100 * found.reference.chance:.2f} %"
    named = (("reference", found.reference), (name, found.compressed))
    at_chance = [who for who, measured in named if measured.above_chance is False]
    if len(at_chance) > 1:
        return f" Neither network is shown to be {chance}: the difference says nothing of what they can learn."
    return "".join(f" The {who} is not shown to be {chance}, or to have learned anything." for who in at_chance)

"""What commands print: tables, JSON and progress bars."""

import json
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from nnmass.plain_text import one_line, plain

console = Console()
messages = Console(stderr=True)
_UNBOUNDED = console.options.update(width=10_000)
_BEAT = 1.0  # seconds
_SHARE, _SOONEST, _LATEST = 0.1, 10.0, 60.0
"""Between two lines on progress: a tenth of the time that is gone, within these bounds in seconds."""


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    print(json.dumps(value, indent=1, allow_nan=False))


def say(text: object, *, style: str = "") -> None:
    """Print a line of text as it is: no markup of its own, no break or escape sequence of a name within it."""
    console.print(Text(plain(text), style=style), soft_wrap=not console.is_terminal)


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, wrapped: Sequence[str] | None = None
) -> None:
    """Print a table; the first column is text, the others are numbers.

    Args:
        title: above it.
        columns: their names.
        rows: their texts.
        wrapped: text columns that take what room is left on a terminal; by default all but the first may.
    """
    say(title, style="bold")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, column in enumerate(columns):
        kept = i == 0 if wrapped is None else column not in wrapped
        left = i == 0 or column in (wrapped or ())
        shown = Text(plain(column))
        table.add_column(shown, justify="left" if left else "right", no_wrap=kept, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    if console.is_terminal:
        console.print(table)
    else:  # a file or a pipe has no width
        Console(width=console.measure(table, options=_UNBOUNDED).maximum).print(table)


def note(message: object) -> None:
    """Print a line on standard error that is no error."""
    messages.print(Text(f"note: {one_line(message)}"), soft_wrap=True)


@contextmanager
def saying_what_is_left_out() -> Iterator[None]:
    """Print what reading data warns of, each once and on a line of standard error."""
    from nnmass.data import DataWarning

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", DataWarning)
        yield
    for warning in found:
        if not issubclass(warning.category, DataWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    for message in dict.fromkeys(str(w.message) for w in found if issubclass(w.category, DataWarning)):
        note(message)


class Progress(Protocol):
    """Shows how far work is."""

    def __call__(self, done: int, total: int, figures: str = "") -> None:
        """Tell of finished work, and how it went."""


@contextmanager
def progress_bar(title: str, unit: str = "epochs") -> Iterator[Progress]:
    """Show on standard error how far work is, with an estimate: a bar on a terminal, elsewhere lines."""
    if not messages.is_terminal:
        with _Lines(title, unit) as lines:
            yield lines
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit},"),
        TimeElapsedColumn(),
        TextColumn("gone, left"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=messages, transient=True) as bar:
        task = bar.add_task(plain(title), total=None)

        def show(done: int, total: int, figures: str = "") -> None:
            bar.update(task, completed=done, total=total)

        yield show


class _Lines:
    """Says how far work is: a line at once where there are figures, else now and then, whether it goes on or not."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._done, self._total, self._at_first = 0, 0, 0
        self._began = self._said = time.monotonic()
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._watch, daemon=True)

    def __call__(self, done: int, total: int, figures: str = "") -> None:
        if not self._total:
            self._at_first = done  # what an interrupted call has left
        self._done, self._total = done, total
        if figures:
            self._say(f"; {figures}")

    def __enter__(self) -> "_Lines":
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._clock.join()

    def _watch(self) -> None:
        while not self._ended.wait(_BEAT):
            now = time.monotonic()
            if now - self._said >= min(max((now - self._began) * _SHARE, _SOONEST), _LATEST):
                self._say()

    def _say(self, figures: str = "") -> None:
        self._said = time.monotonic()
        gone, new = self._said - self._began, self._done - self._at_first
        left = (
            f", about {_time(gone * (self._total - self._done) / new)} left"
            if self._total > self._done and new > 0
            else ""
        )
        far = f"{self._done:,} of {self._total:,} {self._unit}" if self._total else "not begun"
        note(f"{self._title}: {far}, {_time(gone)} gone{left}{figures}")


def _time(seconds: float) -> str:
    """A time in the unit that fits.

    Examples:
        >>> _time(3.4), _time(240), _time(36_000)
        ('3 s', '4 min', '10 h')
    """
    unit, length = ("s", 1) if seconds < 120 else ("min", 60) if seconds < 7200 else ("h", 3600)
    return f"{seconds / length:,.0f} {unit}"


def percent(value: float, digits: int = 2) -> str:
    """A share as a percentage."""
    return f"{100 * value:.{digits}f} %"

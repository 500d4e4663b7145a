"""What commands print: tables, JSON and progress bars."""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from nnmass.plain_text import one_line, plain

console = Console()
messages = Console(stderr=True)
_UNBOUNDED = console.options.update(width=10_000)


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


@contextmanager
def progress_bar(title: str, unit: str = "epochs") -> Iterator[Callable[[int, int], None]]:
    """Show a bar with an estimate on standard error, if that is a terminal; yields a function of (done, total)."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit},"),
        TimeElapsedColumn(),
        TextColumn("gone, left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as bar:
        task = bar.add_task(plain(title), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def percent(value: float, digits: int = 2) -> str:
    """A share as a percentage."""
    return f"{100 * value:.{digits}f} %"

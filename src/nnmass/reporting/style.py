"""One look for all pictures: quiet axes, colours that the colour-blind can tell apart, files that are written whole."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from nnmass import atomic
from nnmass.files import check_picture
from nnmass.plain_text import plain

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Okabe and Ito's palette."""

MARKERS = "osD^vP"
"""For the same groups as the colours, to be told apart without them."""

QUANTITY_LABELS = {"nn_mass": "NN-Mass", "params": "parameters", "macs": "MACs", "latency_ms": "latency [ms]"}
"""What pictures and sentences call the quantities."""

_LONGEST_LINE = 160  # characters: a longer one leaves no room for what is drawn
_WITHIN_A_DECADE = 7
_SETTINGS: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "nnmass",
}


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """Draw on a figure of this size (inches) without touching pyplot or the caller's settings."""
    with rc_context(_SETTINGS):
        drawn = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(drawn)
        yield drawn


def picture(drawn: Figure, kind: str) -> bytes:
    """Render a figure as ``"png"``, ``"svg"`` or ``"pdf"``."""
    _make_plain(drawn)
    _show_markers_whole(drawn)
    buffer = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with rc_context(_SETTINGS):
        drawn.savefig(buffer, format=kind, dpi=144, metadata=metadata)
    return buffer.getvalue()


def _show_markers_whole(drawn: Figure) -> None:
    """Let the markers of points on the frame reach over it; lines that leave the frame are still cut there."""
    for axes in drawn.axes:
        x, y = (np.sort(limits) for limits in (axes.get_xlim(), axes.get_ylim()))
        for line in axes.lines:
            points = np.asarray(line.get_xydata(), np.float64)
            inside = ((points >= (x[0], y[0])) & (points <= (x[1], y[1]))).all()
            if line.get_marker() not in {"None", None, "", " "} and inside:
                line.set_clip_on(False)
                line.set_in_layout(False)


def _make_plain(drawn: Figure) -> None:
    """Show text as it is: names from files are no mathematics ($) and hold no characters that cannot be drawn."""
    numbers: set[Text] = set()
    for axis in (axis for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)):
        written = axis.get_major_formatter()
        if isinstance(written, FuncFormatter):  # it writes its ticks again whenever it draws
            axis.set_major_formatter(FuncFormatter(partial(_plain_tick, written.func)))
        else:  # Matplotlib's own numbers, which may be powers of ten
            numbers.update(axis.get_majorticklabels(), axis.get_minorticklabels())
    for text in drawn.findobj(Text):
        if text not in numbers:
            text.set_parse_math(False)
            text.set_text(_plain_lines(text.get_text()))


def _plain_tick(write: Callable[[float, int | None], str], value: float, position: int | None) -> str:
    return _plain_lines(write(value, position))


def _plain_lines(text: str) -> str:
    return "\n".join(plain(line, limit=_LONGEST_LINE) for line in text.split("\n"))


def save(drawn: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure to a .png, .svg or .pdf file.

    Raises:
        InvalidValueError: another ending.
    """
    target = Path(path)
    check_picture(target)
    return atomic.write_bytes(target, picture(drawn, target.suffix[1:]))


class _LogTicks(LogLocator):
    """Within a decade LogLocator marks every step of a linear scale: more labels than a panel has room for."""

    def tick_values(self, vmin: float, vmax: float) -> Any:
        found = super().tick_values(vmin, vmax)
        return found[::2] if vmax < 10 * vmin and len(found) > _WITHIN_A_DECADE else found


def plain_log_ticks(axis: Any) -> None:
    """Label the 1, 2 and 5 of each decade of a logarithmic axis, as plain numbers."""
    axis.set_major_locator(_LogTicks(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(_short))
    axis.set_minor_formatter(NullFormatter())


def plain_ticks(axis: Any) -> None:
    """Label a linear axis with plain numbers."""
    axis.set_major_formatter(FuncFormatter(_short))


def _short(value: float, _: object) -> str:
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{unit}"
    return f"{value:g}"

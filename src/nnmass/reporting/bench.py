"""Latency and memory of a network: tables, and predictions against measurements."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from nnmass.latency import total as sum_of
from nnmass.reporting.style import COLOURS, figure, plain_log_ticks
from nnmass.reporting.tables import TextTable
from nnmass.timing import Bench


def bench_rows(found: Bench) -> TextTable:
    """Blocks, like neighbours together, with what they take by the table."""
    assert found.prediction is not None
    total = found.prediction.latency.ms
    rows = []
    for block, group in groupby(found.prediction.blocks, key=lambda pair: pair[0]):
        parts = [latency for _, latency in group]
        ms, low, high = sum_of(parts)
        steady = "not steady" if block in found.prediction.unstable else ""
        bounds = f"{ms:.3f} [{low:.3f}, {high:.3f}]"
        rows.append((str(block), str(len(parts)), bounds, f"{ms / total:.1%}", steady))
    return ("block", "times", "ms", "share", ""), rows


def bench_summary(found: Bench) -> list[str]:
    """What was measured, in sentences."""
    timing = found.latency
    lines = [
        f"{found.name}: {timing.median_ms:.2f} ms (10 … 90 %: {timing.p10_ms:.2f} … {timing.p90_ms:.2f}, 99 %: "
        f"{timing.p99_ms:.2f}; {timing.repeats} repeats)",
        f"on {found.conditions}",
    ]
    if timing.unstable:
        lines.append(f"not steady: {timing.unstable}; measure again when the machine does less")
    if found.prediction is not None:
        lines.append(f"predicted from its blocks: {found.prediction.latency} ({found.relative_error:+.1%})")
        if found.prediction.unstable:
            kinds = len({block for block, _ in found.prediction.blocks})
            lines.append(
                f"{len(found.prediction.unstable)} of its {kinds} blocks were not steady; the same command measures "
                "them again"
            )
    memory = []
    if found.peak_bytes is not None:
        memory.append(f"{found.peak_bytes / 1e6:.2f} MB held at most in a forward pass of one input")
    if found.activation_bytes is not None:
        memory.append(f"{found.activation_bytes / 1e6:.2f} MB needed where norms and activations work in place")
    return [*lines, *([f"activations: {'; '.join(memory)}"] if memory else [])]


class Checked(NamedTuple):
    """A network whose latency was predicted and measured.

    Attributes:
        family: what it is of.
        predicted_ms: from its blocks.
        measured_ms: as a whole.
    """

    family: str
    predicted_ms: float
    measured_ms: float


def latency_figure(networks: Sequence[Checked], *, title: str) -> Figure:
    """Draw predicted against measured latency of whole networks, with a band of 15 %."""
    with figure(5.2, 4.6) as drawn:
        axes = drawn.subplots()
        values = [value for network in networks for value in network[1:]]
        span = np.array([min(values) * 0.85, max(values) * 1.15])
        axes.fill_between(span, span * 0.85, span * 1.15, color="#e6e6e6", linewidth=0, label="within 15 %")
        axes.plot(span, span, color="#8c8c8c", linewidth=1)
        for k, family in enumerate(dict.fromkeys(network.family for network in networks)):
            own = [network for network in networks if network.family == family]
            points = [n.measured_ms for n in own], [n.predicted_ms for n in own]
            axes.plot(*points, "o", color=COLOURS[k % len(COLOURS)], markersize=5, label=family)
        axes.set(xscale="log", yscale="log", xlabel="measured [ms]", ylabel="predicted from blocks [ms]", title=title)
        for axis in (axes.xaxis, axes.yaxis):
            plain_log_ticks(axis)
        axes.legend()
    return drawn

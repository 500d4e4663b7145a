"""Designs within budgets, and fronts: tables, pictures and the report."""

import os
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from nnmass import atomic
from nnmass.architectures import LinkedSpecification
from nnmass.designing import Candidate, Design, Space, describe
from nnmass.reporting.page import Section, render_page
from nnmass.reporting.style import COLOURS, QUANTITY_LABELS, figure, picture, plain_log_ticks, plain_ticks
from nnmass.reporting.tables import TextTable, comparison_notes
from nnmass.reporting.topology import topology_figure

_MOST_ROWS = 40
_DECADE = 10


def design_rows(design: Design) -> TextTable:
    """The network and its alternatives, a row each; with alternatives, what is proven of each."""
    columns, rows = _rows(listed := [design.best, *design.alternatives])
    if not design.alternatives:
        return columns, rows
    return (*columns, "proven"), [(*row, _proof(candidate)) for row, candidate in zip(rows, listed, strict=True)]


def _proof(candidate: Candidate) -> str:
    certificate = candidate.certificate
    return "yes" if certificate is None or certificate.optimal else f"to {certificate.gap:.2%}"


def front_rows(front: Sequence[Candidate]) -> TextTable:
    """A front, cheapest first; of a long one evenly spread rows, the first and the last among them."""
    count = min(len(front), _MOST_ROWS)
    last = len(front) - 1
    return _rows([front[round(i * last / max(count - 1, 1))] for i in range(count)])


def _rows(candidates: Sequence[Candidate]) -> TextTable:
    timed, predicted = any(c.latency_ms is not None for c in candidates), any(c.accuracy for c in candidates)
    bounded = any(c.possible_mass is not None for c in candidates)
    columns = ["network", "NN-Mass", *["possibly"] * bounded, "params", "MACs", *["latency"] * timed, "activations"]
    columns += ["accuracy [95 %]"] * predicted
    rows = []
    for candidate in candidates:
        spec = candidate.spec
        row = [describe(spec), f"{spec.nn_mass:,.2f}"]
        if bounded:
            row.append("–" if candidate.possible_mass is None else f"{candidate.possible_mass:,.2f}")
        row += [f"{spec.params:,}", f"{spec.macs:,}"]
        if timed:
            row.append("–" if candidate.latency is None else str(candidate.latency))
        row.append(f"{spec.activation_bytes / 1e6:.2f} MB")
        if predicted:
            row.append(_accuracy(candidate))
        rows.append(tuple(row))
    return tuple(columns), rows


def _accuracy(candidate: Candidate) -> str:
    prediction = candidate.accuracy.get("nn_mass")
    if prediction is None:
        return "–"
    return f"{100 * prediction.mean:.1f} % [{100 * prediction.low:.1f}, {100 * prediction.high:.1f}]"


def design_summary(design: Design) -> list[str]:
    """What is known of a design, in sentences."""
    certificate = design.certificate
    name = QUANTITY_LABELS["nn_mass" if design.objective == "mass" else design.objective]
    most = "larger" if design.objective == "mass" else "fewer" if design.objective != "latency_ms" else "smaller"
    if certificate.optimal:
        surely = "surely " if design.budgets.max_latency_ms is not None else ""
        at_most = ", by the upper bounds of the latency table" if design.objective == "latency_ms" else ""
        proof = f"Proven: no network of the space {surely}within the budgets has {most} {name}{at_most}."
    else:
        proof = f"Not proven: the bound on {name} is {certificate.bound:,.4g}, {certificate.gap:.2%} away."
    looked = f" {certificate.examined:,} partial networks were looked at." if certificate.examined else ""
    lines = [proof + looked, *(f"{note[0].upper()}{note[1:]}." for note in design.latency_notes)]
    if design.alternatives:
        lines.append("Each further network is the best of those unlike all before it, proven where it says so.")
    if design.list_ends:
        lines.append(f"The list ends here: {design.list_ends}.")
    lines += [f"Outside the domain: {reason}." for reason in design.best.outside]
    if design.fit is not None:
        lines += [
            f"Network {k} of the list has no predicted accuracy: {'; '.join(candidate.outside)}."
            for k, candidate in enumerate(design.alternatives, start=2)
            if "nn_mass" not in candidate.accuracy
        ]
    others = {key: value for key, value in design.best.accuracy.items() if key != "nn_mass"}
    if others:
        listed = ", ".join(f"{100 * value.mean:.1f} % from {QUANTITY_LABELS[key]}" for key, value in others.items())
        lines.append(f"The same fit on plain counts predicts {listed}.")
    if design.fit is None:
        lines.append("No accuracy is predicted: --fit takes the runs of nnmass sweep.")
        return lines
    return [*lines, *comparison_notes(design.fit)]


def front_figure(front: Sequence[Candidate], cost: str, *, title: str) -> Figure:
    """Draw the largest NN-Mass at every cost.

    Args:
        front: cheapest first.
        cost: ``"params"``, ``"macs"`` or ``"latency_ms"``.
        title: above it.
    """
    with figure(7.2, 3.8) as drawn:
        axes = drawn.subplots()
        costs, masses = [_cost(c, cost) for c in front], [c.spec.nn_mass for c in front]
        axes.step(costs, masses, where="post", color=COLOURS[0], linewidth=1.4)
        axes.plot(costs, masses, ".", color=COLOURS[0], markersize=6)
        possible = [c.possible_mass for c in front if c.possible_mass is not None]
        if possible:
            label = "possible by the latency table"
            axes.step(costs, possible, where="post", color=COLOURS[0], linewidth=0.8, linestyle=":", label=label)
            axes.legend()
        upper = ", upper bound" if cost == "latency_ms" else ""
        axes.set(xlabel=f"{QUANTITY_LABELS[cost]}{upper}", ylabel="largest NN-Mass", title=title)
        if max(costs) > _DECADE * min(costs):
            axes.set_xscale("log")
            plain_log_ticks(axes.xaxis)
        else:
            plain_ticks(axes.xaxis)
        axes.set_ylim(bottom=0)
    return drawn


def _cost(candidate: Candidate, cost: str) -> float:
    if cost == "latency_ms":
        assert candidate.latency is not None
        return candidate.latency.high_ms
    return float(getattr(candidate.spec, cost))


def write_design(design: Design, folder: str | os.PathLike[str], values: dict[str, Any]) -> None:
    """Write design.json, report.html, its picture and result.json to a folder.

    Args:
        design: what to report; of a network with random links those of seed 0 are written.
        folder: made where it is missing.
        values: what result.json holds.
    """
    spec = design.spec.with_links(0)
    if isinstance(spec, LinkedSpecification):
        drawn = topology_figure([("design", spec)])
        caption = "Every dot is a layer, every arc a set of skip channels from one layer to a later one; seed 0."
    else:
        from nnmass.reporting.layer_graph import layer_graph_figure
        from nnmass.tracing import analyze

        drawn = layer_graph_figure(analyze(spec, name="design"))
        caption = "A bar per layer, an arc per shortcut, a box per block with its NN-Mass."
    sections = [
        Section("The network and alternatives", design_summary(design), design_rows(design)),
        Section("Skips", drawn=drawn, caption=caption),
    ]
    page = render_page("Designed from NN-Mass", describe(spec), sections, {"provenance": values["provenance"]})
    files = {"design.json": spec.to_text().encode(), "skips.png": picture(drawn, "png"), "report.html": page.encode()}
    atomic.write_files(folder, files | {"result.json": atomic.json_text(values).encode()})


def write_front(
    space: Space, cost: str, front: Sequence[Candidate], folder: str | os.PathLike[str], values: dict[str, Any]
) -> None:
    """Write front.png and front.json to a folder."""
    title = f"{space.family}: {len(front):,} best of {space.size():,} networks"
    drawn = picture(front_figure(front, cost, title=title), "png")
    atomic.write_files(folder, {"front.png": drawn, "front.json": atomic.json_text(values).encode()})

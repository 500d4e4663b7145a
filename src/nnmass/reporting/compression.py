"""The report of a compressed network."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nnmass import atomic
from nnmass.architectures import LinkedSpecification, Specification
from nnmass.designing import Compression, describe, domain_text, structure
from nnmass.errors import InvalidValueError
from nnmass.networks import Network as Module
from nnmass.prediction import Network
from nnmass.propagation import ExpectedIsometry, expected_isometry
from nnmass.reporting.accuracy import Mark, accuracy_figure, marked_figure
from nnmass.reporting.layer_graph import layer_graph_figure
from nnmass.reporting.page import Section, render_page
from nnmass.reporting.style import COLOURS, QUANTITY_LABELS, picture
from nnmass.reporting.tables import TextTable, comparison_rows
from nnmass.reporting.topology import topology_figure
from nnmass.tracing import analyze
from nnmass.training import weights_bytes
from nnmass.verification import CompressionOutcome, accuracy_percent, interval_points, measured_verdict, seed_count

NAMES = ("reference", "compressed")


def compression_rows(outcome: CompressionOutcome) -> TextTable:
    """Mass, costs, predicted and measured accuracy of reference and compressed, and their ratio or difference."""
    table = outcome.compression.table
    ratio = table["ratio"]

    def row(label: str, text: Callable[[str], str], last: str = "") -> tuple[str, ...]:
        return (label, *(text(name) for name in NAMES), last)

    def listed(key: str) -> Callable[[str], str]:
        return lambda name: ", ".join(f"{value:g}" for value in _one_if_equal(table[name][key]))

    rows = [
        *(row(key.replace("_", " "), listed(key)) for key in structure(outcome.compression.reference)),
        row("NN-Mass", lambda name: f"{table[name]['nn_mass']:.2f}", f"× {ratio['nn_mass']:.3f}"),
        row("params", lambda name: f"{table[name]['params']:,}", f"× {ratio['params']:.3f}"),
        row("MACs", lambda name: f"{table[name]['macs']:,}", f"× {ratio['macs']:.3f}"),
    ]
    if "latency_ms" in ratio:
        rows.append(row("latency", lambda name: _latency(outcome, name), f"× {ratio['latency_ms']:.3f}"))
    if outcome.predictions:
        rows.append(row("predicted accuracy", lambda name: _predicted(outcome, name)))
        rows.append(row("  95 % interval", lambda name: _interval(outcome, name)))
    if outcome.verification is not None:
        found = outcome.verification
        measured = {name: accuracy_percent(getattr(found, name)) for name in NAMES}
        rows.append(row("measured accuracy", measured.__getitem__, f"{100 * found.difference:+.2f} points"))
        rows.append(("  95 % interval", "", f"{seed_count(found)} each", interval_points(found)))
    return ("", *NAMES, "compressed / reference"), rows


def front_between(outcome: CompressionOutcome) -> TextTable:
    """Networks of the same mass between the budget, or the reference, and the cheapest, the dearest first."""
    reference = outcome.compression.reference
    rows = [
        (
            describe(spec),
            f"{spec.nn_mass:,.2f}",
            f"{spec.params:,}",
            f"{spec.macs:,}",
            f"× {spec.params / reference.params:.3f}",
            f"× {spec.macs / reference.macs:.3f}",
        )
        for spec in outcome.compression.front
    ]
    return ("network", "NN-Mass", "params", "MACs", "params / reference", "MACs / reference"), rows


def summary(outcome: CompressionOutcome) -> str:
    """The outcome in one or two sentences."""
    ratio = outcome.compression.table["ratio"]
    text = (
        f"The compressed network has {ratio['macs']:.2f} × the MACs and {ratio['params']:.2f} × the parameters of the "
        f"reference at {ratio['nn_mass']:.3f} × its NN-Mass."
    )
    found = outcome.verification
    if found is None:
        return text
    return f"{text}  Trained alike on {outcome.data}, {measured_verdict(found, 'compressed network')}"


def write_compression(
    outcome: CompressionOutcome, model: Module, folder: str | os.PathLike[str], extra: dict[str, Any]
) -> dict[str, Any]:
    """Write compressed.json, weights.safetensors, report.html, its pictures and result.json to a folder.

    Args:
        outcome: what to report.
        model: the compressed network; the specification that is written has its links.
        folder: made where it is missing.
        extra: joined to the result, e.g. provenance.

    Returns:
        What result.json holds.
    """
    fixed = replace(outcome, compression=replace(outcome.compression, spec=model.spec))
    values = {**fixed.to_dict(), **extra}
    sections = _sections(fixed)
    page = render_page("Compressed at equal NN-Mass", summary(fixed), sections, extra)
    files = {"compressed.json": model.spec.to_text().encode(), "weights.safetensors": weights_bytes(model)}
    for section in sections:
        if section.drawn is not None:
            files[f"{section.heading.lower().replace(' ', '-')}.png"] = picture(section.drawn, "png")
    files |= {"report.html": page.encode(), "result.json": atomic.json_text(values).encode()}
    atomic.write_files(folder, files)
    return values


def _sections(outcome: CompressionOutcome) -> list[Section]:
    compression = outcome.compression
    named = list(zip(NAMES, (compression.reference, compression.spec), strict=True))
    costs = [Section("Costs and accuracy", cost_notes(outcome), compression_rows(outcome))]
    if compression.front:
        text = "Networks of the same NN-Mass between the budget, or the reference, and the cheapest."
        costs.append(Section("In between", [text], front_between(outcome)))
    about_skips = _skip_sections(named)
    if outcome.comparison is None:
        return [*costs, *about_skips]
    return [*costs, _accuracy_section(outcome), *about_skips, _baseline_section(outcome)]


def _skip_sections(named: Sequence[tuple[str, Specification]]) -> list[Section]:
    linked = [(name, spec) for name, spec in named if isinstance(spec, LinkedSpecification)]
    if not linked:
        caption = "A bar per layer, an arc per shortcut, a box per block with its NN-Mass."
        return [
            Section(f"Skips of {name}", drawn=layer_graph_figure(analyze(spec, name=name)), caption=caption)
            for name, spec in named
        ]
    topology = Section(
        "Skip topology",
        drawn=topology_figure(linked),
        caption="Every dot is a layer, every arc a set of skip channels from one layer to a later one.  Where links "
        "are drawn at random, those of seed 0 are shown.",
    )
    return [topology, *_propagation_sections(linked)]


def _propagation_sections(named: Sequence[tuple[str, LinkedSpecification]]) -> list[Section]:
    """What theory expects of gradients; nothing for networks that it does not cover."""
    try:
        rows = [(name, *_propagation(expected_isometry(spec))) for name, spec in named]
    except InvalidValueError:
        return []
    text = (
        "The mean singular value of the hidden layers' Jacobians at initialisation, as random matrix theory expects it "
        "from widths, skips and PyTorch's default weights.  Equal NN-Mass makes it nearly equal in a DenseMLP, less so "
        "in a DenseCNN; nnmass isometry measures it."
    )
    return [Section("Gradient propagation", [text], (("", "mean singular value", "standard deviation"), rows))]


def _propagation(theory: ExpectedIsometry) -> tuple[str, str]:
    known = theory.mean is not None and theory.std is not None
    return (f"{theory.mean:.3f}", f"{theory.std:.3f}") if known else ("–", "–")


def cost_notes(outcome: CompressionOutcome) -> list[str]:
    """What is proven of the answer, where it was looked for, and what is to be said of it."""
    compression = outcome.compression
    certificate = compression.certificate
    domain = domain_text(compression.reference, compression.domain)
    among = (
        f"{certificate.space_size:,} specifications of the domain ({domain}) with equal NN-Mass within "
        f"{compression.tolerance:.0%}"
    )
    cost = QUANTITY_LABELS[compression.objective].removesuffix(" [ms]")
    if compression.aims:
        answer = f"This network comes nearest to the budget of {cost}, from below, of the {among}"
        proof = "it is proven that none comes nearer by more than a thousandth"
    else:
        answer = f"This network is the cheapest in {cost} of the {among}"
        proof = "it is proven that none is cheaper"
    if compression.timed is not None and "latency_ms" in (compression.objective, *compression.budgets):
        proof += " by the upper bounds of the latency table"
    if not compression.optimal:
        proof = f"at most {certificate.gap:.2%} from what is proven possible"
    notes = [f"{answer}; {proof}.", *compression.notes]
    if outcome.not_predicted:
        notes.append(f"No prediction: {outcome.not_predicted}")
    if outcome.predictions and outcome.comparison is not None and (misfit := outcome.comparison.mass.misfit):
        notes.append(f"The prediction is in doubt: {misfit}.")
    if outcome.verification is None:
        notes.append("Not measured: run with --verify to train both.")
    return notes


def _accuracy_section(outcome: CompressionOutcome) -> Section:
    assert outcome.comparison is not None
    comparison = outcome.comparison
    marks = [Mark(name, network, COLOURS[i]) for i, (name, network) in enumerate(_measured_networks(outcome))]
    return Section(
        "Accuracy against NN-Mass",
        [
            f"The line is fitted to {comparison.mass.n} smaller networks trained alike, "
            f"{comparison.networks[0].seeds} seeds each; reference and compressed are not among them.  "
            "It predicts the mean over seeds of a new network."
        ],
        drawn=marked_figure(comparison, marks, title=f"{outcome.data}: test accuracy against NN-Mass"),
        caption="Grey: the fitted networks.  Marked: reference and compressed as measured, with one standard deviation "
        "over seeds.",
    )


def _baseline_section(outcome: CompressionOutcome) -> Section:
    assert outcome.comparison is not None
    return Section(
        "How far to trust it",
        [
            "The same networks fitted on plain counts.  R², and how far it is behind that of "
            "NN-Mass, with bootstrap intervals over networks; one out and depth out are root "
            "mean squares in percentage points: of each network predicted from all others, and of each depth predicted "
            "from the other depths."
        ],
        comparison_rows(outcome.comparison),
        accuracy_figure(outcome.comparison, title="The fitted networks: mass beside plain counts"),
        "Mean test accuracy of the fitted networks against the logarithm of NN-Mass, parameters and MACs.",
    )


def _measured_networks(outcome: CompressionOutcome) -> list[tuple[str, Network]]:
    if outcome.verification is None:
        return []
    compression: Compression = outcome.compression
    pairs = zip(
        NAMES,
        (compression.reference, compression.spec),
        (outcome.verification.reference, outcome.verification.compressed),
        strict=True,
    )
    return [
        (name, Network(s.nn_mass, s.params, s.macs, m.mean, len(m.accuracies), m.std or 0.0, str(s.cells[0].depth)))
        for name, s, m in pairs
    ]


def _predicted(outcome: CompressionOutcome, name: str) -> str:
    return f"{100 * outcome.predictions[name].mean:.2f} %" if name in outcome.predictions else "–"


def _interval(outcome: CompressionOutcome, name: str) -> str:
    if name not in outcome.predictions:
        return "–"
    prediction = outcome.predictions[name]
    return f"{100 * prediction.low:.1f} … {100 * prediction.high:.1f}"


def _latency(outcome: CompressionOutcome, name: str) -> str:
    return str(getattr(outcome.compression.timed, name))


def _one_if_equal(values: list[float]) -> list[float]:
    return values[:1] if len(set(values)) == 1 else values

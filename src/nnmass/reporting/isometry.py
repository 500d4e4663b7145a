"""Tables and page of one specification's isometry."""

import math
import os
from collections.abc import Sequence
from typing import Any

from nnmass import atomic
from nnmass.propagation import ExpectedIsometry, Isometry, LayerIsometry, Mend, flag
from nnmass.propagation.measurement.result import figure, shown
from nnmass.reporting.page import Section, render_page
from nnmass.reporting.spectrum import spectrum_figure
from nnmass.reporting.style import picture
from nnmass.reporting.tables import TextTable


def isometry_rows(found: Isometry, theory: ExpectedIsometry | None) -> TextTable:
    """A row per layer: shape of J, its singular values, what theory expects of their mean, and what is wrong."""
    columns = ("layer", "J", "mean [95 %]", "expected", "std", "condition", "dead", "")
    expected = {layer.name: figure(layer.mean) for layer in theory.layers} if theory else {}
    return columns, [_row(layer, expected.get(layer.name, "–")) for layer in found.layers]


def _row(layer: LayerIsometry, expected: str) -> tuple[str, ...]:
    least, most = ("≥ ", "≤ ") if layer.weights is not None else ("", "")  # what Lanczos tells of the ends
    return (
        layer.name,
        f"{layer.rows} × {layer.columns}",
        shown(layer.mean, layer.interval),
        expected,
        figure(layer.std),
        f"{least}{layer.condition:.3g}" if math.isfinite(layer.condition) else "∞",
        f"{most}{layer.dead:.0%}",
        flag(layer),
    )


def isometry_summary(found: Isometry, theory: ExpectedIsometry | None) -> str:
    """The hidden layers' figures in a sentence, and what they mean."""
    if found.mean is None or found.std is None:
        return f"No hidden layers; mean singular value of all layers {figure(found.all_mean or 0.0)}."
    known = f" (95 % over {found.initialisations} networks)" if found.standard_error is not None else ""
    mean = shown(found.mean, found.interval)
    text = f"Hidden layers: mean singular value {mean}{known}, standard deviation {figure(found.std)}"
    if theory is not None and theory.mean is not None and theory.short_form is not None:
        text += f"; theory expects {figure(theory.mean)}, the paper's short form {figure(theory.short_form)}"
    flags = [flag(layer) for layer in found.layers if layer.hidden]
    told = [f"{flags.count(word)} of {len(flags)} {_PHRASES[word]}" for word in _PHRASES if word in flags]
    return f"{text}.  Hidden layers: {', '.join(told) or 'none is flagged'}."


_PHRASES = {
    "shrinks": "flagged to shrink gradients by more than half",
    "enlarges": "flagged to more than double them",
    "dead directions": "flagged to let more than a quarter of the directions die",
}


def mend_rows(mends: Sequence[Mend], theory: ExpectedIsometry | None) -> TextTable:
    """Changes that bring the mean singular value closer to 1, and the isometry that they would lead to."""
    now = figure(theory.mean) if theory is not None and theory.mean is not None else "–"
    columns = ("change", "NN-Mass", "params", f"expected mean (now {now})")
    rows = [(m.change, f"{m.nn_mass:.1f}", f"{m.params:,}", figure(m.expected)) for m in mends]
    return columns, rows


def isometry_values(
    found: Isometry, theory: ExpectedIsometry | None, mends: Sequence[Mend], extra: dict[str, Any]
) -> dict[str, Any]:
    """Plain values for JSON: measured, expected, mends, and what is joined to them."""
    return {
        "measured": found.to_dict(),
        "expected": theory.to_dict() if theory else None,
        "mends": [mend.to_dict() for mend in mends],
        **extra,
    }


def write_isometry(
    found: Isometry,
    theory: ExpectedIsometry | None,
    mends: Sequence[Mend],
    folder: str | os.PathLike[str],
    *,
    title: str,
    extra: dict[str, Any],
) -> None:
    """Write isometry.json, spectrum.png, spectrum.svg and report.html to a folder.

    Args:
        found: measured.
        theory: expected; None where there is no theory.
        mends: what would help.
        folder: made where it is missing.
        title: what was measured.
        extra: joined to the JSON, e.g. provenance.
    """
    drawn = spectrum_figure(found, theory, title=title)
    notes = [
        "A gradient on its way back is multiplied by each layer's Jacobian J = W diag(φ′).  Where all singular values "
        "of J are close to 1 it keeps its size (layerwise dynamical isometry); far below 1 it dies out, far above it "
        "explodes."
    ]
    caption = "Blue: measured singular values.  Black: their mean.  Green: 1, where gradients keep their size."
    if theory is not None:
        caption += "  Orange: what random matrix theory expects from widths, skips and initialisation alone."
    sections = [
        Section("Singular values, layer by layer", notes, drawn=drawn, caption=caption),
        Section("Layers", table=isometry_rows(found, theory)),
    ]
    if mends:
        texts = ["Expected by theory, for the hidden layers; the closest to 1 first."]
        sections.append(Section("What would bring it closer to 1", texts, mend_rows(mends, theory)))
    if found.skipped:
        skipped = [(entry.name, entry.reason) for entry in found.skipped]
        sections.append(Section("Not measured", table=(("layer or step", "reason"), skipped)))
    page = render_page(title, isometry_summary(found, theory), sections, extra)
    files = {f"spectrum.{ending}": picture(drawn, ending) for ending in ("png", "svg")}
    files["report.html"] = page.encode()
    files["isometry.json"] = atomic.json_text(isometry_values(found, theory, mends, extra)).encode()
    atomic.write_files(folder, files)

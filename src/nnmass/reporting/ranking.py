"""Tables of many models."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_args

from nnmass import atomic
from nnmass.reporting.tables import TextTable
from nnmass.tracing.ranking import Outcome, RankedModel

_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def ranking_rows(rows: Sequence[RankedModel]) -> TextTable:
    """A row per model; published accuracies, and reasons, only where there are any."""
    published, told = any(row.top1 is not None for row in rows), any(_note(row) for row in rows)
    columns = ["model", "NN-Mass", "density", "params", "MACs"]
    columns += ["top-1", "of weights"] if published else []
    columns += ["note"] if told else []
    texts = [[*_numbers(row), *(_accuracy(row) if published else ()), *([_note(row)] if told else ())] for row in rows]
    return columns, texts


def _numbers(row: RankedModel) -> list[str]:
    measured = row.outcome == "answered" and row.nn_mass is not None and row.density is not None
    mass, density = (f"{row.nn_mass:,.1f}", f"{row.density:.3f}") if measured else ("–", "–")
    return [row.model, mass, density, _count(row.params), _count(row.macs)]


def _accuracy(row: RankedModel) -> tuple[str, str]:
    size = f", {row.top1_image_size}" if row.top1_image_size else ""
    return ("–", "") if row.top1 is None else (f"{row.top1:.2f} %", row.weights + size)


def _note(row: RankedModel) -> str:
    if row.outcome == "uninformative":
        return "uninformative: no cell holds a skip"
    return f"{row.outcome}: {row.reason}" if row.reason else ""


def _count(value: int | None) -> str:
    """A count in three digits or so.

    Examples:
        >>> _count(11_689_512), _count(950), _count(None)
        ('11.7M', '950', '–')
    """
    if value is None:
        return "–"
    factor, unit = next(((f, u) for f, u in _UNITS if value >= f), (1, ""))
    return f"{value / factor:.3g}{unit}" if value < 1000 * factor else f"{value / factor:,.0f}{unit}"


def outcomes_line(rows: Iterable[RankedModel]) -> str:
    """How many models ended how."""
    counts = Counter(row.outcome for row in rows)
    told = [f"{counts[outcome]:,} {outcome}" for outcome in get_args(Outcome) if counts[outcome]]
    return f"{counts.total():,} models: {', '.join(told) or 'none'}"


def write_ranking(rows: Iterable[RankedModel], path: str | os.PathLike[str]) -> Path:
    """Write a CSV file with every column; what is not known is empty."""
    names = [field.name for field in fields(RankedModel)]
    return atomic.write_csv(path, [*names, "flops"], (row.to_dict() for row in rows))

"""Every architecture of the installed timm: answered, uninformative, refused and why, or failed; with time and memory.

Each model is built without weights and analysed in a process of its own, on one core.  Finished rows are kept: the same
command goes on where it was stopped.
"""

import argparse
import csv
import io
import json
import os
import resource
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from nnmass import NNMassError
from nnmass.atomic import write_json, write_text
from nnmass.errors import RefusedError
from nnmass.provenance import provenance
from nnmass.tracing import analyze, load_model
from nnmass.tracing.libraries import import_library

COLUMNS = (
    *("model", "outcome", "module", "reason", "nn_mass", "nn_mass_every_layer", "density", "cells", "layers"),
    *("outside_layers", "outside_macs", "params", "macs", "input_size", "build_s", "analyze_s", "peak_mib"),
)
_OUTCOMES = ("answered", "uninformative", "refused", "failed")
_KEEP_EVERY = 25


def measure(name: str) -> dict[str, Any]:
    """Build and analyse one model in this process."""
    row: dict[str, Any] = {"model": name}
    start = time.perf_counter()
    try:
        loaded = load_model(f"timm:{name}")
        row |= {"build_s": round(time.perf_counter() - start, 3), "input_size": loaded.input_sizes[0][-1]}
        start = time.perf_counter()
        report = analyze(loaded.module, loaded.input_sizes)
        row |= {key: getattr(report, key) for key in ("nn_mass", "nn_mass_every_layer", "density", "params", "macs")}
        row |= {"outcome": report.outcome, "cells": len(report.cells), "layers": len(report.graph.layers)}
        row |= {"outside_layers": round(report.outside.layers, 4), "outside_macs": round(report.outside.macs, 4)}
    except RefusedError as error:
        row |= {"outcome": "refused", "module": error.module, "reason": error.reason}
        row |= {"params": error.params, "macs": error.macs}
    except NNMassError as error:
        row |= {"outcome": "failed", "reason": str(error)}
    row["analyze_s"] = round(time.perf_counter() - start, 3)
    row["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return row


def measure_apart(name: str) -> dict[str, Any]:
    """Measure in a child process; one that dies is a row that says so."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as stream:
            json.dump(measure(name), stream)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    if text:
        found: dict[str, Any] = json.loads(text)
        return found
    return {"model": name, "outcome": "failed", "reason": f"the process ended with {os.waitstatus_to_exitcode(status)}"}


def rows_of(names: Sequence[str], known: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Measure what is not known yet, and say how far it is."""
    start, done = time.perf_counter(), 0
    for i, name in enumerate(names):
        if name not in known:
            known[name] = measure_apart(name)
            done += 1
            left = (time.perf_counter() - start) / done * (len(names) - i - 1)
            print(f"\r{i + 1}/{len(names)}, about {left / 60:.0f} min left  ", end="", flush=True)
        yield known[name]


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Rows of an earlier, unfinished run."""
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        return {row["model"]: row for row in csv.DictReader(stream)}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write all rows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts, reasons, time and memory."""
    seconds = [float(row["build_s"]) + float(row["analyze_s"]) for row in rows if row.get("build_s")]
    peaks = [int(row["peak_mib"]) for row in rows if row.get("peak_mib")]
    outcomes = Counter(row["outcome"] for row in rows)
    return {
        "models": len(rows),
        "outcomes": {outcome: outcomes[outcome] for outcome in _OUTCOMES},
        "reasons": dict(Counter(row["reason"] for row in rows if row.get("reason")).most_common()),
        "seconds": {"median": statistics.median(seconds), "max": max(seconds)},
        "peak_mib": {"median": statistics.median(peaks), "max": max(peaks)},
    }


def main() -> None:
    """Analyse, and write the table and its summary."""
    options = argparse.ArgumentParser(prog="timm_models.py", description="Every architecture of the installed timm.")
    options.add_argument("--out", type=Path, default=Path("results/timm-models"), help="folder")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    timm = import_library("timm")
    load_model("timm:resnet18")  # what is imported once counts for no model
    table, rows = arguments.out / "outcomes.csv", []
    for row in rows_of(timm.list_models(), read(table)):
        rows.append(row)
        if len(rows) % _KEEP_EVERY == 0:
            write(table, rows)
    write(table, rows)
    found = summary(rows)
    print(f"\n{json.dumps(found, indent=1)}")
    header = provenance() | {"timm": timm.__version__}
    print(f"written to {table} and {write_json(arguments.out / 'summary.json', header | found)}")


if __name__ == "__main__":
    main()

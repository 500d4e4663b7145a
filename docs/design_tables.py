"""Tables of designs, of the solver and of latency, from results/."""

from collections.abc import Callable
from typing import Any

import numpy as np
from markdown_tables import table


def headline_designs(read: Callable[[str], Any]) -> str:
    """The paper's two uses."""
    rows = []
    for label, path in (("DenseCNN for CIFAR-10", "cifar10-densenet"), ("MobileNetV2 for ImageNet", "mobilenetv2")):
        result = read(f"design/{path}/result.json")
        for name in ("reference", "compressed"):
            rows.append((f"{label}, {name}", *_costs(result["table"][name])))
    budget = read("design/mobilenetv2-budget/result.json")["design"]
    rows.append(("MobileNetV2 of the largest mass in 393 M MACs, 3.7 M parameters", *_costs(budget)))
    return table(("network", "NN-Mass", "parameters", "MACs", "GFLOPs"), rows)


def _costs(row: dict[str, Any]) -> tuple[str, ...]:
    return f"{row['nn_mass']:,.1f}", f"{row['params']:,}", f"{row['macs']:,}", f"{2 * row['macs'] / 1e9:.2f}"


def exactness(result: Any) -> str:
    """Brute force and solver, kind by kind."""
    rows = []
    for kind in dict.fromkeys(row["kind"] for row in result["rows"]):
        own = [row for row in result["rows"] if row["kind"] == kind]
        sizes = [row["space_size"] for row in own]
        impossible = sum(row["brute_force"] is None for row in own)
        mismatches = sum(not row["agree"] for row in own)
        rows.append((kind, f"{len(own)}", f"{max(sizes):,}", f"{impossible}", f"{mismatches}"))
    rows.append(("all", f"{result['problems']}", "", f"{result['infeasible']}", f"{result['mismatches']}"))
    return table(("costs", "problems", "largest space", "impossible", "mismatches"), rows)


def speed(result: Any) -> str:
    """Times of proven optima and of the front."""
    rows = []
    for name, label in (("large", "DenseCNN"), ("mobilenet", "MobileNetV2")):
        row = result[name]
        proven = f"{row['proven']} of {row['problems']}"
        times = (f"{row[f'{key}_seconds']:.2f} s" for key in ("median", "p90", "worst"))
        rows.append((label, f"{row['space_size']:.1e}", proven, f"{row['infeasible']}", *times))
    front = result["front"]
    seconds = f"{front['median_seconds']:.2f} s"
    worst = f"{max(front['seconds']):.2f} s"
    size = f"{result['large']['space_size']:.1e}"
    rows.append(
        (f"DenseCNN, whole front up to 100 M MACs ({front['networks']:,} networks)", size, "", "", seconds, "", worst)
    )
    return table(("space", "networks", "proven", "of them impossible", "median", "90 %", "worst"), rows)


def peers(result: Any) -> str:
    """Gaps of the heuristics."""
    rows = []
    for row in result["summary"]:
        median, largest = ("–" if row[key] is None else f"{row[key]:.2%}" for key in ("median_gap", "largest_gap"))
        rows.append(
            (
                row["method"],
                f"× {row['times_the_solver']}",
                median,
                largest,
                f"{row['met']} of {row['runs']}",
                f"{row['nothing']}",
                f"{row['median_tried']:,.0f}",
            )
        )
    columns = ("method", "time of the solver", "median gap", "largest gap", "optimum met", "nothing feasible", "tried")
    return table(columns, rows)


def latency_errors(read: Callable[[str], Any]) -> str:
    """Errors of predicted latency by engine and space."""
    rows = []
    for engine in ("eager", "onnxruntime"):
        result = read(f"benchmarks/latency_table_{engine}.json")
        for name, filled in result["tables"].items():
            own = [row["relative_error"] for row in result["rows"] if row["space"] == name]
            errors = np.abs(own)
            built = f"{filled['blocks']} in {filled['seconds']:.0f} s"
            rows.append((f"{engine}: {name}", f"{len(own)}", f"{np.median(errors):.1%}", f"{errors.max():.1%}", built))
        median, largest = (f"{result[f'{key}_absolute_error']:.1%}" for key in ("median", "largest"))
        rows.append((f"**{engine}: all**", f"{result['networks']}", f"**{median}**", largest, ""))
    return table(("networks of", "networks", "median error", "largest error", "blocks measured"), rows)


def two_tables(result: Any) -> str:
    """What designs by pairs of latency tables of one machine came to."""
    rows = []
    for kind, says in (("mass", "largest NN-Mass within a budget"), ("latency", "least latency of an NN-Mass")):
        own = [pair for pair in result["pairs"] if pair["asked"].startswith(kind)]
        counts = [sum(pair["outcome"] == name for pair in own) for name in result["outcomes"]]
        differ = sum(pair["estimates_differ"] for pair in own)
        rows.append((says, f"{len(own)}", *(f"{count}" for count in counts), f"{differ}"))
    columns = ("asked for", "pairs of answers", *result["outcomes"], "would differ without bounds")
    return table(columns, rows)


def activation_memory(result: Any) -> str:
    """Bytes held in PyTorch, relative to the closed form."""
    rows = []
    for name in result["tables"]:
        ratios = [row["peak_bytes_eager"] / row["activation_bytes"] for row in result["rows"] if row["space"] == name]
        rows.append((name, f"{len(ratios)}", f"{min(ratios):.2f} … {max(ratios):.2f}"))
    return table(("networks of", "networks", "held in PyTorch / closed form"), rows)

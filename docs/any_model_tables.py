"""Tables of docs/any-model.md."""

from collections.abc import Callable
from typing import Any

from markdown_tables import table


def outcomes(found: Any) -> str:
    """How many of timm's architectures were answered, with time and memory."""
    seconds, memory = found["seconds"], found["peak_mib"]
    rows = [
        (f"architectures of timm {found['timm']}", f"{found['models']:,}"),
        *((outcome, f"{count:,}") for outcome, count in found["outcomes"].items()),
        ("seconds to build and analyse, median (largest)", f"{seconds['median']:.2f} ({seconds['max']:.1f})"),
        ("peak memory of the process in MiB, median (largest)", f"{memory['median']:.0f} ({memory['max']:.0f})"),
    ]
    return table(("", "count"), rows)


def reasons(found: Any) -> str:
    """Why architectures of timm are refused."""
    return table(("reason", "models"), [(reason, f"{count:,}") for reason, count in found["reasons"].items()])


def speed(found: Any) -> str:
    """Counts and time beside fvcore and torchinfo."""
    rows = []
    for name, row in found["models"].items():
        macs = {counter: counts["macs"] for counter, counts in row["counts"].items()}
        params = "equal" if row["equal_params"] else "differ"
        more = (f"{macs[other] - macs['nnmass']:+,}" for other in ("fvcore", "torchinfo"))
        faster = (f"{row['times_faster'][other]['median']:.1f} ×" for other in ("fvcore", "torchinfo"))
        rows.append((name, params, f"{macs['nnmass']:,}", *more, *faster))
    columns = ("model", "params", "MACs", "fvcore", "torchinfo", "faster than fvcore", "faster than torchinfo")
    return table(columns, rows)


TABLES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "timm-outcomes": ("timm-models/summary.json", outcomes),
    "timm-reasons": ("timm-models/summary.json", reasons),
    "tracing-speed": ("benchmarks/tracing_speed.json", speed),
}
"""Result file and rows of each table."""

"""Tables of docs/trust.md."""

from collections.abc import Callable
from typing import Any

from markdown_tables import table


def fuzz(found: Any) -> str:
    """How the fuzzer's calls ended."""
    rows = []
    for command, codes in found["exit_codes"].items():
        rows.append((f"`{command}`", f"{sum(codes.values()):,}", *(f"{codes.get(code, 0):,}" for code in "012")))
    total = {code: sum(codes.get(code, 0) for codes in found["exit_codes"].values()) for code in "012"}
    rows.append(("all", f"{found['calls']:,}", *(f"{total[code]:,}" for code in "012")))
    faults = ", ".join(f"{fault} {count:,}" for fault, count in found["faults"].items()) or "none"
    said = (
        f"Faults: {faults}. Longest call {found['longest_seconds']:.0f} s, most memory "
        f"{found['most_bytes'] / 2**20:,.0f} MiB."
    )
    return f"{table(('command', 'calls', 'exit code 0', '1', '2'), rows)}\n\n{said}"


def durability(found: Any) -> str:
    """Of each command and kind, in how many trials nothing was lost."""
    kinds = [kind for kind, entry in next(iter(found["commands"].values())).items() if isinstance(entry, dict)]
    rows = [
        (f"`{command}`", *(_kept(entries[kind]) if kind in entries else "–" for kind in kinds))
        for command, entries in found["commands"].items()
    ]
    return table(("as they should be", *kinds), rows)


def _kept(entry: Any) -> str:
    return f"{entry['trials'] - len(entry['faults'])} of {entry['trials']}"


TABLES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "fuzz": ("benchmarks/fuzz.json", fuzz),
    "durability": ("benchmarks/durability.json", durability),
}

"""What the benchmarks share: options, ratios, and the result file."""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nnmass.atomic import write_json
from nnmass.provenance import provenance
from published import fingerprint

_LOAD = os.getloadavg()  # before this process adds its own


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """Make a parser with the options that every benchmark has."""
    result = argparse.ArgumentParser(prog=f"{name}.py", description=description)
    result.add_argument("--published", type=Path, required=True, help="folder of the published code (SLDGroup/NN_Mass)")
    result.add_argument("--pairs", type=positive, default=7, help="measurements of each side, interleaved (default 7)")
    result.add_argument("--seed", type=int, default=0, help="of everything drawn (default 0)")
    result.add_argument("--out", type=Path, default=Path(f"results/benchmarks/{name}.json"), help="result file")
    return result


def positive(text: str) -> int:
    """Read an option that must be a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def seconds(function: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, smallest and largest of repeated measurements, and the measurements."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "pairs": len(values),
        "values": list(values),
    }


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> dict[str, Any]:
    """`spread` of the ratios of measurements that were made one after the other."""
    return spread([a / b for a, b in zip(numerators, denominators, strict=True)])


def target(ratio: dict[str, Any], *, at_least: float | None = None, at_most: float | None = None) -> dict[str, Any]:
    """Hold the median of a measured quantity against its target."""
    median = ratio["median"]
    met = (at_least is None or median >= at_least) and (at_most is None or median <= at_most)
    return {"at_least": at_least, "at_most": at_most, "median": median, "met": met}


def shown(values: dict[str, Any], digits: int = 2) -> str:
    """A `spread` in one cell of a table: median (min-max, n)."""
    low, middle, high = (f"{values[key]:,.{digits}f}" for key in ("min", "median", "max"))
    return f"{middle} ({low}-{high}, n={values['pairs']})"


def show_targets(targets: dict[str, dict[str, Any]]) -> None:
    """Print which targets are met."""
    for name, entry in targets.items():
        bound = f">= {entry['at_least']:,.4g}" if entry["at_least"] is not None else f"<= {entry['at_most']:,.4g}"
        print(f"{'met   ' if entry['met'] else 'MISSED'}  {name}: {entry['median']:,.4g} (target {bound})")


def save(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """Write a result with its provenance, the load before, and the published code's fingerprint where it is beside."""
    if _LOAD[0] > 0.5:
        print(f"the machine was busy (load {_LOAD[0]:.1f} at the start): not figures for the record")
    given = vars(arguments)
    published = {"published_code": fingerprint(given["published"])} if "published" in given else {}
    header = provenance(seed=given.get("seed")) | {
        **published,
        "load_average_at_start": list(_LOAD),
        "options": {name: value for name, value in given.items() if name not in ("published", "out")},
    }
    print(f"written to {write_json(arguments.out, header | result)}")

"""Parameters and MACs by tracing, beside torchinfo and fvcore on the same models in one run.

Needs timm and torchvision (``pip install '.[models]'``), torchinfo and fvcore (``pip install torchinfo fvcore``).  All
three read the same module with its weights, on one core.  fvcore counts norms and pools too; they are taken out of its
sum, and what is left out is listed.
"""

import argparse
import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torchinfo
from fvcore.nn import FlopCountAnalysis

from measuring import positive, ratios, save, seconds, show_targets, spread, target
from nnmass.tracing import analyze
from nnmass.tracing.libraries import import_library

MODELS = (
    *("resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "densenet201", "mobilenetv2_100"),
    *("mobilenetv3_large_100", "efficientnet_b0", "regnety_008", "convnext_tiny", "dla34", "ghostnet_100", "vgg16"),
)
SIZE = (1, 3, 224, 224)
PRODUCTS = ("conv", "linear", "addmm", "matmul", "bmm", "einsum")
"""fvcore's operators that are sums of products over channels; it counts the others by their numbers out or in."""


def by_torchinfo(model: Any) -> dict[str, Any]:
    """Parameters and MACs, as torchinfo counts them."""
    found = torchinfo.summary(model, SIZE, verbose=0, device="cpu")
    return {"params": found.total_params, "macs": found.total_mult_adds}


def by_fvcore(model: Any) -> dict[str, Any]:
    """Parameters and MACs, as fvcore counts them, and its operators that are no products."""
    analysis = FlopCountAnalysis(model, torch.zeros(SIZE))
    counts = {name: int(count) for name, count in analysis.unsupported_ops_warnings(False).by_operator().items()}
    macs = sum(count for name, count in counts.items() if name in PRODUCTS)
    others = {name: count for name, count in counts.items() if name not in PRODUCTS and count}
    return {"params": sum(p.numel() for p in model.parameters()), "macs": macs, "others": others}


def by_us(model: Any) -> dict[str, Any]:
    """Parameters, MACs, and with them cells and NN-Mass."""
    report = analyze(model, SIZE)
    return {"params": report.params, "macs": report.macs, "nn_mass": report.nn_mass}


def compare(name: str, pairs: int) -> dict[str, Any]:
    """Count and time one model, the three interleaved."""
    model = import_library("timm").create_model(name).eval()
    counters = {"nnmass": by_us, "torchinfo": by_torchinfo, "fvcore": by_fvcore}
    counts = {counter: count(model) for counter, count in counters.items()}  # also warms up
    times: dict[str, list[float]] = {counter: [] for counter in counters}
    for _ in range(pairs):
        for counter, count in counters.items():
            times[counter].append(seconds(lambda count=count: count(model)))
    others = ("torchinfo", "fvcore")
    return {
        "counts": counts,
        "equal_params": len({row["params"] for row in counts.values()}) == 1,
        "equal_macs_fvcore": counts["nnmass"]["macs"] == counts["fvcore"]["macs"],
        "equal_macs_torchinfo": counts["nnmass"]["macs"] == counts["torchinfo"]["macs"],
        "seconds": {counter: spread(values) for counter, values in times.items()},
        "times_faster": {other: ratios(times[other], times["nnmass"]) for other in others},
    }


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(prog="tracing_speed.py", description="Tracing beside torchinfo and fvcore.")
    options.add_argument("--pairs", type=positive, default=5, help="measurements of each, interleaved (default 5)")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/tracing_speed.json"), help="result file")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    rows = {}
    for name in MODELS:
        rows[name] = row = compare(name, arguments.pairs)
        faster = {other: row["times_faster"][other]["median"] for other in ("torchinfo", "fvcore")}
        equal = {key.removeprefix("equal_"): row[key] for key in row if key.startswith("equal_")}
        own = row["seconds"]["nnmass"]["median"]
        print(f"{name:22} {own:.2f} s, x {faster['fvcore']:.2f} fvcore, x {faster['torchinfo']:.2f} torchinfo, {equal}")
    medians = [row["times_faster"]["fvcore"]["median"] for row in rows.values()]
    targets = {
        "times faster than fvcore, median over models": target(spread(medians), at_least=1.0),
        "resnet50, seconds": target(rows["resnet50"]["seconds"]["nnmass"], at_most=0.5),
    }
    show_targets(targets)
    beside = {name: version(name) for name in ("torchinfo", "fvcore", "timm")}
    save(arguments, {"beside": beside, "models": rows, "targets": targets})


if __name__ == "__main__":
    main()

"""Theory's mean and spread of the singular values beside those of drawn networks: widths, activations, weights, depths.

Networks are DenseMLPs of every activation at standard normal inputs; what is compared is `expected_isometry` as it
comes, and `nnmass.isometry` of many drawn networks, exact.  The spread is the standard deviation of the hidden layers'
singular values.  Noise is the standard error of the measured figure over networks, of the spread by the jackknife.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnmass import DenseMLP, expected_isometry, isometry
from nnmass.atomic import write_json
from nnmass.propagation import Isometry
from nnmass.provenance import provenance

ACTIVATIONS = ("linear", "relu", "tanh", "elu", "selu")
INITS = ("orthogonal", "gaussian", "default", "he", "glorot")
NETWORKS = {8: 96, 64: 16, 256: 6, 1024: 2}
INPUTS = {8: 16, 64: 8, 256: 4, 1024: 1}
DEPTHS = {8: (6, 16), 64: (6, 12), 256: (6,), 1024: (5,)}
SKIPS = (0.5, 3.0)  # of the width
FEATURES = 64


def compare(width: int, depth: int, skips: int, activation: str, init: str) -> dict[str, Any]:
    """Measure and expect one specification."""
    spec = DenseMLP(width=width, depth=depth, max_skips=skips, in_features=FEATURES, activation=activation)
    rule = f"gaussian:{1 / math.sqrt(width):.4g}" if init == "gaussian" else init
    inputs = torch.randn(INPUTS[width], FEATURES, generator=torch.Generator().manual_seed(7))
    inputs *= math.sqrt(FEATURES) / inputs.norm(dim=1, keepdim=True)  # theory knows one size of inputs only
    found = isometry(spec, inputs, initialisations=NETWORKS[width], init=rule)
    theory = expected_isometry(spec, rule)
    return {
        "width": width,
        "depth": depth,
        "max_skips": skips,
        "activation": activation,
        "init": init,
        "networks": NETWORKS[width],
        "inputs": INPUTS[width],
        "mean": found.mean,
        "expected_mean": theory.mean,
        "mean_noise": found.standard_error,
        "std": found.std,
        "expected_std": theory.std,
        "std_noise": spread_noise(found),
    }


def spread_noise(found: Isometry) -> float:
    """Standard error of the spread, by leaving out one network at a time."""
    hidden = [layer.singular_values for layer in found.layers if layer.hidden]
    first = np.mean([values.mean((1, 2)) for values in hidden], axis=0)
    second = np.mean([(values**2).mean((1, 2)) for values in hidden], axis=0)
    count = len(first)
    left = [(m.sum() - m) / (count - 1) for m in (first, second)]
    spreads = np.sqrt(np.maximum(left[1] - left[0] ** 2, 0))
    return float(math.sqrt((count - 1) * spreads.var()))


def summarised(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Largest errors by weights and width, relative; the linear orthogonal network, whose spread is 0, apart."""
    found = []
    for init in INITS:
        for width in NETWORKS:
            mine = [
                row for row in rows if (row["init"], row["width"]) == (init, width) and row["std"] > 1e-6 * row["mean"]
            ]
            if not mine:
                continue
            found.append({"init": init, "width": width, "networks": len(mine)})
            for name in ("mean", "std"):
                errors = [abs(row[f"expected_{name}"] / row[name] - 1) for row in mine]
                worst = mine[int(np.argmax(errors))]
                found[-1] |= {
                    f"largest_{name}_error": max(errors),
                    f"average_{name}_error": float(np.mean(errors)),
                    f"{name}_noise": max(row[f"{name}_noise"] / row[name] for row in mine),
                    f"{name}_worst": f"{worst['activation']}, depth {worst['depth']}, {worst['max_skips']} skips",
                }
    return found


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(prog="isometry_theory.py", description="Theory's mean and spread.")
    options.add_argument(
        "--out", type=Path, default=Path("results/benchmarks/isometry_theory.json"), help="result file"
    )
    arguments = options.parse_args()
    rows = []
    for width in NETWORKS:
        for depth in DEPTHS[width]:
            for share in SKIPS:
                for init in INITS:
                    rows += [compare(width, depth, round(share * width), a, init) for a in ACTIVATIONS]
        for line in summarised(rows):
            if line["width"] == width:
                print(
                    f"{line['init']:10} width {width:4}: mean off by {line['average_mean_error']:.2%}, at most "
                    f"{line['largest_mean_error']:.2%} ({line['mean_worst']}); spread off by "
                    f"{line['average_std_error']:.2%}, at most {line['largest_std_error']:.2%} ({line['std_worst']})",
                    flush=True,
                )
    header = provenance(seed=0) | {"features": FEATURES}
    print(f"written to {write_json(arguments.out, header | {'summary': summarised(rows), 'rows': rows})}")


if __name__ == "__main__":
    main()

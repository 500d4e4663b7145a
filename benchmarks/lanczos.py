"""How fast Lanczos quadrature converges: its mean singular values beside those of dense Jacobians, by number of steps.

Networks are small enough for all singular values.  For every layer and number of steps: the true error of the mean, the
stated error, and the part of it that the steps leave (half the distance of the two quadrature rules).  Errors are root
mean squares over layers, relative to each layer's mean.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnmass import DenseCNN, isometry
from nnmass.atomic import write_json
from nnmass.propagation import Isometry
from nnmass.provenance import provenance

STEPS = (5, 10, 20, 40)
PROBES = 32
NETWORKS = {
    "regular": DenseCNN(widths=(4, 8), depth=6, max_skips=(6, 12), image_size=10),
    "separable": DenseCNN(widths=(4, 8), depth=6, max_skips=(6, 12), image_size=10, conv="separable"),
}


def measure(spec: DenseCNN, seed: int) -> list[dict[str, float]]:
    """Errors of one network, by steps."""
    model = spec.build(seed)
    inputs = torch.randn(8, *spec.input_shape, generator=torch.Generator().manual_seed(seed))
    exact = isometry(model, inputs, dense_limit=10_000)
    rows = []
    for steps in STEPS:
        found = isometry(model, inputs, dense_limit=0, probes=PROBES, steps=steps, seed=seed)
        rows.append({"steps": steps, **errors(found, exact)})
    return rows


def errors(found: Isometry, exact: Isometry) -> dict[str, float]:
    """Root mean squares over the layers that Lanczos measured, relative to their means."""
    pairs = [(a, b) for a, b in zip(found.layers, exact.layers, strict=True) if a.method == "lanczos"]
    true = np.array([a.mean / b.mean - 1 for a, b in pairs])
    stated = np.array([a.error / a.mean for a, _ in pairs])
    return {
        "true_error": float(np.sqrt((true**2).mean())),
        "stated_error": float(np.sqrt((stated**2).mean())),
        "largest_true_error": float(np.abs(true).max()),
        "largest_ratio_of_true_to_stated": float(np.abs(true / stated).max()),
        "layer_forwards_per_probe": float(pairs[0][0].forwards / PROBES),
    }


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(prog="lanczos.py", description="Convergence of Lanczos quadrature.")
    options.add_argument("--seed", type=int, default=0, help="of networks, inputs and probes (default 0)")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/lanczos.json"), help="result file")
    arguments = options.parse_args()
    networks: dict[str, Any] = {}
    for name, spec in NETWORKS.items():
        networks[name] = measure(spec, arguments.seed)
        for row in networks[name]:
            print(
                f"{name:10} {row['steps']:3.0f} steps: off by {row['true_error']:.2%}, "
                f"stated {row['stated_error']:.2%}, at most {row['largest_ratio_of_true_to_stated']:.1f} stated errors"
            )
    header = provenance(seed=arguments.seed) | {
        "probes": PROBES,
        "specs": {k: s.model_dump() for k, s in NETWORKS.items()},
    }
    print(f"written to {write_json(arguments.out, header | {'networks': networks})}")


if __name__ == "__main__":
    main()

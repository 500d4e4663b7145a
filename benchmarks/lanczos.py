"""How fast Lanczos quadrature converges: its mean singular values beside those of dense Jacobians, by number of steps.

Networks are small enough for all singular values.  For every layer and number of steps: the true error of the mean, the
stated error, and the part of it that the steps leave (half the distance of the two quadrature rules).  Errors are root
mean squares over layers, relative to each layer's mean.

Coverage: how often the stated 95 % interval of a layer's mean holds the true mean, by number of probes, and how often
1.96 stated errors would.  Three convolutions at 12 inputs of very different size; each repeat probes other inputs.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nnmass import DenseCNN, isometry
from nnmass.atomic import write_json
from nnmass.propagation import Isometry
from nnmass.provenance import provenance

STEPS = (5, 10, 20, 40)
COVERED = (2, 3, 4, 6, 8, 12, 24)
REPEATS = 500
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


def coverage(seed: int) -> list[dict[str, float]]:
    """Shares of layers and repeats whose interval holds the true mean."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ELU(), layers[2])
    sizes = torch.tensor([0.1, 0.3, 0.3, 0.5, 1, 1, 1, 1, 2, 3, 3, 10])
    inputs, generator = torch.randn(12, 2, 6, 6) * sizes.reshape(-1, 1, 1, 1), np.random.default_rng(seed)
    exact = isometry(model, inputs, dense_limit=10_000)
    seen = isometry(model, inputs, dense_limit=0, probes=24 * REPEATS, steps=8, seed=seed)  # the next input each time
    rows = []
    for probes in COVERED:
        held = []
        for k in range(REPEATS):
            order = generator.permutation(12)
            places = 24 * k + np.concatenate([order, order + 12])[:probes]
            for layer, true in zip(seen.layers, exact.layers, strict=True):
                values, weights = layer.singular_values[places], layer.weights[places]
                some = replace(layer, singular_values=values, weights=weights, dead_bounds=None)
                low, high = some.interval
                held.append((low <= true.mean <= high, abs(some.mean - true.mean) <= 1.96 * some.error))
        student, normal = np.mean(held, axis=0)
        rows.append({"probes": probes, "interval": float(student), "errors_1.96": float(normal)})
    return rows


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
    covered = coverage(arguments.seed)
    for row in covered:
        print(f"{row['probes']:3} probes: intervals hold {row['interval']:.1%}, 1.96 errors {row['errors_1.96']:.1%}")
    header = provenance(seed=arguments.seed) | {
        "probes": PROBES,
        "specs": {k: s.model_dump() for k, s in NETWORKS.items()},
    }
    print(f"written to {write_json(arguments.out, header | {'networks': networks, 'coverage': covered})}")


if __name__ == "__main__":
    main()

"""Cost of tracing and of finding cells against the number of layers: deep chains, residual chains and dense blocks.

The exponent is the slope of log time on log layers: 1 is linear.  A dense block whose layers each concatenate a list of
all outputs before has a number of operands that grows with the square of its depth.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from measuring import positive, save, seconds, spread
from nnmass.topology import find_cells
from nnmass.tracing import trace

LAYERS = (250, 500, 1_000, 2_000)
WIDTH, GROWTH = 8, 4


class Chain(nn.Module):
    """Convolutions one after the other; every second is bypassed by a sum if ``residual``."""

    def __init__(self, layers: int, *, residual: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 1) for _ in range(layers))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """Run the layers."""
        for first, second in zip(self.layers[::2], self.layers[1::2], strict=True):
            y = second(torch.relu(first(x)))
            x = x + y if self.residual else y
        return x


class DenseBlock(nn.Module):
    """Every layer reads all before: from a list of outputs, or from a tensor that grows."""

    def __init__(self, layers: int, *, of_list: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(WIDTH, GROWTH, 1)
        self.layers = nn.ModuleList(nn.Conv2d(GROWTH * (i + 1), GROWTH, 1) for i in range(layers - 1))
        self.of_list = of_list

    def forward(self, x: Tensor) -> Tensor:
        """Run the layers."""
        outputs = [self.stem(x)]
        known = outputs[0]
        for layer in self.layers:
            outputs.append(layer(torch.cat(outputs, 1) if self.of_list else known))
            known = known if self.of_list else torch.cat([known, outputs[-1]], 1)
        return outputs[-1]


def build(kind: str, layers: int) -> nn.Module:
    """One of the networks, without memory."""
    with torch.device("meta"):
        if kind.startswith("dense"):
            return DenseBlock(layers, of_list=kind.endswith("list"))
        return Chain(layers, residual=kind == "residual chain")


def measure(kind: str, repeats: int) -> dict[str, Any]:
    """Time both steps at every depth."""
    rows = []
    for layers in LAYERS[: 3 if kind.endswith("list") else None]:  # a list of 2,000 has two million operands
        model = build(kind, layers)
        traced = trace(model, (1, WIDTH, 4, 4))
        tracing = spread([seconds(lambda model=model: trace(model, (1, WIDTH, 4, 4))) for _ in range(repeats)])
        finding = spread([seconds(lambda graph=traced.graph: find_cells(graph)) for _ in range(repeats)])
        rows.append({"layers": layers, "cells": len(find_cells(traced.graph)), "trace": tracing, "find_cells": finding})
    return {"rows": rows} | {f"exponent of {step}": exponent(rows, step) for step in ("trace", "find_cells")}


def exponent(rows: list[dict[str, Any]], step: str) -> float:
    """Slope of log time on log layers."""
    layers, times = [row["layers"] for row in rows], [row[step]["min"] for row in rows]
    return float(np.polyfit(np.log(layers), np.log(times), 1)[0])


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(prog="tracing_scaling.py", description="Cost of tracing against depth.")
    options.add_argument("--pairs", type=positive, default=3, help="measurements of each (default 3)")
    options.add_argument(
        "--out", type=Path, default=Path("results/benchmarks/tracing_scaling.json"), help="result file"
    )
    arguments = options.parse_args()
    torch.set_num_threads(1)
    found = {}
    for kind in ("chain", "residual chain", "dense block, tensor that grows", "dense block, list"):
        found[kind] = row = measure(kind, arguments.pairs)
        last = row["rows"][-1]
        steps = (
            f"{step} {last[step]['min']:.2f} s, {row[f'exponent of {step}']:.2f}" for step in ("trace", "find_cells")
        )
        print(f"{kind:32} at {last['layers']} layers, with exponent: {'; '.join(steps)}")
    save(arguments, {"networks": found})


if __name__ == "__main__":
    main()

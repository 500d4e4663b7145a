"""Latency of whole networks predicted from a table of blocks, against measurements; and memory against its formula.

The networks are drawn at random from design spaces; nothing is fitted to them, or to any other whole network.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from measuring import positive, save
from members import random_member
from nnmass.architectures import Specification
from nnmass.designing import (
    CifarResNetSpace,
    DenseCNNSpace,
    MobileNetV2Space,
    ResNetSpace,
    Space,
)
from nnmass.latency import LatencyTable, Timing, blocks_of
from nnmass.reporting import Checked, latency_figure
from nnmass.reporting import save as save_picture
from nnmass.timing import conditions, fill_table, measure_latency, peak_activations, settled, yardstick_of

SPACES: dict[str, Space] = {
    "MobileNetV2, 224 px": MobileNetV2Space(),
    "MobileNetV2, 128 px": MobileNetV2Space(image_size=128),
    "DenseCNN": DenseCNNSpace(depth=tuple(range(8, 17))),
    "DenseCNN, separable": DenseCNNSpace(depth=tuple(range(8, 17)), conv="separable"),
    "ResNet, 128 px": ResNetSpace(layers=((1, 2, 3),) * 4, image_size=128, block=("basic", "bottleneck")),
    "CifarResNet": CifarResNetSpace(),
}
TARGET = 0.15


def main() -> None:
    """Fill the table, predict, measure, print, draw and write."""
    options = argparse.ArgumentParser(prog="latency_table.py", description=__doc__)
    options.add_argument("--engine", choices=("eager", "compile", "onnxruntime"), default="eager")
    options.add_argument("--spaces", nargs="+", choices=list(SPACES), default=list(SPACES), help="default: all")
    options.add_argument("--each", type=positive, default=6, help="networks of each space (default 6)")
    options.add_argument("--seconds", type=float, default=0.2, help="for each block and network (default 0.2)")
    options.add_argument("--seed", type=int, default=0, help="of the networks (default 0)")
    options.add_argument("--threads", type=positive, default=1, help="of one operator (default 1)")
    options.add_argument("--out", type=Path, help="result file (default results/benchmarks/latency_table_ENGINE.json)")
    arguments = options.parse_args()
    arguments.out = arguments.out or Path(f"results/benchmarks/latency_table_{arguments.engine}.json")
    generator = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        table = LatencyTable(
            Path(folder) / "latency.sqlite", conditions(arguments.engine, threads=arguments.threads), create=True
        )
        spaces = {name: SPACES[name] for name in arguments.spaces}
        filled = {name: fill(table, space, arguments.seconds) for name, space in spaces.items()}
        drawn = [
            (name, random_member(space, levels, generator))
            for name, space, levels in ((name, space, space.levels()) for name, space in spaces.items())
            for _ in range(arguments.each)
        ]
        first = [
            measure_latency(spec, table.conditions, seconds=arguments.seconds, yardstick=yardstick_of(table))
            for _, spec in drawn
        ]
        rows = [
            check(name, spec, table, arguments.seconds, known) for (name, spec), known in zip(drawn, first, strict=True)
        ]
    errors = np.abs([row["relative_error"] for row in rows])
    result = {
        "conditions": str(table.conditions),
        "tables": filled,
        "networks": len(rows),
        "median_absolute_error": float(np.median(errors)),
        "largest_absolute_error": float(errors.max()),
        "target": {"median_at_most": TARGET, "met": bool(np.median(errors) <= TARGET)},
        "rows": rows,
    }
    checked = [Checked(row["space"], row["predicted_ms"], row["measured_ms"]) for row in rows]
    title = f"{len(rows)} networks, {arguments.engine}: median error {np.median(errors):.1%}"
    save_picture(latency_figure(checked, title=title), arguments.out.with_suffix(".png"))
    print(f"median error {np.median(errors):.1%}, largest {errors.max():.1%}, of {len(rows)} networks")
    save(arguments, result)


def fill(table: LatencyTable, space: Space, seconds: float) -> dict[str, Any]:
    """Measure the blocks of a space."""
    start = time.perf_counter()
    measured = fill_table(table, space.blocks(), seconds=seconds)
    return {"blocks": measured, "seconds": time.perf_counter() - start, "specifications": space.size()}


def check(name: str, spec: Specification, table: LatencyTable, seconds: float, known: Timing) -> dict[str, Any]:
    """Predict and measure one network, a second time: the faster counts, as whatever else runs only slows."""
    predicted = table.predict(spec).latency
    again = measure_latency(spec, table.conditions, seconds=seconds, yardstick=yardstick_of(table))
    measured = min(known, again, key=lambda timing: timing.median_ms)
    held = peak_activations(settled(spec.build(), [spec.input_shape]), [spec.input_shape])
    row = {
        "space": name,
        "spec": spec.model_dump(mode="json", exclude_none=True),
        "blocks": len(blocks_of(spec)),
        "predicted_ms": predicted.ms,
        "predicted_bounds_ms": [predicted.low_ms, predicted.high_ms],
        "measured_ms": measured.median_ms,
        "p10_ms": measured.p10_ms,
        "p90_ms": measured.p90_ms,
        "relative_error": predicted.ms / measured.median_ms - 1,
        "peak_bytes_eager": held,
        "activation_bytes": spec.activation_bytes,
    }
    print(
        f"{name:22} {predicted.ms:7.2f} predicted, {measured.median_ms:7.2f} ms measured, {row['relative_error']:+.1%}"
    )
    return row


if __name__ == "__main__":
    main()

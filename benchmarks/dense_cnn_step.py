"""A training step (forward and backward) of a DenseCNN beside the published network: time and peak memory.

Widths 32, 64, 128; at most 40, 80, 125 skip candidates.  The steps are timed in turn in one process; memory is counted
apart.  The published network has the same shapes (its links are others) and is measured twice: with batch norm in
training mode, as in ours and what the targets are held against, at batch 64; and as its script leaves it, with batch
norm in evaluation mode.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from measuring import parser, positive, ratios, save, seconds, show_targets, shown, spread, target
from memory import COUNTED, RESIDENT, check_counter, peak_bytes, peak_resident
from nnmass import DenseCNN
from published import load_model_zoo, seed_everything

WIDTHS, MAX_SKIPS = (32, 64, 128), (40, 80, 125)
VARIANTS = ("ours", "published", "published_as_left")
DEEP, MODERATE, TARGET_BATCH = 31, 13, 64
TARGET_DEEP_SPEED, TARGET_DEEP_MEMORY, TARGET_MODERATE_SPEED = 1.7, 0.7, 1.0


def network(variant: str, depth: int, folder: Path, seed: int) -> nn.Module:
    """Build one of the `VARIANTS`."""
    if variant == "ours":
        return DenseCNN(widths=WIDTHS, depth=depth, max_skips=MAX_SKIPS).build(seed).train()
    seed_everything(seed)
    model: nn.Module = load_model_zoo(folder).regular_dense_cnn(depth, 2, list(MAX_SKIPS))
    return model.train() if variant == "published" else model


def make_step(model: nn.Module, batch: int, seed: int) -> Callable[[], None]:
    """Make the function that does one step on a fixed batch and drops the gradients after it."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(batch, 3, 32, 32, generator=generator)
    labels = torch.randint(10, (batch,), generator=generator)

    def step() -> None:
        F.cross_entropy(model(inputs), labels).backward()
        for parameter in model.parameters():
            parameter.grad = None

    return step


def resident(variant: str, depth: int, batch: int, folder: Path, seed: int, threads: int) -> int | None:
    """Peak resident memory of one step in this process."""
    torch.set_num_threads(threads)
    step = make_step(network(variant, depth, folder, seed), batch, seed)
    step()
    return peak_resident(step)


def measure(arguments: Any, depth: int, batch: int) -> dict[str, Any]:
    """Time and memory of all variants at one depth and batch size."""
    common = (arguments.published, arguments.seed)
    models = {variant: network(variant, depth, *common) for variant in VARIANTS}
    params = {variant: sum(p.numel() for p in model.parameters()) for variant, model in models.items()}
    if len(set(params.values())) > 1:
        raise SystemExit(f"depth {depth}: the networks differ in their parameters, {params}")
    steps = {variant: make_step(model, batch, arguments.seed) for variant, model in models.items()}
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for _ in range(arguments.pairs):
        for variant, step in steps.items():
            times[variant].append(seconds(step))
    memory = {variant: peak_bytes(step) for variant, step in steps.items()}
    del models, steps
    peaks = {}
    for variant in VARIANTS:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            peaks[variant] = pool.submit(resident, variant, depth, batch, *common, arguments.threads).result()
    return {
        "depth": depth,
        "batch": batch,
        "params": params["ours"],
        "step_seconds": {variant: spread(values) for variant, values in times.items()},
        "speed_ratio": {variant: ratios(times[variant], times["ours"]) for variant in VARIANTS[1:]},
        "peak_bytes": memory,
        "memory_ratio": {variant: memory["ours"] / memory[variant] for variant in VARIANTS[1:]},
        "peak_resident_bytes": peaks,
    }


def targets_of(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Targets that hold at this depth and batch size."""
    if result["batch"] != TARGET_BATCH:
        return {}
    where = f"depth {result['depth']}, batch {result['batch']}"
    speed, memory = result["speed_ratio"]["published"], {"median": result["memory_ratio"]["published"]}
    if result["depth"] == DEEP:
        return {
            f"{where}: times faster": target(speed, at_least=TARGET_DEEP_SPEED),
            f"{where}: share of the memory": target(memory, at_most=TARGET_DEEP_MEMORY),
        }
    if result["depth"] == MODERATE:
        return {f"{where}: times faster": target(speed, at_least=TARGET_MODERATE_SPEED)}
    return {}


def main() -> None:
    """Measure, print and write."""
    options = parser("dense_cnn_step", "A training step of a DenseCNN beside the published network.")
    options.add_argument("--depths", type=positive, nargs="+", default=[DEEP, MODERATE], help="layers per cell")
    options.add_argument("--batch", type=positive, nargs="+", default=[TARGET_BATCH, 16], help="sizes (default 64 16)")
    options.add_argument("--threads", type=positive, default=2, help="of PyTorch (default 2)")
    arguments = options.parse_args()
    load_model_zoo(arguments.published)
    torch.set_num_threads(arguments.threads)
    check_counter()
    results: list[dict[str, Any]] = []
    targets: dict[str, dict[str, Any]] = {}
    for batch in arguments.batch:
        for depth in arguments.depths:
            result = measure(arguments, depth, batch)
            results.append(result)
            targets |= targets_of(result)
            print(f"depth {depth}, batch {batch}")
            for variant in VARIANTS:
                ratio = result["speed_ratio"].get(variant)
                line = f"  {variant:18}{shown(result['step_seconds'][variant])} s, "
                line += f"{result['peak_bytes'][variant] / 1e6:,.0f} MB of tensors, "
                line += f"{(result['peak_resident_bytes'][variant] or 0) / 1e6:,.0f} MB resident"
                print(line + (f"; ours is {shown(ratio)} times faster" if ratio else ""))
    show_targets(targets)
    save(arguments, {"memory": COUNTED, "resident": RESIDENT, "results": results, "targets": targets})


if __name__ == "__main__":
    main()

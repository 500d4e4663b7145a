"""Training throughput of a DenseCNN beside the published code, torchvision's DenseNet and timm's ResNets; CPU or GPU.

Needs timm and torchvision (``pip install '.[models]'``).  Peers read images of the side at which they take about as
many multiply-accumulates (MACs) as the DenseCNN does at 32 pixels.  A step is forward, loss, backward and SGD,
channels-last, bfloat16 on CUDA; the networks step in turn.  The ceiling is the fastest of some plain convolutions,
forward and backward, on the same device; a step counts for three forward passes.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from measuring import positive, ratios, save, shown, spread
from nnmass import DenseCNN, analyze
from nnmass.timing import peak_bytes
from nnmass.tracing.libraries import import_library
from published import load_model_zoo, seed_everything

WIDTHS, DEPTH, MAX_SKIPS = (32, 64, 128), 16, (40, 80, 125)
CEILING = ((64, 32), (128, 32), (256, 16), (512, 16))
"""Channels and side of the plain 3×3 convolutions."""
WARM_UP = 3


def networks(published: Path | None, seed: int) -> dict[str, tuple[Callable[[], nn.Module], int, int]]:
    """What is compared: how each network is made, the side of its images, and its MACs."""
    torchvision: Any = import_library("torchvision.models")
    timm: Any = import_library("timm")
    spec = DenseCNN(widths=WIDTHS, depth=DEPTH, max_skips=MAX_SKIPS)
    made: dict[str, tuple[Callable[[], nn.Module], int, int]] = {"DenseCNN": (lambda: spec.build(seed), 32, spec.macs)}
    if published is not None:
        zoo = load_model_zoo(published)

        def theirs() -> nn.Module:
            seed_everything(seed)
            model: nn.Module = zoo.regular_dense_cnn(DEPTH, 2, list(MAX_SKIPS))
            return model

        made["published"] = (theirs, 32, spec.macs)
    peers: dict[str, Callable[[], nn.Module]] = {
        "torchvision densenet121": lambda: torchvision.densenet121(num_classes=10),
        "timm resnet18": lambda: timm.create_model("resnet18", num_classes=10),
        "timm resnet50": lambda: timm.create_model("resnet50", num_classes=10),
    }
    for name, make in peers.items():
        model = make().eval()
        sides = {side: analyze(model, (1, 3, side, side)).macs for side in range(32, 225, 32)}
        side = min(sides, key=lambda side: abs(sides[side] - spec.macs))
        made[name] = (make, side, sides[side])
    return made


def make_step(model: nn.Module, side: int, batch: int, device: torch.device, *, compiled: bool) -> Callable[[], None]:
    """Make the function that does one training step on a fixed batch."""
    model = model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
    forward: Any = torch.compile(model) if compiled else model
    images = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=device) % 10
    narrow = device.type == "cuda"

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=narrow):
            logits = forward(images)
        optimizer.zero_grad()
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step


def seconds(step: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Seconds of a step."""
    _finish(device)
    began = time.perf_counter()
    for _ in range(repeats):
        step()
    _finish(device)
    return (time.perf_counter() - began) / repeats


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ceiling(batch: int, repeats: int, device: torch.device) -> dict[str, float]:
    """MACs per second of plain convolutions, forward and backward."""
    found = {}
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    for channels, side in CEILING:
        conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        conv = conv.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        shape = (batch, channels, side, side)
        images = torch.randn(shape, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        images.requires_grad_()

        def step(conv: nn.Module = conv, images: torch.Tensor = images) -> None:
            output = conv(images)
            output.backward(output.detach())

        seconds(step, WARM_UP, device)
        macs = 3 * batch * 9 * channels**2 * side**2
        found[f"{channels} channels, {side} px"] = macs / min(seconds(step, repeats, device) for _ in range(3))
    return found


def memory_per_image(make: Callable[[], nn.Module], side: int, batch: int, device: torch.device) -> float:
    """Bytes that one more image of a batch takes at the peak of a step."""
    peaks = []
    for size in (batch, 2 * batch):
        step = make_step(make(), side, size, device, compiled=False)
        step()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            step()
            peaks.append(torch.cuda.max_memory_allocated(device))
        else:
            peaks.append(peak_bytes(step))
    return (peaks[1] - peaks[0]) / batch


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(prog="training_throughput.py", description=(__doc__ or "").splitlines()[0])
    options.add_argument("--published", type=Path, help="folder of the published code; else left out")
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu")
    options.add_argument("--batch", type=positive, help="images (default 256 on CUDA, 16 on a CPU)")
    options.add_argument("--pairs", type=positive, default=5, help="measurements of each, in turn (default 5)")
    options.add_argument("--repeats", type=positive, help="steps per measurement (default 20 on CUDA, 1 on a CPU)")
    options.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    options.add_argument("--seed", type=int, default=0, help="of the networks (default 0)")
    options.add_argument("--out", type=Path, help="default results/benchmarks/training_throughput_DEVICE.json")
    arguments = options.parse_args()
    device = torch.device(arguments.device)
    arguments.out = arguments.out or Path(f"results/benchmarks/training_throughput_{device.type}.json")
    gpu = device.type == "cuda"
    batch, repeats = arguments.batch or (256 if gpu else 16), arguments.repeats or (20 if gpu else 1)
    torch.manual_seed(arguments.seed)
    top = ceiling(batch, repeats, device)
    best = max(top.values())
    made = networks(arguments.published, arguments.seed)
    rows: dict[str, dict[str, Any]] = {}
    steps: dict[tuple[str, bool], Callable[[], None]] = {}
    for name, (make, side, macs) in made.items():
        memory = memory_per_image(make, side, max(batch // 4, 1), device)
        rows[name] = {"side": side, "macs": macs, "bytes_per_image": memory}
        for compiled in (False,) if arguments.no_compile or name == "published" else (False, True):
            steps[name, compiled] = make_step(make(), side, batch, device, compiled=compiled)
            seconds(steps[name, compiled], WARM_UP, device)
    times: dict[tuple[str, bool], list[float]] = {key: [] for key in steps}
    for _ in range(arguments.pairs):
        for key, step in steps.items():
            times[key].append(seconds(step, repeats, device))
    for (name, compiled), taken in times.items():
        macs = rows[name]["macs"]
        reference = [t * macs / rows["DenseCNN"]["macs"] for t in times["DenseCNN", compiled]]
        row = {
            "images_per_second": spread([batch / t for t in taken]),
            "share_of_ceiling": spread([3 * batch * macs / t / best for t in taken]),
            "DenseCNN_times_faster_per_mac": ratios(taken, reference),
        }
        rows[name]["compiled" if compiled else "eager"] = row
        print(
            f"{name}{', compiled' if compiled else ''}, {rows[name]['side']} px, {macs / 1e6:,.0f} M MACs: "
            f"{shown(row['share_of_ceiling'])} of the ceiling; per MAC the DenseCNN is "
            f"{shown(row['DenseCNN_times_faster_per_mac'])} times as fast; "
            f"{rows[name]['bytes_per_image'] / 1e6:,.1f} MB an image"
        )
    name = torch.cuda.get_device_name(device) if gpu else "CPU"
    save(arguments, {"device": name, "batch": batch, "ceiling_macs_per_second": top, "networks": rows})


if __name__ == "__main__":
    main()

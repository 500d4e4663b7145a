"""Images decoded per second, by layout and number of workers; and how long training steps wait for them.

Needs timm and torchvision (``pip install '.[models]'``).  The images are JPEGs of ImageNet's usual size, drawn from a
seed.  torchvision's ImageFolder in a DataLoader reads the same files with the same transform, in turn with ours.  A
training step is stood in for by a sleep, as a CPU sleeps while a GPU computes: what is shown is whether the next batch
lies ready when the step ends.
"""

import argparse
import io
import json
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from torch.utils.data import DataLoader

from measuring import positive, ratios, save, seconds, show_targets, shown, spread, target
from nnmass.data import ImageAugmentation, ImageStream, open_stream
from nnmass.tracing.libraries import import_library

WIDTH, HEIGHT, CLASSES = 500, 375, 4
LAYOUTS = ("folder", "tar", "parquet")
TARGET_SPEED, TARGET_WAIT = 0.9, 0.05
STEP_TIMES = (0.5, 0.9, 1.2, 2.0)
"""Of a step, as multiples of the time in which the workers decode a batch."""

Sample = tuple[str, bytes, int]


def samples(count: int, seed: int) -> list[Sample]:
    """Draw JPEGs: smooth colours with grain, about as large as photographs are."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        coarse = Image.fromarray(rng.integers(256, size=(24, 32, 3)).astype(np.uint8))
        smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)
        pixels = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
        found.append((f"{i:06}", buffer.getvalue(), i % CLASSES))
    return found


def write(folder: Path, layout: str, part: str, images: list[Sample]) -> None:
    """Write one part in one layout."""
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "folder":
        for key, content, label in images:
            path = folder / part / f"class{label}" / f"{key}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    elif layout == "tar":
        with tarfile.open(folder / f"{part}-0.tar", "w") as archive:
            for key, content, label in images:
                for name, held in ((f"{key}.jpg", content), (f"{key}.json", json.dumps({"label": label}).encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(held)
                    archive.addfile(member, io.BytesIO(held))
    else:
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        column = pa.array([{"bytes": content, "path": key} for key, content, _ in images], kind)
        table = pa.table({"image": column, "label": pa.array([label for *_, label in images])})
        pq.write_table(table, folder / f"{part}-0.parquet", row_group_size=100)


def ours(stream: ImageStream, batch: int) -> Iterator[Any]:
    """Batches of an epoch."""
    return stream.batches(stream.train, batch_size=batch, training=True)


def theirs(folder: Path, size: int, batch: int, workers: int) -> Iterator[Any]:
    """Batches of an epoch by torchvision's ImageFolder, with the same transform."""
    datasets: Any = import_library("torchvision.datasets")
    whole = datasets.ImageFolder(folder / "train", ImageAugmentation().transform(size, training=True))
    options = {"multiprocessing_context": "fork", "prefetch_factor": 2} if workers else {}
    return iter(DataLoader(whole, batch, shuffle=True, num_workers=workers, **options))


def rate(batches: Iterator[Any], images: int, batch: int) -> float:
    """Images per second after the first batch, which waits for processes to start."""
    next(batches)
    return (images - batch) / seconds(lambda: [None for _ in batches])


def waiting(stream: ImageStream, batch: int, step: float) -> float:
    """Share of an epoch, after its first batch, that is spent waiting for data when each step takes so many seconds."""
    batches = ours(stream, batch)
    next(batches)
    began, waited = time.perf_counter(), 0.0
    while True:
        asked = time.perf_counter()
        if next(batches, None) is None:
            return waited / (time.perf_counter() - began)
        waited += time.perf_counter() - asked
        time.sleep(step)


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(prog="decoding.py", description=(__doc__ or "").splitlines()[0])
    options.add_argument("--images", type=positive, default=800, help="per epoch (default 800)")
    options.add_argument("--image-size", type=positive, default=224, help="pixels that a network sees (default 224)")
    options.add_argument("--batch", type=positive, default=32, help="images per batch (default 32)")
    options.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="decoding processes (default 0 1 2)")
    options.add_argument("--pairs", type=positive, default=5, help="epochs of each side, in turn (default 5)")
    options.add_argument("--seed", type=int, default=0, help="of the images (default 0)")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/decoding.json"), help="result file")
    arguments = options.parse_args()
    drawn = samples(arguments.images, arguments.seed)
    rates: dict[str, dict[str, Any]] = {}
    faster: dict[str, Any] = {}
    waits: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as root:
        folders = {layout: Path(root) / layout for layout in LAYOUTS}
        for layout, folder in folders.items():
            write(folder, layout, "train", drawn)
            write(folder, layout, "val", drawn[:CLASSES])
        for workers in arguments.workers:
            streams = {
                layout: open_stream(folder, image_size=arguments.image_size, workers=workers)
                for layout, folder in folders.items()
            }
            common = (folders["folder"], arguments.image_size, arguments.batch, workers)
            found: dict[str, list[float]] = {name: [] for name in (*LAYOUTS, "ImageFolder")}
            for _ in range(arguments.pairs):
                for name, taken in found.items():
                    batches = theirs(*common) if name == "ImageFolder" else ours(streams[name], arguments.batch)
                    taken.append(rate(batches, len(drawn), arguments.batch))
            rates[str(workers)] = {name: spread(taken) for name, taken in found.items()}
            faster[str(workers)] = {name: ratios(found[name], found["ImageFolder"]) for name in LAYOUTS}
            for name, values in rates[str(workers)].items():
                print(f"{workers} workers, {name}: {shown(values, 0)} images/s")
            if workers:
                batch_time = arguments.batch / rates[str(workers)]["tar"]["median"]
                for multiple in STEP_TIMES:
                    share = waiting(streams["tar"], arguments.batch, multiple * batch_time)
                    waits.append({"workers": workers, "step_over_decoding": multiple, "waited": share})
                    print(f"{workers} workers, steps of {multiple} × the decoding time: {100 * share:.0f} % waiting")
    targets = {
        f"{workers} workers, {name}: speed relative to ImageFolder": target(ratio, at_least=TARGET_SPEED)
        for workers, row in faster.items()
        for name, ratio in row.items()
    }
    slow = [row["waited"] for row in waits if row["step_over_decoding"] == max(STEP_TIMES)]
    if slow:
        targets["waiting, where steps take twice the decoding time"] = target(spread(slow), at_most=TARGET_WAIT)
    show_targets(targets)
    sizes = {"mean_bytes": float(np.mean([len(content) for _, content, _ in drawn])), "pixels": [WIDTH, HEIGHT]}
    result = {"images": sizes, "images_per_second": rates, "times_faster_than_ImageFolder": faster, "waiting": waits}
    save(arguments, {**result, "targets": targets})


if __name__ == "__main__":
    main()

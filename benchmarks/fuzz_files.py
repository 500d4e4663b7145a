"""Small valid files of every format that nnmass reads, and damaged copies of them."""

import contextlib
import gzip
import io
import json
import os
import pickle
import random
import shutil
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SPECIFICATIONS: dict[str, dict[str, Any]] = {
    "mlp": {"family": "DenseMLP", "width": 4, "depth": 6, "max_skips": 5, "in_features": 64, "num_classes": 10},
    "cnn": {"family": "DenseCNN", "widths": [4, 4], "depth": 4, "max_skips": 3, "image_size": 8, "in_channels": 1},
    "colour": {"family": "DenseCNN", "widths": [4], "depth": 4, "max_skips": 3, "image_size": 8, "num_classes": 2},
    "grey": {"family": "DenseCNN", "widths": [4], "depth": 4, "max_skips": 3, "image_size": 8, "in_channels": 1},
    "separable": {
        "family": "DenseCNN",
        "widths": [4],
        "depth": 4,
        "max_skips": 3,
        "image_size": 8,
        "conv": "separable",
    },
    "resnet": {"family": "ResNet", "block": "basic", "layers": [1, 1, 1, 1], "image_size": 32},
    "cifar": {"family": "CifarResNet", "layers": [1, 1, 1]},
    "wide": {"family": "WideResNet", "depth": 10, "widen_factor": 1},
    "mobile": {"family": "MobileNetV2", "image_size": 32, "stages": [[1, 16, 1, 1], [2, 24, 2, 2]]},
}
SPACE = {"family": "DenseCNN", "widths": [4, 8], "depth": {"min": 3, "max": 6}, "image_size": 8, "num_classes": 10}
RECIPE = {"warmup_epochs": 1, "label_smoothing": 0.1, "ema": 0.9}
CODE = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1); self.b = nn.Conv2d(4, 4, 3, padding=1); self.c = nn.Conv2d(4, 2, 1)
    def forward(self, x):
        y = self.a(x)
        return self.c(torch.relu(self.b(y)) + y)
def grey(): return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
def recurrent(): return nn.LSTM(6, 5, batch_first=True)
def words(): return nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 2))
def half(): return Net().bfloat16()
def scripted(): return torch.jit.script(Net())
def broken(): raise ValueError("no [/b] model\\nat all")
def needs(what): return what
text = "no model"
"""
_SILLY_VALUES = (None, -1, 0, 1e308, 10**30, "x", [], {}, True, [[[]]], "\x1b[2J", "[/b]", -0.5, "\ud800")


def make_files(folder: Path) -> None:
    """Write one small valid file, or folder, of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in SPECIFICATIONS.items():
        (folder / f"{name}.json").write_text(json.dumps(values))
    (folder / "space.json").write_text(json.dumps(SPACE))
    (folder / "recipe.json").write_text(json.dumps(RECIPE))
    (folder / "models.py").write_text(CODE)
    (folder / "top1.csv").write_text("model,top1,img_size\nresnet18,71.5,224\nmobilenetv2_100,72.9,224\n")
    _write_data(folder)
    _write_models(folder)
    _write_stores(folder)


def _write_data(folder: Path) -> None:
    drawn = np.random.default_rng(0)
    images = drawn.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    labels = np.arange(40) % 10
    np.savez(folder / "data.npz", x=images, y=labels)
    files = [_image(image[0]) for image in images]
    for part in ("train", "val"):
        for label in range(2):
            (folder / "images" / part / f"class{label}").mkdir(parents=True)
            for i in range(4):
                (folder / "images" / part / f"class{label}" / f"{i}.png").write_bytes(files[4 * label + i])
        (folder / "parquet").mkdir(exist_ok=True)
        rows = pa.table({"image": [{"bytes": file, "path": None} for file in files[:12]], "label": labels[:12] % 2})
        pq.write_table(rows, folder / "parquet" / f"{part}-00000-of-00001.parquet")
        (folder / "shards").mkdir(exist_ok=True)
        with tarfile.open(folder / "shards" / f"{part}-000.tar", "w") as archive:
            for i in range(8):
                for ending, content in (("png", files[i]), ("cls", str(i % 2).encode())):
                    member = tarfile.TarInfo(f"{i:03d}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    _write_idx(folder / "mnist", images[:, 0], labels)
    _write_batches(folder / "cifar10" / "cifar-10-batches-py", drawn)


def _image(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def _write_idx(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    folder.mkdir()
    for part in ("train", "t10k"):
        for kind, values in (("images-idx3", images), ("labels-idx1", labels.astype(np.uint8))):
            header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + values.tobytes()))


def _write_batches(folder: Path, drawn: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        rows = {b"data": drawn.integers(0, 256, (10, 3072), dtype=np.uint8), b"labels": list(range(10))}
        (folder / name).write_bytes(pickle.dumps(rows, protocol=2))


def _write_models(folder: Path) -> None:
    import torch

    from nnmass.architectures import load_spec
    from nnmass.export import hand_over

    hand_over(
        load_spec(folder / "cnn.json"), folder / "exported", formats=["json", "safetensors", "onnx", "pt2"], seed=0
    )
    for name in ("model.onnx", "model.pt2", "weights.safetensors"):
        found = next((folder / "exported").glob(f"*{Path(name).suffix}"))
        shutil.copy(found, folder / name)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder / "exported")
    torch.save({"weights": torch.zeros(3)}, folder / "pickled.pt")


def _write_stores(folder: Path) -> None:
    from nnmass.architectures import load_spec
    from nnmass.data import load_data
    from nnmass.latency import LatencyTable
    from nnmass.sweeps import RunStore, grid, run_sweep
    from nnmass.timing import conditions, fill_table
    from nnmass.training import TrainingConfig

    specs = grid(load_spec(folder / "mlp.json"), {"depth": [5, 6, 8], "max_skips": [2, 6]})
    run_sweep(specs, load_data("digits"), RunStore(folder / "runs.sqlite"), TrainingConfig(epochs=1), seeds=range(2))
    table = LatencyTable(folder / "latency.sqlite", conditions(threads=1), create=True)
    from nnmass.designing import load_space

    fill_table(table, list(load_space(folder / "space.json").blocks())[:4], seconds=0.001)


def damaged(source: Path, target: Path, draw: random.Random) -> Path:
    """Write a damaged copy of a file, or something else in its place; a folder has one of its files damaged."""
    if source.is_dir():
        copied = Path(shutil.copytree(source, target, dirs_exist_ok=True))
        files = sorted(path for path in copied.rglob("*") if path.is_file())
        chosen = draw.choice(files)
        content = chosen.read_bytes()
        chosen.unlink()
        _damage(content, chosen, draw)
        return copied
    return _damage(source.read_bytes(), target, draw)


def _damage(content: bytes, target: Path, draw: random.Random) -> Path:
    kinds: list[Callable[[bytes, Path, random.Random], None]] = [_bytes, _bytes, _bytes, _no_file, _other_content]
    if target.suffix == ".json":
        kinds += [_json, _json, _json]
    draw.choice(kinds)(content, target, draw)
    return target


def _bytes(content: bytes, target: Path, draw: random.Random) -> None:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(changed) + 1)
        kind = draw.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del changed[at : at + draw.choice((1, 4, 100, len(changed)))]
        elif kind == 2:
            changed[at:at] = draw.randbytes(draw.choice((1, 8, 64)))
        elif kind == 3:
            changed[at:at] = changed[at : at + draw.choice((1, 8, 512))] * draw.choice((1, 3))
        elif kind == 4:
            changed[at : at + 4] = struct.pack("<I", draw.choice((0, 0x7FFFFFFF, 0xFFFFFFFF)))
        else:
            changed[at : at + 8] = struct.pack("<Q", draw.choice((0, 2**63 - 1, 2**64 - 1, 2**40)))
    target.write_bytes(changed)


def _no_file(content: bytes, target: Path, draw: random.Random) -> None:
    kind = draw.randrange(6)
    if kind == 0:
        target.mkdir()
    elif kind == 1:
        os.mkfifo(target)
    elif kind == 2:
        target.symlink_to("/dev/zero")
    elif kind == 3:
        target.symlink_to(target.name)
    elif kind == 4:
        target.write_bytes(b"")


def _other_content(content: bytes, target: Path, draw: random.Random) -> None:
    nested = b"[" * 10_000 + b"]" * 10_000
    others = (
        nested,
        b'{"family": ' + nested + b"}",
        b"1" * 5_000,
        b"\xff\xfe\x00",
        b"PK\x03\x04",
        b"NaN",
        b"{}",
        b"null",
    )
    target.write_bytes(draw.choice((*others, gzip.compress(bytes(2**26)))))


def _json(content: bytes, target: Path, draw: random.Random) -> None:
    try:
        values = json.loads(content)
    except ValueError:
        return _bytes(content, target, draw)
    if isinstance(values, dict) and values:
        key = draw.choice(sorted(values))
        kind = draw.randrange(4)
        if kind == 0:
            del values[key]
        elif kind == 1:
            values[draw.choice(("extra", "links", "\x1b[2J", "family", ""))] = draw.choice(_SILLY_VALUES)
        elif isinstance(values[key], list) and values[key] and kind == 2:
            values[key][0] = draw.choice(_SILLY_VALUES)
        else:
            values[key] = draw.choice((*_SILLY_VALUES, 10**9, 2**63, 3))
    target.write_text(json.dumps(values))
    return None

"""Small valid files of every format, damaged at random: they are read or refused in a line, and nothing else."""

import gzip
import io
import pickle
import struct
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nnmass.data import load_data, open_stream, read_idx
from nnmass.data.cifar import read_cifar_batch
from nnmass.errors import NNMassError

ROUNDS = 150


def encoded(shade: int, form: str) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(shade).integers(256, size=(6, 6, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def npz(path: Path, **options: bool) -> None:
    save = np.savez_compressed if options.get("packed") else np.savez
    save(path, x=np.arange(120, dtype=np.uint8).reshape(20, 6), y=np.arange(20) % 2)


def idx(path: Path, *, packed: bool) -> None:
    content = b"\0\0\x08\x02" + struct.pack(">II", 20, 6) + bytes(range(120))
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)


def cifar(path: Path, *, protocol: int) -> None:
    images = np.random.default_rng(0).integers(256, size=(1, 3072)).astype(np.uint8)
    content = {"batch_label": "one", "labels": [3], "filenames": ["a.png"], "data": images}
    path.write_bytes(pickle.dumps(content, protocol))


def parquet(path: Path, **options: object) -> None:
    images = pa.array([{"bytes": encoded(i, "PNG"), "path": f"{i}.png"} for i in range(12)])
    pq.write_table(pa.table({"image": images, "label": [i % 2 for i in range(12)]}), path, **options)


def tar(path: Path, *, form: int) -> None:
    with tarfile.open(path, "w", format=form) as archive:
        for i in range(6):
            label = ("cls", b"%d" % (i % 2)) if i % 2 else ("json", b'{"label": 0}')
            for ending, content in (("png", encoded(i, "PNG")), label):
                info = tarfile.TarInfo(f"a/{i}.{ending}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def image(path: Path, *, form: str) -> None:
    path.write_bytes(encoded(0, form))


def read_twice(path: Path) -> None:
    """In memory, and as a stream beside a sound part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reads = (lambda: load_data(str(path.parent)), lambda: streamed(path.parent))
        problems = []
        for read in reads:
            try:
                read()
            except NNMassError as error:
                problems.append(error)
    if problems:
        raise problems[0]


def streamed(folder: Path) -> None:
    stream = open_stream(folder, image_size=6)
    for part in (stream.train, stream.validation):
        for _ in stream.batches(part, batch_size=4, training=False):
            pass


def beside(write: Callable, name: str, sound: str, **options: object) -> Callable[[Path], Path]:
    """A folder of a part that is damaged and one that is sound."""

    def make(folder: Path) -> Path:
        write(folder / sound, **options)
        write(folder / name, **options)
        return folder / name

    return make


def alone(write: Callable, name: str, **options: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write(folder / name, **options)
        return folder / name

    return make


def among_images(form: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        for part in ("train", "val"):
            for k in range(6):
                (folder / part / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
                image(folder / part / "ab"[k % 2] / f"{k}.png", form=form)
        return folder / "train" / "a" / "0.png"

    return make


def read_image(path: Path) -> None:
    read_twice(path.parent.parent)


FORMATS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "npz": (alone(npz, "a.npz"), lambda path: load_data(str(path))),
    "npz, packed": (alone(npz, "a.npz", packed=True), lambda path: load_data(str(path))),
    "idx": (alone(idx, "a", packed=False), read_idx),
    "idx, packed": (alone(idx, "a", packed=True), read_idx),
    **{
        f"cifar {k}": (alone(cifar, "batch", protocol=k), lambda path: read_cifar_batch(path, label_key="labels"))
        for k in (2, 4, 5)
    },
    "parquet": (beside(parquet, "train.parquet", "val.parquet"), read_twice),
    "parquet, zstd": (
        beside(parquet, "train.parquet", "val.parquet", compression="zstd", data_page_version="2.0", row_group_size=5),
        read_twice,
    ),
    "tar": (beside(tar, "train.tar", "val.tar", form=tarfile.USTAR_FORMAT), read_twice),
    "tar, pax": (beside(tar, "train.tar", "val.tar", form=tarfile.PAX_FORMAT), read_twice),
    **{form: (among_images(form), read_image) for form in ("PNG", "JPEG", "TIFF", "GIF")},
}


def damaged(content: bytes, generator: np.random.Generator) -> bytes:
    """Flip, cut, insert, repeat or overwrite bytes, once or a few times."""
    result = bytearray(content)
    for _ in range(int(generator.integers(1, 4))):
        start = int(generator.integers(len(result) + 1))
        length = int(generator.integers(1, 9))
        kind = generator.integers(6)
        if kind == 0 and start < len(result):
            result[start] ^= 1 << int(generator.integers(8))
        elif kind == 1:
            del result[start : start + length]
        elif kind == 2:
            result[start:start] = generator.bytes(length)
        elif kind == 3:
            result[start:start] = result[start : start + 64 * length]
        elif kind == 4:
            result[start : start + length] = bytes([int(generator.choice([0, 0x7F, 0x80, 0xFF]))]) * length
        else:
            del result[start:]
    return bytes(result)


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_read_or_refused_in_a_line(tmp_path, name):
    make, read = FORMATS[name]
    path = make(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read(path)  # sound
    content, generator, refused = path.read_bytes(), np.random.default_rng(len(name)), []
    for _ in range(ROUNDS):
        changed = damaged(content, generator)
        path.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read(path)
            except NNMassError as error:
                refused.append(str(error))
    assert len(refused) > ROUNDS / 10
    assert not [message for message in refused if "\n" in message or len(message) > 1_000]

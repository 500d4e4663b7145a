"""What a file does that means harm: nothing, and it is refused in one line, soon, and within little memory."""

import gzip
import io
import json
import os
import pickle
import socket
import sqlite3
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from nnmass.data import read_folder
from nnmass.errors import StoreError
from nnmass.sweeps import RunStore

MOST_BYTES = 2**30
PIXELS = 3072

RUNNER = """
import json, sys, time, warnings
from nnmass.data import load_data, open_stream, read_folder, read_idx, read_npz
from nnmass.data.cifar import read_cifar_batch
from nnmass.errors import NNMassError
from nnmass.training.checkpoint import load_checkpoint
warnings.simplefilter("ignore")
def stream(path):
    opened = open_stream(path, image_size=16)
    for part in (opened.train, opened.validation):
        for _ in opened.batches(part, batch_size=8, training=False):
            pass
readers = {"cifar": lambda path: read_cifar_batch(path, label_key="labels"), "npz": read_npz, "idx": read_idx,
           "folder": read_folder, "stream": stream, "checkpoint": load_checkpoint}
outcomes = []
for reader, path in json.loads(sys.argv[1]):
    start = time.process_time()
    try:
        readers[reader](path)
        said = None
    except NNMassError as error:
        said = str(error)
    (peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]  # ru_maxrss is the parent's too
    memory = int(peak.split()[1]) * 1024
    outcomes.append({"said": said, "seconds": time.process_time() - start, "bytes": memory})
print(json.dumps(outcomes))
"""


def png(side: int = 8, shade: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 90, 20)).save(stream, "PNG")
    return stream.getvalue()


def npy_header(text: str) -> bytes:
    text = text.ljust(118 - 1) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


class Caller:
    """Unpickling it calls a function."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def pointers() -> bytes:
    """An array of objects whose addresses the file chooses, made of the functions that rebuild arrays."""
    dtype = b"cnumpy\ndtype\n(U\x02O8K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"
    raw = struct.pack("<Q", 0x4141414141414141) * PIXELS
    state = b"(K\x01(K\x01M\x00\x0ct" + dtype + b"\x89T" + struct.pack("<I", len(raw)) + raw + b"t"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR" + state + b"b"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels(K\x04lu."


def doubling_memory() -> bytes:
    """Lists of two of the list before, 60 deep."""
    return b"\x80\x02]q\x00" + b"".join(b"](h" + bytes([k, 104, k]) + b"eq" + bytes([k + 1]) for k in range(60)) + b"."


def text_made_bytes_again_and_again() -> bytes:
    text = b"X" + struct.pack("<I", 2**22) + bytes(2**22)
    return b"\x80\x02" + text + b"q\x00" + b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R" * 1000 + b"."


def cifar_files(folder) -> dict:
    trace = folder / "trace"
    contents = {
        "system": pickle.dumps({"data": Caller(os.system, f"touch {trace}"), "labels": [0]}, 2),
        "eval": pickle.dumps({"data": Caller(eval, f"open({str(trace)!r}, 'w')"), "labels": [0]}, 4),
        "pointers": pointers(),
        "objects": pickle.dumps({"data": np.array([[{}] * PIXELS], object), "labels": [0]}, 4),
        "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
        "long": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\x01",
        "negative-long": b"\x80\x02\x8b" + struct.pack("<i", -1) + b"\x01.",
        "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x",
        "doubling": doubling_memory(),
        "texts": text_made_bytes_again_and_again(),
        "instructions": b"\x80\x02" + b"N" * 3_000_000 + b".",
        "shape": pickle.dumps({"data": np.zeros((1, PIXELS), np.uint8), "labels": [0]}, 4).replace(
            b"K\x01M\x00\x0c\x86", b"J\xff\xff\xff\x7fM\x00\x0c\x86"
        ),
        "persistent": b"\x80\x02Pname\n.",
        "instance": b"(S'true'\nios\nsystem\n.",
        "extension": b"\x80\x02\x82\x01.",
    }
    return written(folder, contents, "cifar")


def npz_files(folder) -> dict:
    def archive(**arrays) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as held:
            for name, content in arrays.items():
                held.writestr(name.replace("_npy", ".npy"), content)
        return stream.getvalue()

    objects = io.BytesIO()
    np.savez(objects, x=np.array([Caller(os.system, f"touch {folder / 'trace'}")] * 9, object), y=np.arange(9))
    labels = npy_header("{'descr': '<i8', 'fortran_order': False, 'shape': (10,), }") + bytes(80)
    many = npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 784), }") + bytes(80)
    large = npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (300, 1048576), }") + bytes(300 * 2**20)
    nested = npy_header("{'descr': " + "(" * 50 + ", 'fortran_order': False, 'shape': (1,), }")
    honest = archive(x_npy=large, y_npy=labels)
    contents = {
        "objects": objects.getvalue(),
        "rows": archive(x_npy=many, y_npy=labels),
        "negative": archive(x_npy=many.replace(b"1000000000000", b"-100000000000"), y_npy=labels),
        "bomb": honest,
        "lie": honest.replace(struct.pack("<I", len(large)), struct.pack("<I", 4096)),
        "nested": archive(x_npy=nested, y_npy=labels),
        "zip": archive(readme=b"nothing"),
        "twice": _with_two_of(labels),
    }
    return written(folder, contents, "npz")


def _with_two_of(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as held:
        for name in ("x.npy", "z.npy", "y.npy"):
            held.writestr(name, content)
    return stream.getvalue().replace(b"z.npy", b"x.npy")


def idx_files(folder) -> dict:
    large = b"\0\0\x08\x02" + struct.pack(">II", 2**16, 2**13) + bytes(2**29)
    contents = {
        "bomb": gzip.compress(large, compresslevel=1),
        "grows": gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 10) + bytes(2**28), compresslevel=1),
        "overflow": gzip.compress(b"\0\0\x08\x04" + b"\xff" * 16),
        "sides": b"\0\0\x08\x03" + struct.pack(">III", 2**31, 2**31, 4),
        "magic": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "dimensions": b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"x",
    }
    return written(folder, contents, "idx")


def parquet_folder(path, images, labels, **options):
    """A folder of a training and a validation file; images may repeat by their dictionary."""
    path.mkdir()
    kind = pa.struct({"bytes": images.type, "path": pa.string()})
    held = pa.StructArray.from_arrays([images, pa.nulls(len(images), pa.string())], fields=list(kind))
    for part in ("train", "val"):
        table = pa.table({"image": held, "label": pa.array(labels)})
        pq.write_table(table, path / f"{part}-0.parquet", store_schema=False, **options)
    return path


def parquet_files(folder) -> dict:
    image = png() + bytes(2**22)
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int32()), pa.array([image], pa.binary()))
    zeros = pa.array([bytes(2**28 + 2**20), png()], pa.binary())
    plain = pa.array([png()] * 4, pa.binary())
    found = {
        "repeated": parquet_folder(
            folder / "repeated", repeated, [i % 2 for i in range(100)], dictionary_pagesize_limit=2**24
        ),
        "zeros": parquet_folder(folder / "zeros", zeros, [0, 1], compression="zstd", use_dictionary=False),
        "huge-labels": parquet_folder(folder / "huge-labels", plain, [0, 1, 0, 10**9]),
        "cut": parquet_folder(folder / "cut", plain, [0, 1, 0, 1]),
    }
    whole = (found["cut"] / "train-0.parquet").read_bytes()
    (found["cut"] / "train-0.parquet").write_bytes(whole[: len(whole) // 2])
    return read_both_ways(found)


def shard(path, add, *, samples: int = 4):
    """A folder of two shards; ``add`` puts into the training one what means harm."""
    path.mkdir()
    for part in ("train", "val"):
        with tarfile.open(path / f"{part}-0.tar", "w", format=tarfile.GNU_FORMAT) as archive:
            for i in range(samples):
                for name, content in ((f"{i}.png", png(shade=i)), (f"{i}.cls", str(i % 2).encode())):
                    member(archive, name, content)
            if part == "train":
                add(archive)
    return path


def member(archive, name: str, content: bytes = b"", **values) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in values.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(content))


def raw_header(name: bytes, size: bytes, kind: bytes) -> bytes:
    head = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + size.ljust(12, b"\0") + b"00000000000\0"
    head += b" " * 8 + kind + bytes(100) + b"ustar  \0"
    head = head.ljust(512, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def tar_files(folder) -> dict:
    trace = folder / "trace"

    def blocks(*headers):
        return lambda archive: archive.fileobj.write(b"".join(headers))

    harms = {
        "link": lambda a: member(a, "z.png", type=tarfile.SYMTYPE, linkname="/dev/zero"),
        "hard-link": lambda a: member(a, "z.png", type=tarfile.LNKTYPE, linkname="../../etc/passwd"),
        "device": lambda a: member(a, "z.png", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        "pipe": lambda a: member(a, "z.cls", type=tarfile.FIFOTYPE),
        "huge-label": lambda a: (member(a, "z.png", png()), member(a, "z.cls", b"0" * 2**21)),
        "deep-label": lambda a: (member(a, "z.png", png()), member(a, "z.json", b"[" * 10**5)),
        "great-label": lambda a: (member(a, "z.png", png()), member(a, "z.json", b'{"label": 1e30}')),
        "gap": lambda a: (member(a, "z.png", png()), member(a, "z.cls", b"1000000000")),
        "two-images": lambda a: member(a, "0.jpg", png()),
        "two-labels": lambda a: member(a, "0.cls", b"1"),
        "no-label": lambda a: member(a, "z.png", png()),
        "huge-size": blocks(raw_header(b"z.png", b"\x80" + (2**62).to_bytes(11, "big"), b"0")),
        "negative-size": blocks(raw_header(b"z.png", b"\xff" * 10 + b"\xfe\x00", b"0")),
        "huge-pax": blocks(raw_header(b"z", b"77777777777", b"x")),
        "negative-pax": blocks(raw_header(b"z", b"\xff" * 10 + b"\xf0\x00", b"x")),
        "pax-chain": blocks(raw_header(b"z", b"00000000000", b"x") * 3000),
        "sparse": blocks(raw_header(b"z.png", b"00000000000", b"S")),
    }
    found = {name: shard(folder / name, add) for name, add in harms.items()}
    for name in ("cut", "damaged", "joined"):
        found[name] = shard(folder / name, lambda archive: None)
    whole = (found["cut"] / "train-0.tar").read_bytes()
    (found["cut"] / "train-0.tar").write_bytes(whole[:4096])
    (found["damaged"] / "train-0.tar").write_bytes(whole[:2048] + b"\x01" + whole[2049:])
    (found["joined"] / "train-0.tar").write_bytes(whole + whole)
    assert not trace.exists()
    return read_both_ways(found)


def image_folder(path, harm):
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (path / part / name).mkdir(parents=True)
            for i in range(3):
                (path / part / name / f"{i}.png").write_bytes(png(shade=i))
    harm(path / "train" / "cat" / "z.png")
    return path


def large_png(path) -> None:
    content = png()
    head = content[12:16] + struct.pack(">II", 30_000, 30_000) + content[24:29]
    path.write_bytes(content[:12] + head + struct.pack(">I", zlib.crc32(head)) + content[33:])


def sparse_file(path) -> None:
    path.touch()
    os.truncate(path, 2**40)


def to_zero(path) -> None:
    path.symlink_to("/dev/zero")


def to_nowhere(path) -> None:
    path.symlink_to("/no/such/file")


def round_and_round(path) -> None:
    path.symlink_to(path)


def a_socket(path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)
    os.chdir(here)


NOT_FILES = {"zero": to_zero, "pipe": os.mkfifo, "socket": a_socket, "nowhere": to_nowhere, "round": round_and_round}


def image_files(folder) -> dict:
    harms = {**NOT_FILES, "large": large_png, "sparse": sparse_file}
    found = {name: image_folder(folder / name, harm) for name, harm in harms.items()}
    return read_both_ways(found)


def places_of_files(folder) -> dict:
    """Everything that is no file in the place of every kind of file."""
    found = {}
    for kind, make in NOT_FILES.items():
        for reader in ("cifar", "npz", "idx"):
            make(folder / f"{kind}.{reader}")
            found[f"{kind}-{reader}"] = (reader, folder / f"{kind}.{reader}")
        for suffix in ("parquet", "tar"):
            (folder / f"{kind}-{suffix}").mkdir()
            make(folder / f"{kind}-{suffix}" / f"train.{suffix}")
            for reader in ("folder", "stream"):
                found[f"{kind}-{suffix}-{reader}"] = (reader, folder / f"{kind}-{suffix}")
        if kind not in ("nowhere", "round"):  # a missing checkpoint is none
            make(folder / f"{kind}.safetensors")
            found[f"{kind}-checkpoint"] = ("checkpoint", folder / f"{kind}.safetensors")
    return found


def checkpoints(folder) -> dict:
    large = b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
    contents = {
        "header": struct.pack("<Q", 2**60) + b"{}",
        "tensor": struct.pack("<Q", len(large)) + large,
        "deep": struct.pack("<Q", 10**5) + b"[" * 10**5,
        "pickle": pickle.dumps(Caller(os.system, f"touch {folder / 'trace'}")),
    }
    return written(folder, contents, "checkpoint")


def read_both_ways(folders: dict) -> dict:
    return {f"{name}-{reader}": (reader, path) for name, path in folders.items() for reader in ("folder", "stream")}


def written(folder, contents: dict, reader: str) -> dict:
    paths = {f"{reader}-{name}": folder / name for name in contents}
    for path, content in zip(paths.values(), contents.values(), strict=True):
        path.write_bytes(content)
    return {name: (reader, path) for name, path in paths.items()}


GROUPS = {
    "files": (cifar_files, npz_files, idx_files, checkpoints),
    "folders": (parquet_files, tar_files, image_files, places_of_files),
}
HARMLESS = {"repeated-folder", "repeated-stream"}  # an image that repeats is held once, and read


def is_wrong(name: str, seconds: float, said: str | None) -> bool:
    """Whether what became of a file is not as it should be."""
    return (said is None) != (name in HARMLESS) or "\n" in (said or "") or len(said or "") > 1_000 or seconds > 5


@pytest.mark.parametrize("group", GROUPS)
def test_hostile_files_are_refused_in_a_line_soon_and_within_little_memory(tmp_path, group):
    cases = {}
    for k, make in enumerate(GROUPS[group]):
        (tmp_path / str(k)).mkdir()
        cases |= {(k, name): case for name, case in make(tmp_path / str(k)).items()}
    asked = json.dumps([(reader, str(path)) for reader, path in cases.values()])
    done = subprocess.run([sys.executable, "-c", RUNNER, asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcomes = dict(zip(cases, json.loads(done.stdout), strict=True))
    wrong = {case: o for case, o in outcomes.items() if is_wrong(case[1], o["seconds"], o["said"])}
    assert not wrong
    assert max(found["bytes"] for found in outcomes.values()) < MOST_BYTES
    assert not list(tmp_path.rglob("trace"))


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END",
        "CREATE VIEW v AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
        "ALTER TABLE runs ADD COLUMN bytes GENERATED ALWAYS AS (zeroblob(1000000000))",
        "CREATE TABLE other (a)",
        "DROP TABLE runs",
    ],
)
def test_stores_that_would_do_work_when_they_are_read_are_refused(tmp_path, change):
    path = tmp_path / "runs.sqlite"
    RunStore(path)
    RunStore(path, create=False)
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(StoreError, match="is not a run store as this program makes them: it holds ") as caught:
        RunStore(path, create=False)
    assert "\n" not in str(caught.value)


def test_a_view_in_the_place_of_the_runs_is_not_read(tmp_path):
    path = tmp_path / "runs.sqlite"
    RunStore(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE runs")
        endless = "WITH RECURSIVE c(key) AS (SELECT 1 UNION ALL SELECT key + 1 FROM c) SELECT key FROM c"
        connection.execute(f"CREATE VIEW runs AS {endless}")
    connection.close()
    with pytest.raises(StoreError, match="is not a run store as this program makes them: it holds CREATE VIEW runs"):
        RunStore(path)


@pytest.mark.parametrize("make", [*NOT_FILES.values(), lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(84))])
def test_what_is_no_store_is_refused(tmp_path, make):
    path = tmp_path / "runs.sqlite"
    make(path)
    with pytest.raises(StoreError, match=r"runs\.sqlite: ") as caught:
        RunStore(path, create=False)
    assert "\n" not in str(caught.value)


def test_names_in_shards_lead_nowhere(tmp_path):
    """Absolute names and those that climb are keys, never paths."""
    outside = tmp_path / "outside"

    def add(archive) -> None:
        for name in (str(outside), "../../outside"):
            member(archive, f"{name}.png", png())
            member(archive, f"{name}.cls", b"1")

    data = read_folder(shard(tmp_path / "shards", add))
    assert sum(len(part) for part in (data.train, data.test)) == 4 + 2
    assert not outside.exists()

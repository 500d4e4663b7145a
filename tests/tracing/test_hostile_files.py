"""Files that somebody made, or damaged, so that reading them takes all memory, never ends, or fails."""

import copy
import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from nnmass import DenseMLP
from nnmass.errors import DataError, NNMassError
from nnmass.tracing import PublishedAccuracies, analyze_source

pytestmark = [  # of PyTorch's exporters about their own code
    pytest.mark.filterwarnings("ignore:`isinstance:FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SECONDS, MEMORY = 5, 2**30
DOUBLED = 34

# ONNX


def node(operator: str, *inputs: str, **options: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, options.pop("outputs", ["y"]), **options)


def constant(name: str, values: Any, dtype: Any = np.float32) -> onnx.NodeProto:
    return node("Constant", outputs=[name], value=numpy_helper.from_array(np.array(values, dtype=dtype)))


def chain(make: Callable[[str, str, int], list[onnx.NodeProto]], start: Any) -> list[onnx.NodeProto]:
    """A constant that every node makes twice as large, and that is added in the end."""
    nodes = [constant("c0", start)]
    for k in range(DOUBLED):
        nodes += make(f"c{k}", f"c{k + 1}", k)
    return [*nodes, node("ReduceSum", f"c{DOUBLED}", outputs=["s"], keepdims=0), node("Add", "x", "s")]


def doubled_by_pads(x: str, y: str, k: int) -> list[onnx.NodeProto]:
    return [constant(f"p{k}", [0, 2**k], np.int64), node("Pad", x, f"p{k}", outputs=[y])]


def doubled_by_tiles(x: str, y: str, k: int) -> list[onnx.NodeProto]:
    return [constant(f"r{k}", [2], np.int64), node("Tile", x, f"r{k}", outputs=[y])]


def doubled_by_expanding(x: str, y: str, k: int) -> list[onnx.NodeProto]:
    return [
        constant(f"s{k}", [2, 2**k], np.int64),
        node("Expand", x, f"s{k}", outputs=[f"e{k}"]),
        constant(f"f{k}", [-1], np.int64),
        node("Reshape", f"e{k}", f"f{k}", outputs=[y]),
    ]


def squared(k: int) -> list[onnx.NodeProto]:
    return [node("MatMul", f"m{k}", f"m{k}", outputs=[f"m{k + 1}"])]


def filled(name: str, *dims: int) -> list[onnx.NodeProto]:
    return [constant(f"{name}/shape", dims, np.int64), node("ConstantOfShape", f"{name}/shape", outputs=[name])]


GRAPHS = {
    "concatenated": chain(lambda x, y, k: [node("Concat", x, x, outputs=[y], axis=0)], [1.0]),
    "padded": chain(doubled_by_pads, [1.0]),
    "tiled": chain(doubled_by_tiles, [1.0]),
    "expanded": chain(doubled_by_expanding, [1.0]),
    "tiled at once": [constant("c", [1.0]), constant("r", [2**DOUBLED], np.int64), node("Tile", "c", "r")],
    "filled": [*filled("c", 2**DOUBLED), node("ReduceSum", "c", outputs=["s"], keepdims=0), node("Add", "x", "s")],
    "filled as a weight": [*filled("w", 2**DOUBLED, 4), node("Gemm", "x", "w", transB=1)],
    "a range": [
        *(constant(n, v, np.int64) for n, v in (("a", 0), ("b", 2**DOUBLED), ("c", 1))),
        node("Range", "a", "b", "c", outputs=["r"]),
        node("Cast", "r", to=1, outputs=["f"]),
        node("ReduceSum", "f", outputs=["s"], keepdims=0),
        node("Add", "x", "s"),
    ],
    "outer products": [
        *filled("c", 2**18, 1),
        node("Transpose", "c", outputs=["t"]),
        node("Add", "c", "t", outputs=["o"]),
        node("ReduceSum", "o", outputs=["s"], keepdims=0),
        node("Add", "x", "s"),
    ],
    "products of matrices": [
        *filled("m0", 4096, 4096),
        *(n for k in range(400) for n in squared(k)),
        node("ReduceSum", "m400", outputs=["s"], keepdims=0),
        node("Add", "x", "s"),
    ],
    "channels": [*filled("c", 1, 2**DOUBLED), node("Concat", "x", "c", axis=1)],
    "padded channels": [constant("p", [0, 0, 0, 2**DOUBLED], np.int64), node("Pad", "x", "p")],
    "tiled channels": [constant("r", [1, 2**DOUBLED], np.int64), node("Tile", "x", "r")],
    "gathered": [*filled("i", 2**DOUBLED), node("Cast", "i", to=7, outputs=["j"]), node("Gather", "x", "j", axis=1)],
    "split": [
        constant("r", [1, 2**24], np.int64),
        node("Tile", "x", "r", outputs=["t"]),
        node("Split", "t", axis=1, outputs=[f"y{k}" if k else "y" for k in range(9)], num_outputs=9),
    ],
    "resized": [
        constant("r", [], np.float32),
        constant("f", [1, 1, 1e9], np.float32),
        constant("u", [0], np.int64),
        node("Unsqueeze", "x", "u", outputs=["v"]),
        node("Resize", "v", "r", "f"),
    ],
}


def save_graph(path: Path, nodes: list[onnx.NodeProto], **more: Any) -> Path:
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in (("x", [1, 4]), ("y", None))
    ]
    functions, tensors = more.pop("functions", []), more.pop("tensors", [])
    domains = [helper.make_opsetid("", 18), *(helper.make_opsetid("own", 1) for _ in functions[:1])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", values[:1], values[1:], tensors), opset_imports=domains, functions=functions
    )
    model.ir_version = 10
    path.write_bytes(model.SerializeToString())
    return path


def function(name: str, body: list[onnx.NodeProto]) -> onnx.FunctionProto:
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["x"], ["y"], body, domains)


def in_functions() -> list[onnx.FunctionProto]:
    """Each calls the one before it twice."""
    functions = [function("f0", [node("Relu", "x")])]
    for k in range(DOUBLED):
        inner = f"f{k}"
        body = [node(inner, "x", outputs=["z"], domain="own"), node(inner, "z", domain="own")]
        functions.append(function(f"f{k + 1}", body))
    return functions


def in_circles() -> list[onnx.FunctionProto]:
    return [function("f0", [node("f1", "x", domain="own")]), function("f1", [node("f0", "x", domain="own")])]


def external(location: str, dims: list[int], kind: int = TensorProto.INT64, **more: str) -> onnx.TensorProto:
    stored = TensorProto(name="i", data_type=kind, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        stored.external_data.add(key=key, value=value)
    return stored


def write_onnx_files(folder: Path) -> Iterator[Path]:
    for name, nodes in GRAPHS.items():
        yield save_graph(folder / f"{name}.onnx", nodes)
    yield save_graph(folder / "calls.onnx", [node(f"f{DOUBLED}", "x", domain="own")], functions=in_functions())
    yield save_graph(folder / "circle.onnx", [node("f1", "x", domain="own")], functions=in_circles())
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    (folder / "few").write_bytes(bytes(16))
    stored = {
        "device": external("/dev/zero", [2]),
        "link": external("zero", [2]),
        "pipe": external("pipe", [2]),
        "outside": external("../../etc/hostname", [1]),
        "more": external("few", [2**DOUBLED]),
        "behind": external("few", [1], offset=str(2**70)),
        "before": external("few", [1], offset="-8"),
        "no number": external("few", [1], offset="x"),
        "negative": external("few", [-1]),
        "huge": external("few", [2**40, 2**40], TensorProto.FLOAT),
        "wide": external("few", [2**36, 4], TensorProto.FLOAT),
    }
    for name, tensor in stored.items():
        nodes = (
            [node("Gather", "x", "i", axis=1)]
            if tensor.data_type == TensorProto.INT64
            else [node("Gemm", "x", "i", transB=1)]
        )
        yield save_graph(folder / f"external {name}.onnx", nodes, tensors=[tensor])
    claims = TensorProto(name="i", data_type=TensorProto.INT64, dims=[2**40], raw_data=bytes(8))
    yield save_graph(folder / "claims.onnx", [node("Gather", "x", "i", axis=1)], tensors=[claims])
    deep = ".".join("a" * 20_000)
    yield save_graph(folder / "deep.onnx", [node("Relu", "x", name=deep)])
    yield save_graph(folder / "long.onnx", [node("Nonsense", "x", name="n" * 10**6)])


# torch.export


def saved_program(path: Path) -> Path:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3)).eval()
    torch.export.save(torch.export.export(network, (torch.rand(1, 3, 8, 8),)), path)
    return path


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes], **how: Any) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", **how) as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))
    return target


def edited(source: Path, target: Path, member: str, change: Callable[[Any], None]) -> Path:
    def apply(name: str, content: bytes) -> bytes:
        if not name.endswith(member):
            return content
        data = json.loads(content)
        change(data)
        return json.dumps(data).encode()

    return rewritten(source, target, apply)


def write_programs(folder: Path) -> Iterator[Path]:
    whole = saved_program(folder / "whole.pt2")
    weights, model = "model_weights_config.json", "models/model.json"

    def of_buffer(key: str, value: Any) -> Callable[[Any], None]:
        def change(data: Any) -> None:
            [*_, name] = [name for name in data["config"] if "running" in name]
            data["config"][name]["tensor_meta"][key] = value

        return change

    def replaced(member: str, content: bytes) -> Callable[[str, bytes], bytes]:
        return lambda name, before: content if name.endswith(member) else before

    huge = [{"as_int": 2**DOUBLED}]
    yield edited(whole, folder / "large.pt2", weights, of_buffer("sizes", huge))

    def repeated(data: Any) -> None:
        of_buffer("sizes", huge)(data)
        of_buffer("strides", [{"as_int": 0}])(data)

    yield edited(whole, folder / "repeated.pt2", weights, repeated)
    yield edited(whole, folder / "negative.pt2", weights, of_buffer("sizes", [{"as_int": -4}]))
    yield edited(whole, folder / "behind.pt2", weights, of_buffer("storage_offset", {"as_int": 2**62}))
    yield rewritten(whole, folder / "nested.pt2", replaced(model, b"[" * 10**5 + b"]" * 10**5))
    yield rewritten(whole, folder / "digits.pt2", replaced(model, b'{"schema_version": ' + b"9" * 10**5 + b"}"))
    yield rewritten(whole, folder / "infinite.pt2", replaced(model, b'{"schema_version": {"major": 1e400}}'))
    zeros = replaced(model, b"[" + b"0," * 2**27 + b"0]")
    yield rewritten(whole, folder / "bomb.pt2", zeros, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    objects = replaced(model, b"[" + b"{}," * 2**24 + b"0]")
    yield rewritten(whole, folder / "objects.pt2", objects)


def write_others(folder: Path) -> Iterator[Path]:
    for suffix in ("onnx", "pt2", "json"):
        os.mkfifo(folder / f"pipe.{suffix}")
        (folder / f"device.{suffix}").symlink_to("/dev/zero")
        (folder / f"folder.{suffix}").mkdir()
        (folder / f"sparse.{suffix}").touch()
        os.truncate(folder / f"sparse.{suffix}", 2**40)
        (folder / f"nothing.{suffix}").touch()
        yield from (
            folder / f"{name}.{suffix}" for name in ("pipe", "device", "folder", "sparse", "nothing", "missing")
        )


WRITE = {"ONNX": write_onnx_files, "torch.export": write_programs, "other files": write_others}
READ = """
import sys, time, warnings
warnings.simplefilter("ignore")
from nnmass.errors import NNMassError
from nnmass.tracing import analyze_source, measure
import nnmass.tracing.libraries
nnmass.tracing.libraries.import_library("onnx.inliner")
measure("none.json")
for line in sys.stdin:
    began, said = time.perf_counter(), "answered"
    try:
        analyze_source(line.strip())
    except NNMassError as error:
        said = str(error)
    assert len(said.splitlines()) == 1, said
    memory = 1024 * int(next(row for row in open("/proc/self/status") if row.startswith("VmHWM")).split()[1])
    print(f"{time.perf_counter() - began:.3f}", memory, said[-300:], sep="|")
"""


@pytest.mark.parametrize("kind", WRITE)
def test_hostile_files_take_little_memory_and_time(tmp_path, kind):
    files = list(WRITE[kind](tmp_path))
    given = "".join(f"{file}\n" for file in files)
    command = [sys.executable, "-c", READ]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line.split("|", 2) for line in done.stdout.splitlines()]
    assert len(rows) == len(files)
    for file, (seconds, memory, said) in zip(files, rows, strict=True):
        assert float(seconds) < 4 * SECONDS, (file.name, said)  # of a machine that others use too
        assert int(memory) < MEMORY, (file.name, said)


# Damaged files


def small_network() -> list[onnx.NodeProto]:
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.random((4, 4), dtype=np.float32))
    return [
        node("Constant", outputs=["w"], value=weight),
        node("Gemm", "x", "w", outputs=["a"], transB=1, name="first"),
        node("Relu", "a", outputs=["b"]),
        constant("shape", [1, 4, 1, 1], np.int64),
        node("Reshape", "b", "shape", outputs=["c"]),
        node("AveragePool", "c", outputs=["d"], kernel_shape=[1, 1], strides=[1, 1]),
        node("Flatten", "d", outputs=["e"], axis=1),
        node("MatMul", "e", "w", outputs=["f"]),
        node("Concat", "f", "x", outputs=["g"], axis=1),
        node("Add", "f", "x"),
    ]


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Content with some bytes changed, left out, repeated or moved."""
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        at, length = draw.randrange(len(changed)), draw.choice([1, 1, 2, 8, 64])
        part = bytes(changed[at : at + length])
        kind = draw.randrange(5)
        if kind == 0:
            changed[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            changed[at : at + length] = draw.randbytes(length)
        elif kind == 2 and len(changed) > 2 * length:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = part * draw.choice([1, 2, 50])
        else:
            changed[at : at + length] = draw.choice([b"\xff" * length, b"\x00" * length, b"9" * 30, b"-1", b'"'])
    return bytes(changed)


def only_known_errors(file: Path, cases: Iterator[bytes]) -> int:
    """Analyse one file after another; returns how many were refused."""
    refused = 0
    for content in cases:
        file.write_bytes(content)
        try:
            analyze_source(str(file))
        except NNMassError:
            refused += 1
    return refused


@pytest.mark.parametrize("seed", range(3))
def test_damaged_onnx_files_are_answered_or_refused(tmp_path, seed):
    whole, draw = save_graph(tmp_path / "net.onnx", small_network()).read_bytes(), random.Random(seed)
    assert only_known_errors(tmp_path / "net.onnx", (mutated(whole, draw) for _ in range(150))) > 50


@pytest.mark.parametrize("seed", range(3))
def test_damaged_programs_are_answered_or_refused(tmp_path, seed):
    whole, draw = saved_program(tmp_path / "whole.pt2"), random.Random(seed)
    content = whole.read_bytes()
    assert only_known_errors(tmp_path / "net.pt2", (mutated(content, draw) for _ in range(40))) > 5
    refused = 0
    for _ in range(60):  # within the JSON, so that the archive itself is whole
        member = draw.choice(["models/model.json", "model_weights_config.json"])
        part = lambda name, data, member=member: mutated(data, draw) if name.endswith(member) else data  # noqa: E731
        target = rewritten(whole, tmp_path / "part.pt2", part)
        refused += only_known_errors(target, iter([target.read_bytes()]))
    assert refused > 30


VALUES = [None, True, -1, 0, 2**31, 2**63, 10**30, 1.5, 1e300, "", "x" * 1000, [], {}, [[]], {"a": 1}, "as_int"]


def replaced_somewhere(data: Any, draw: random.Random) -> Any:
    """JSON with one value put in the place of another."""
    places: list[tuple[Any, Any]] = []
    pending = [data]
    while pending:
        value = pending.pop()
        keys = list(value) if isinstance(value, dict) else range(len(value))
        places += [(value, key) for key in keys]
        pending += [value[key] for key in keys if isinstance(value[key], dict | list)]
    holder, key = draw.choice(places)
    holder[key] = copy.deepcopy(draw.choice(VALUES))
    return data


@pytest.mark.parametrize("seed", range(3))
def test_programs_with_other_values_are_answered_or_refused(tmp_path, seed):
    whole, draw = saved_program(tmp_path / "whole.pt2"), random.Random(seed)
    for _ in range(80):
        member = draw.choice(["models/model.json", "models/model.json", "model_weights_config.json"])
        change = lambda data: replaced_somewhere(data, draw)  # noqa: E731
        only_known_errors(tmp_path / "x.pt2", iter([edited(whole, tmp_path / "net.pt2", member, change).read_bytes()]))


@pytest.mark.parametrize("seed", range(3))
def test_damaged_specifications_are_answered_or_refused(tmp_path, seed):
    spec, draw = DenseMLP(width=8, depth=6, max_skips=20), random.Random(seed)
    whole = spec.to_json(tmp_path / "whole.json").read_bytes()
    assert only_known_errors(tmp_path / "net.json", (mutated(whole, draw) for _ in range(150))) > 50


EXTREMES = [
    b"",
    b"[" * 10**4 + b"]" * 10**4,
    b'{"family": "DenseMLP", "width": ' + b"9" * 5000 + b', "depth": 6, "max_skips": 3}',
    *(
        b'{"family": "DenseMLP", "width": ' + number + b', "depth": 6, "max_skips": 3}'
        for number in (b"NaN", b"1e400", b"-1e400", b"Infinity", b"1e18", b"9" * 4000, b'"\\ud800"', b"8.5", b"null")
    ),
    b'{"family": "\\ud800"}',
    b'{"family": "' + b"x" * 10**6 + b'"}',
    b"\xff\xfe{}",
]


@pytest.mark.parametrize("content", EXTREMES)
def test_extreme_specifications_are_answered_or_refused(tmp_path, content):
    assert only_known_errors(tmp_path / "net.json", iter([content])) == 1


@pytest.mark.parametrize(
    "content",
    [
        *(b"\xff\xfe\x00", b"\x00" * 100, b"", b"top1\n5\n", b'model,top1\n"' + b"a" * 10**6),
        *(b"model,top1\na," + number + b"\n" for number in (b"nan", b"inf", b"1e400", b"-1", b"")),
        *(b"model,top1\n,50\n", b"model,top1\na\n"),
        *(b"model,top1,img_size\na,50," + number + b"\n" for number in (b"0", b"9" * 5000)),
    ],
)
def test_other_files_are_no_results(tmp_path, content):
    (tmp_path / "results.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"results\.csv") as caught:
        PublishedAccuracies.read(tmp_path / "results.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["pipe", "device", "folder", "missing"])
def test_results_are_read_from_files_only(tmp_path, what):
    path = tmp_path / "results.csv"
    {"pipe": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "folder": Path.mkdir}.get(what, str)(path)
    began = time.monotonic()
    with pytest.raises(DataError, match=r"results\.csv: cannot be read"):
        PublishedAccuracies.read(path)
    assert time.monotonic() - began < SECONDS

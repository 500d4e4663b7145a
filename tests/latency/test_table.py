import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from nnmass import CifarResNet, DenseCNN, DenseMLP, MobileNetV2, ResNet, RunStore, WideResNet
from nnmass.errors import InvalidValueError, LatencyError, StoreError
from nnmass.latency import KINDS, Block, Conditions, LatencyTable, Timing, block, blocks_of

HERE = Conditions("this device", "eager", 2, 1, "2.0")
THERE = Conditions("that device", "onnxruntime", 1, 8, "1.0")


def timing(ms):
    return Timing(ms, ms * 0.9, ms * 1.1, ms * 1.2, 7)


@pytest.fixture
def table(tmp_path):
    return LatencyTable(tmp_path / "latency.sqlite", HERE, create=True)


def test_blocks_of_every_family_are_all_of_it():
    specs = [
        DenseMLP(width=8, depth=5, max_skips=9),
        DenseCNN(widths=(4, 8), depth=(1, 5), max_skips=(3, 9), conv="separable"),
        MobileNetV2(),
        ResNet.of_depth(50),
        CifarResNet.of_depth(20),
        WideResNet(depth=16, widen_factor=2),
    ]
    counts = [5, 2 + 1 + 3 + 1, 2 + 17, 2 + 16, 2 + 9, 2 + 6]
    counts[1] = 1 + 1 + 1 + 3 + 1  # one first layer; a first, a second and three later layers; the head
    assert [len(blocks_of(spec)) for spec in specs] == counts
    for piece in {piece for spec in specs for piece in blocks_of(spec)}:
        assert len(piece.sizes) == len(KINDS[piece.kind])
        assert all(type(size) is int for size in piece.sizes)


@pytest.mark.parametrize(
    ("kind", "sizes", "message"),
    [
        ("lstm", (1,), "kind of a block must be one of linear, .* got 'lstm'"),
        ("dense_second", (1, 2), r"a dense_second has the sizes separable, width, side, got \(1, 2\)"),
    ],
)
def test_blocks_that_do_not_exist_are_refused(kind, sizes, message):
    with pytest.raises(InvalidValueError, match=message):
        Block(kind, sizes)


def test_what_is_added_is_there_after_opening_again(table):
    piece = block("dense_second", False, 8, 16)
    passes = timing(2.0)._replace(unstable="shaken", speed=0.5, drift=0.03, usual_ms=0.4), timing(1.0)
    table.add(piece, passes[0])
    again = LatencyTable(table.path, HERE)
    assert again.passes(piece) == passes[:1]
    assert again.usual_ms == 0.8  # what the yardstick took
    again.add(piece, passes[1])
    assert LatencyTable(table.path).passes(piece) == passes
    assert len(LatencyTable(table.path)) == 1
    assert LatencyTable(table.path).passes(block("dense_second", False, 9, 16)) == ()
    with pytest.raises(LatencyError, match="width=9, side=16\\) was not measured"):
        table.measured(block("dense_second", False, 9, 16))


def test_layers_with_skips_are_interpolated_and_never_extrapolated(table):
    for inputs, ms in ((8, 1.0), (16, 2.0), (32, 6.0)):
        table.add(block("dense_layer", False, 8, 16, inputs), timing(ms))
    sizes = np.array([[0, 8, 16, n] for n in (8, 12, 16, 24, 12)])
    np.testing.assert_allclose(table.latencies("dense_layer", sizes), [1.0, 1.5, 2.0, 4.0, 1.5])
    assert table.missing([block("dense_layer", 0, 8, 16, n) for n in (7, 8, 20, 33, 33)]) == [
        block("dense_layer", 0, 8, 16, 7),
        block("dense_layer", 0, 8, 16, 33),
    ]
    for n in (7, 33):
        with pytest.raises(LatencyError, match=rf"inputs={n}\) was not measured; nnmass bench"):
            table.latencies("dense_layer", np.array([[0, 8, 16, n]]))
    with pytest.raises(LatencyError, match="width=9"):
        table.latencies("dense_layer", np.array([[0, 9, 16, 12]]))


def test_other_blocks_are_not_interpolated(table):
    table.add(block("dense_second", 0, 8, 16), timing(1.0))
    table.add(block("dense_second", 0, 16, 16), timing(3.0))
    with pytest.raises(LatencyError, match="width=12"):
        table.latencies("dense_second", np.array([[0, 12, 16]]))


def test_a_prediction_is_the_sum_of_its_blocks(table):
    spec = DenseCNN(widths=(4,), depth=4, max_skips=2, image_size=8)
    for k, piece in enumerate(blocks_of(spec)):
        table.add(piece, timing(1.0 + k))
    found = table.predict(spec)
    for end in range(3):
        assert found.latency[end] == pytest.approx(sum(latency[end] for _, latency in found.blocks))
    assert [table.at(end).milliseconds(spec) for end in ("low_ms", "ms", "high_ms")] == sorted(found.latency)
    assert [piece for piece, _ in found.blocks] == list(blocks_of(spec))


def test_a_file_may_hold_several_conditions(table):
    table.add(block("dense_second", 0, 8, 16), timing(1.0))
    other = LatencyTable(table.path, THERE, create=True)
    other.add(block("dense_second", 0, 8, 16), timing(9.0))
    assert LatencyTable.held_by(table.path) == [THERE, HERE]
    assert LatencyTable(table.path, HERE).latency(block("dense_second", 0, 8, 16)).ms == 1.0
    assert LatencyTable(table.path, THERE).latency(block("dense_second", 0, 8, 16)).ms == 9.0
    with pytest.raises(LatencyError, match=r"that device, .*; this device, .*; say which device"):
        LatencyTable(table.path)


def test_latencies_of_another_device_are_refused(table):
    table.add(block("dense_second", 0, 8, 16), timing(1.0))
    with pytest.raises(
        LatencyError, match=r"no latencies of that device, onnxruntime 1\.0, 1 threads, batch 8, but this"
    ):
        LatencyTable(table.path, THERE)


def test_an_empty_table_needs_conditions(table):
    with pytest.raises(LatencyError, match="holds nothing; say which"):
        LatencyTable(table.path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(StoreError, match=r"nowhere\.sqlite: no such latency table"):
        LatencyTable(tmp_path / "nowhere.sqlite", HERE)
    RunStore(tmp_path / "runs.sqlite")
    with pytest.raises(StoreError, match=r"runs\.sqlite: is a SQLite file, but not a latency table"):
        LatencyTable(tmp_path / "runs.sqlite", HERE)
    (tmp_path / "text").write_text("not a database, but long enough to be taken for one" * 20)
    with pytest.raises(StoreError, match="text: damaged, or not a latency table"):
        LatencyTable(tmp_path / "text", HERE, create=True)


WRITER = """
import sys
from nnmass.latency import Conditions, LatencyTable, Timing, block
table = LatencyTable(sys.argv[1], Conditions("this device", "eager", 2, 1, "2.0"), create=True)
for width in range(int(sys.argv[2]), int(sys.argv[2]) + 40):
    table.add(block("dense_second", 0, width, 16), Timing(1.0, 1.0, 1.0, 1.0, 7))
"""


def test_two_writers_lose_nothing(tmp_path):
    path = tmp_path / "latency.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(start)]) for start in (1, 41)]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(LatencyTable(path)) == 80


def test_what_was_not_steady_is_kept_as_such(tmp_path):
    table = LatencyTable(tmp_path / "t.sqlite", HERE, create=True)
    spec = DenseMLP(width=8, depth=3, max_skips=20, in_features=64)
    first, *rest = blocks_of(spec)
    table.add(first, timing(1.0)._replace(p90_ms=1.4, p99_ms=1.5, unstable="its times spread"))
    for piece in rest:
        table.add(piece, timing(1.0))
    again = LatencyTable(table.path)
    assert again.passes(first)[0].unstable == "its times spread"
    assert again.unstable() == [first]
    assert again.predict(spec).unstable == (first,)


def test_a_table_of_another_version_is_refused(tmp_path):
    table = LatencyTable(tmp_path / "t.sqlite", HERE, create=True)
    with closing(sqlite3.connect(table.path)) as connection:
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
    with pytest.raises(StoreError, match="has version 2, this program reads version 3"):
        LatencyTable(table.path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("median_ms", float("inf")), ("median_ms", -1.0), ("median_ms", 1e300), ("p90_ms", 0.5), ("p99_ms", "fast"),
        ("speed", 0.0), ("drift", -1.0), ("usual_ms", "x"), ("unstable", b"1"), ("repeats", "many"), ("kind", "abacus"),
        ("sizes", "[" * 100_000), ("sizes", "{}"), ("sizes", "[1, 2]"), ("sizes", "[0, 8, 1e3]"), ("sizes", "\x1b[2J"),
        ("sizes", f"[0, 8, {10**30}]"), ("sizes", "[0, -8, 16]"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_block_is_said_in_one_line(tmp_path, column, value):
    table = LatencyTable(tmp_path / "t.sqlite", HERE, create=True)
    table.add(block("dense_second", 0, 8, 16), timing(2.0))
    with closing(sqlite3.connect(table.path)) as connection:
        connection.execute(f"UPDATE passes SET {column} = ?", (value,))
        connection.commit()
    with pytest.raises(StoreError, match=r"t\.sqlite: damaged: block ") as found:
        LatencyTable(table.path, HERE)
    assert "\n" not in str(found.value)
    assert "\x1b" not in str(found.value)

"""The long fuzzer of benchmarks/fuzz.py, bounded: its calls, its files and its rules."""

import json
import random
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CALLS = 100


@pytest.fixture(scope="session")
def fuzz():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield import_module("fuzz")


def test_calls_drawn_at_random_end_as_they_should(tmp_path):
    out = tmp_path / "fuzz.json"  # in a process of its own, whose memory is that of the libraries alone
    command = [sys.executable, BENCHMARKS / "fuzz.py", "--calls", CALLS, "--seed", 20261128, "--out", out]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=1_200)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    values = json.loads(out.read_text())
    assert values["failures"] == []
    assert values["calls"] == CALLS
    assert len(values["exit_codes"]) > 8
    assert {code for codes in values["exit_codes"].values() for code in codes} == {"0", "1", "2"}


def test_a_seed_decides_the_calls(fuzz, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for name in ("mlp.json", "cnn.json", "model.onnx", "runs.sqlite", "data.npz"):
        (files / name).write_bytes(b"{}")
    drawn = []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        calls = [fuzz.draw_call(random.Random(k), files, folder) for k in range(50)]
        drawn.append([[text.replace(str(folder), "") for text in call] for call in calls])
    assert drawn[0] == drawn[1]
    assert len({call[0] for call in drawn[0]}) > 8


def outcome(**changes):
    found = {"code": 0, "seconds": 1.0, "bytes": 10**8, "late": False, "out": "", "err": ""}
    return found | changes


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"late": True, "code": -9}, "hang"),
        ({"code": 99, "err": "Traceback (most recent call last):"}, "exit code 99"),
        ({"code": 1, "err": "nnmass: internal fault, KeyError: 3; please report x\n"}, "traceback"),
        ({"bytes": 3 * 2**30}, "memory"),
        ({"code": 1, "err": ""}, "not one line"),
        ({"code": 2, "err": "nnmass: a\nnnmass: b\n"}, "not one line"),
        ({"out": "\x1b[2J"}, "unescaped"),
        ({"out": '{"a": NaN}'}, "no JSON"),
        ({"out": "{"}, "no JSON"),
    ],
)
def test_the_fuzzer_sees_what_must_not_happen(fuzz, changes, fault):
    assert fault in fuzz.faults(["fit", "--json"], outcome(**changes))


def test_the_fuzzer_finds_no_fault_where_there_is_none(fuzz):
    assert fuzz.faults(["fit", "--json"], outcome(out=json.dumps({"a": 1}))) == []
    assert fuzz.faults(["fit"], outcome(code=1, err="nnmass: x: no such run store\n")) == []

"""The long fuzzer of benchmarks/fuzz.py, bounded: its calls, its files and its rules."""

import json
import random
import shlex
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CALLS = 100
BATCHES = 10


@pytest.fixture(scope="session")
def fuzz():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield import_module("fuzz")


@pytest.fixture(scope="session")
def files(fuzz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "files"
    fuzz.make_files(folder)
    return folder


@pytest.mark.parametrize("batch", range(BATCHES))
def test_calls_drawn_at_random_end_as_they_should(fuzz, files, batch):
    told = []
    for number, arguments, folder in fuzz.calls(20261128, range(batch, CALLS, BATCHES), files):
        found = fuzz.run_call(arguments, folder)
        if fuzz.faults(arguments, found):
            told.append((number, fuzz.faults(arguments, found), shlex.join(arguments)[:500], found["err"][-500:]))
    assert told == []


def test_a_seed_decides_the_calls(fuzz, files, tmp_path):
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

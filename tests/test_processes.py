import time
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from nnmass.errors import InvalidValueError
from nnmass.processes import Died, cores, in_processes, number_of_workers

WORKING = Path(__file__).parent / "working"


@pytest.fixture(scope="module")
def tasks():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(WORKING)  # the processes find it too
        yield import_module("tasks")


def test_results_come_with_their_items(tasks):
    assert sorted(in_processes(tasks.half, range(5), 2)) == [(n, n / 2) for n in range(5)]


def test_a_process_that_dies_costs_its_item(tasks):
    found = dict(in_processes(tasks.half, [1, 13, 2, 14, 3], 2))
    assert {n: found[n] for n in (1, 2, 3)} == {1: 0.5, 2: 1.0, 3: 1.5}
    assert found[13] == Died("its process was ended by SIGKILL, as where memory runs out")
    assert found[14] == Died("its process ended with exit code 7")


def test_what_is_told_arrives(tasks):
    told = []
    assert dict(in_processes(tasks.halves, [2, 3, 13], 2, told=told.append))[3] == 1.5
    assert 5 <= len(told) <= 18


@pytest.mark.parametrize(
    ("work", "error", "message"),
    [("fail", ZeroDivisionError, "not 4"), ("refuse", RuntimeError, "RefusedError: NN-Mass is not defined")],
)
def test_errors_are_raised_here(tasks, work, error, message):
    with pytest.raises(error, match=message):
        list(in_processes(getattr(tasks, work), [4], 2))


def test_items_are_asked_for_when_a_process_is_free(tasks):
    asked = []

    def items():
        for number in range(6):
            asked.append(number)
            yield number if number % 2 else None

    for number, _ in in_processes(partial(tasks.half), items(), 1):
        assert asked[-1] <= number + 1
    assert asked == [*range(6)]


def test_a_process_that_is_deaf_is_ended_too(tasks):
    began = time.monotonic()
    assert list(in_processes(tasks.deaf, [1], 1)) == [(1, 1)]
    assert time.monotonic() - began < 20


def test_the_number_of_workers():
    assert number_of_workers(None) == cores() >= 1
    with pytest.raises(InvalidValueError, match=r"workers must be at least 1, got 0"):
        number_of_workers(0)
    with pytest.raises(InvalidValueError, match=r"workers must be at most \d+, got 1000000000: this machine has \d+ c"):
        number_of_workers(10**9)

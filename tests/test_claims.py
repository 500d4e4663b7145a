import os
import signal
import subprocess
import sys

import pytest

from nnmass.claims import Claims

OTHER = """
import sys, time
from nnmass.claims import Claims
with Claims(sys.argv[1]) as claims:
    print(claims.take(sys.argv[2:]), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Starts a process that claims some names and waits."""
    started = []

    def start(*names):
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER, tmp_path / "claims", *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip() == "True"

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_what_another_process_has_is_not_taken(tmp_path, other):
    process, took = other("a", "b")
    assert took
    with Claims(tmp_path / "claims") as claims:
        assert not claims.take(["c", "b"])
        assert claims.take(["c"])
        _, took = other("c")
        assert not took
        claims.release(["c"])
        _, took = other("c")
        assert took
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert claims.take(["a", "b"])


def test_the_file_goes_with_the_last(tmp_path, other):
    path = tmp_path / "claims"
    process, _ = other("a")
    with Claims(path) as claims:
        assert claims.take(["b"])
    assert path.exists()
    process.communicate("")
    assert not path.exists()


def test_a_file_that_was_removed_is_made_again(tmp_path, other):
    path = tmp_path / "claims"
    with Claims(path) as claims:
        path.unlink()
        assert claims.take(["a"])
        assert path.exists()
        _, took = other("a")
        assert not took

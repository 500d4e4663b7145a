"""Work that cannot be kept, or that another process is at: said in one line, before it is long."""

import subprocess
import sys
import time

import pytest

from nnmass.sweeps import RunStore

HOLD = """
import sys
from nnmass.claims import alone
with alone(sys.argv[1], "trains in this folder"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_trains_in_a_folder(nnmass, reference, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", HOLD, str(out / ".claims")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        refused = nnmass("train", reference, "--epochs", 1, "--out", out)
        other.communicate("")
    assert refused.code == 1
    assert f"{out}: another process trains in this folder; wait for it" in refused.err
    assert nnmass("train", reference, "--epochs", 1, "--out", out).code == 0
    assert not (out / ".claims").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "SPEC", "--epochs", 10_000, "--out", "/proc/nowhere"),
        ("sweep", "--base", "SPEC", "--epochs", 10_000, "--store", "/proc/nowhere/runs.sqlite"),
        ("sweep", "--base", "SPEC", "--epochs", 10_000, "--store", "STORE", "--export", "/proc/nowhere/runs.csv"),
        ("reproduce", "mlp-accuracy", "--epochs", 10_000, "--out", "/proc/nowhere"),
        ("reproduce", "isometry-mlp", "--out", "/proc/nowhere"),
        ("fit", "STORE", "--plot", "/proc/nowhere/fit.png"),
        ("bench", "SPEC", "--table", "/proc/nowhere/t.sqlite"),
        ("bench", "SPEC", "--table", "/dev/full"),
        ("bench", "SPEC", "--table", "/proc/version"),
        ("sweep", "--base", "SPEC", "--store", "/dev/zero"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments)),
)
def test_what_cannot_be_kept_is_said_before_it_is_made(nnmass, reference, tmp_path, arguments):
    places = {"SPEC": reference, "STORE": RunStore(tmp_path / "runs.sqlite").path}
    began = time.monotonic()
    result = nnmass(*(places.get(text, text) for text in arguments))
    assert time.monotonic() - began < 60
    assert result.code == 1, result.err
    assert result.err.count("\n") == 1
    assert "/proc/" in result.err or "/dev/" in result.err


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        (["max_skips=" + "1" * 5_000], "max_skips"),
        (["max_skips=" + "[" * 10_000], "max_skips"),
        (["max_skips=1e999"], "max_skips"),
        (["max_skips=NaN"], "max_skips"),
        (["width=0"], "width"),
        (["nonsense=1"], "nonsense"),
        (["max_skips"], "is not KEY=VALUE"),
        (["max_skips="], "is not KEY=VALUE"),
        (
            [f"max_skips={','.join(map(str, range(400)))}", f"depth={','.join(map(str, range(3, 403)))}"],
            "at most 100,000",
        ),
    ],
)
def test_values_that_cannot_be_varied(nnmass, reference, tmp_path, vary, message):
    options = [text for one in vary for text in ("--vary", one)]
    result = nnmass("sweep", "--base", reference, "--store", tmp_path / "s.sqlite", *options)
    assert result.code in (1, 2), result.err
    assert message in result.err
    assert result.err.count("\n") == 1
    assert len(result.err) < 3_000


def test_a_store_of_networks_of_any_size_is_fitted_or_refused(nnmass, tmp_path):
    store = RunStore(tmp_path / "runs.sqlite")
    assert nnmass("fit", store.path).code == 1

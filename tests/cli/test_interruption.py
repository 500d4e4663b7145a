"""Ctrl-C at any time, to all processes of a command as a terminal sends it: one line, which is true."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from nnmass.sweeps import RunStore
from nnmass.training.checkpoint import load_checkpoint

RUNNER = """
import os, signal, sys, threading, time
import nnmass.cli

def interrupt(moments):
    for moment in moments:
        time.sleep(moment)
        os.killpg(0, signal.SIGINT)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    moments = [float(text) for text in sys.argv.pop(1).split(",")]
    threading.Thread(target=interrupt, args=(moments,), daemon=True).start()
    nnmass.cli.main()
"""
NOTHING = "nnmass: interrupted before anything was finished"
COMMANDS = {
    "analyze": ("analyze", "timm:tf_efficientnetv2_xl"),
    "rank": ("rank", "timm:resnet*"),
    "isometry": ("isometry", "SPEC", "--initialisations", "100000", "--out", "OUT"),
    "compress": ("compress", "SPEC", "--keep-macs", "0.6", "--data", "digits", "--verify", "--out", "OUT"),
    "design": ("design", "DenseCNN", "--max-macs", "600M", "--top", "40", "--diversity", "0.5", "--out", "OUT"),
    "bench": ("bench", "SPEC", "--seconds", "60"),
    "export": ("export", "SPEC", "--to", "OUT"),
    "train": ("train", "SPEC", "--epochs", "100000", "--out", "OUT"),
    "sweep": ("sweep", "--base", "SPEC", "--vary", "depth=4,5,6,7", "--epochs", "100000", "--store", "STORE"),
    "fit": ("fit", "RUNS"),
    "reproduce": ("reproduce", "mlp-accuracy", "--epochs", "100000", "--out", "OUT"),
}


class Ended(NamedTuple):
    code: int
    said: list[str]


@pytest.fixture
def interrupted(reference, tmp_path):
    """Runs a command and interrupts it after so many seconds, once or more often."""
    runner = tmp_path / "runner.py"
    runner.write_text(RUNNER)
    places = {"SPEC": reference, "OUT": tmp_path / "out", "STORE": tmp_path / "s.sqlite", "RUNS": tmp_path / "r.sqlite"}

    def run(arguments, *moments) -> Ended:
        command = [sys.executable, runner, ",".join(map(str, moments)), *(places.get(text, text) for text in arguments)]
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=120, check=False, start_new_session=True
        )
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        return Ended(done.returncode, done.stderr.splitlines())

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_loading_has_finished_nothing(interrupted, tmp_path, command):
    before = set(tmp_path.iterdir())
    assert interrupted(COMMANDS[command], 0.02) == (130, [NOTHING])
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "runner.py"}


@pytest.mark.parametrize("command", ["analyze", "isometry", "design", "bench", "export"])
def test_a_command_that_keeps_nothing_says_so(interrupted, tmp_path, command):
    for moment in (2, 1.5, 1, 0.5, 0.2):  # the first at which this machine was not faster
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        code, said = interrupted(COMMANDS[command], moment)
        if code:
            break
    assert (code, said[-1]) == (130, NOTHING)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("moment", [0.3, 0.8, 1.4, 2.0, 2.7, 3.5, 4.3, 5.2])
def test_a_sweep_is_interrupted_at_any_moment(interrupted, tmp_path, moment):
    code, said = interrupted((*COMMANDS["sweep"], "--workers", "2"), moment)
    assert code == 130
    kept = f"{tmp_path / 's.sqlite'} keeps the runs that are finished, and the same command goes on from there"
    assert said[-1] in (NOTHING, f"nnmass: interrupted; {kept}")
    if said[-1] != NOTHING:
        assert RunStore(tmp_path / "s.sqlite", create=False).runs() == []


def test_whoever_is_impatient_is_heard_too(interrupted):
    code, said = interrupted((*COMMANDS["sweep"], "--workers", "2"), 3, 0.001, 0.05, 0.1)
    assert code == 130
    assert 1 <= len(said) <= 2
    assert all(line.startswith("nnmass: interrupted") for line in said)


def test_training_goes_on_from_what_is_kept(nnmass, reference, tmp_path):
    out = tmp_path / "out"
    checkpoint = out / "checkpoint.safetensors"
    command = [sys.executable, "-m", "nnmass", "train", str(reference), "--epochs", "100000", "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().splitlines()
    assert process.returncode == 130
    assert first.startswith("note: training on digits: 1 of 100,000 epochs, ")
    assert (
        said[-1] == f"nnmass: interrupted; {checkpoint} holds what is trained, and the same command goes on from there"
    )
    done = load_checkpoint(checkpoint).values["epoch"]
    again = nnmass("train", reference, "--epochs", done + 1, "--out", out)
    assert again.code == 0
    lines = again.err.splitlines()
    assert lines[0].startswith(f"note: training on digits: {done} of {done + 1} epochs")
    assert lines[0].endswith("; trained before")
    assert len(lines) == 2


def test_what_a_reproduction_keeps(interrupted, tmp_path):
    code, said = interrupted((*COMMANDS["reproduce"], "--workers", "1"), 8)
    assert code == 130
    assert said[-1].startswith(f"nnmass: interrupted; {tmp_path / 'out'} keeps what is finished, and the same")


def test_work_in_the_background_does_not_hear_it(reference):
    script = f"trap '' INT; {sys.executable} -m nnmass analyze {reference} & sleep 0.1; kill -INT $!; wait $!"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "NN-Mass" in done.stdout


def test_no_file_of_a_half_written_result_is_left(interrupted, tmp_path):
    interrupted(COMMANDS["compress"], 4)
    assert list(Path(tmp_path).rglob("*.tmp")) == []

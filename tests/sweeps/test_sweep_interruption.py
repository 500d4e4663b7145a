import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnmass.architectures import DenseMLP
from nnmass.sweeps import RunStore, run_sweep
from nnmass.training import TrainingConfig

SWEEP = """
import sys
import numpy as np
import torch
from nnmass import DenseCNN, DenseMLP, RunStore, TrainingConfig, run_sweep
from nnmass.data import Dataset

rng = np.random.default_rng(0)
data = Dataset.from_arrays(rng.normal(size=(150, 1, 5, 5)), rng.integers(2, size=150), name="noise")
specs = [DenseMLP(width=4, depth=d, max_skips=5, in_features=25, num_classes=2) for d in range(2, 8)]
specs.append(DenseCNN(widths=(2,), depth=3, max_skips=1, image_size=5, in_channels=1, num_classes=2))
options = {"config": TrainingConfig(epochs=10, batch_size=20), "seeds": range(3), "stack_size": 1}
"""
UNTIL_KILLED = """
def tell(done, total):
    print(done, total, flush=True)

if __name__ == "__main__":
    torch.set_num_threads(1)
    run_sweep(specs, data, RunStore(sys.argv[1]), workers=int(sys.argv[2]), progress=tell, **options)
"""


def children(process):
    return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def running(pids):
    """Those that have not ended."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            found.append(pid)
    return found


def await_end(pids, seconds=20):
    """Wait until all have ended; end those that have not, and return them."""
    limit = time.monotonic() + seconds
    while running(pids) and time.monotonic() < limit:
        time.sleep(0.1)
    left = running(pids)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the worker processes in /proc, as on Linux")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_sweep_goes_on_where_it_was(tmp_path, workers):
    script, path = tmp_path / "sweep.py", tmp_path / "runs.sqlite"
    script.write_text(SWEEP + UNTIL_KILLED)
    with subprocess.Popen(
        [sys.executable, str(script), str(path), str(workers)], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            done, total = map(int, line.split())
            if done >= total // 6:
                break
        started = children(process)
        process.kill()
    left = await_end(started)
    assert process.returncode == -signal.SIGKILL
    names = {}
    exec(SWEEP, names)
    store = RunStore(path, create=False)
    before = store.runs()
    assert 0 < len(before) < 21

    told = []
    runs = run_sweep(
        names["specs"], names["data"], store, workers=1, progress=lambda *n: told.append(n), **names["options"]
    )
    assert told[0] == (0, 10 * (21 - len(before)))
    assert store.runs()[: len(before)] == before
    assert sorted(row.key for row in store.runs()) == sorted(run.key for run in runs)
    assert len(runs) == 21
    assert not left, "the worker processes of a killed sweep must end by themselves"


def test_an_interrupt_ends_the_workers_and_keeps_what_was_finished(images, tmp_path):
    specs = [DenseMLP(width=3, depth=d, max_skips=2, in_features=36, num_classes=2) for d in range(2, 8)]
    store = RunStore(tmp_path / "runs.sqlite")

    def interrupt(*_):
        if store.runs():
            raise KeyboardInterrupt

    config = TrainingConfig(epochs=30, batch_size=20)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(specs, images, store, config, workers=2, stack_size=1, progress=interrupt)
    assert multiprocessing.active_children() == []
    assert 0 < len(store.runs()) < 30


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the worker processes in /proc, as on Linux")
def test_a_worker_that_is_killed_costs_its_network(tmp_path):
    script, path = tmp_path / "sweep.py", tmp_path / "runs.sqlite"
    script.write_text(SWEEP + UNTIL_KILLED)
    command = [sys.executable, str(script), str(path), "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line.split()[0]) > 0:  # both work
                break
        killed = [pid for pid in children(process) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(killed[0], signal.SIGKILL)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    last = said.splitlines()[-1]
    assert "WorkerError" in last
    assert "1 network was not trained: its process was ended by SIGKILL" in last
    assert "BrokenProcessPool" not in said
    store = RunStore(path, create=False)
    assert len(store.runs()) == 20
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[0] == "0 10"
    assert len(store.runs()) == 21


def test_sweeps_on_one_store_share_the_work(tmp_path):
    script, path = tmp_path / "sweep.py", tmp_path / "runs.sqlite"
    script.write_text(SWEEP + UNTIL_KILLED)
    command = [sys.executable, str(script), str(path), "1"]
    options = {"stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **options) as one, subprocess.Popen(command, **options) as other:
        told = [process.communicate(timeout=120)[0].splitlines() for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0)
    assert [lines[-1] for lines in told] == ["210 210"] * 2
    own = [sum(int(b.split()[0]) - int(a.split()[0]) == 1 for a, b in itertools.pairwise(lines)) for lines in told]
    assert sum(own) == 210  # epochs, each trained once
    assert len(RunStore(path).runs()) == 21
    assert not Path(f"{path}.claims").exists()

"""Sweeps on Ray, started on this machine with two workers."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nnmass.architectures import DenseCNN, DenseMLP
from nnmass.data import Dataset
from nnmass.errors import ClusterError, DataError, InvalidValueError
from nnmass.sweeps import RayOptions, RunStore, run_sweep
from nnmass.sweeps.cluster import _room
from nnmass.training import TrainingConfig

pytestmark = pytest.mark.xdist_group("ray")
SWEEP = """
import sys
import numpy as np
from nnmass import DenseMLP, RunStore, TrainingConfig, run_sweep
from nnmass.data import Dataset
from nnmass.sweeps import RayOptions

rng = np.random.default_rng(0)
data = Dataset.from_arrays(rng.normal(size=(400, 25)), rng.integers(2, size=400), name="noise")
specs = [DenseMLP(width=4, depth=d, max_skips=5, in_features=25, num_classes=2) for d in range(2, 8)]
options = {"config": TrainingConfig(epochs=40, batch_size=10), "seeds": range(2), "stack_size": 1}
"""
ON_RAY = """
if __name__ == "__main__":
    run_sweep(specs, data, RunStore(sys.argv[1]), on_ray=RayOptions(), workers=2, **options)
"""
linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc, as on Linux")


def descendants(pid):
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in children] + [found for child in children for found in descendants(int(child))]


def title(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def wait_until(condition, seconds=90):
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, "nothing happened"
        time.sleep(0.05)
    return found


def accuracies(path):
    return {row.key: (row.test_accuracy, row.train_loss) for row in RunStore(path).runs()}


@linux
def test_nothing_is_lost_or_done_twice_when_a_worker_and_then_the_driver_are_killed(tmp_path):
    script, path = tmp_path / "sweep.py", tmp_path / "runs.sqlite"
    script.write_text(SWEEP + ON_RAY)
    command = [sys.executable, str(script), str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as driver:
        trials = wait_until(lambda: [pid for pid in descendants(driver.pid) if title(pid).startswith("ray::_trial")])
        os.kill(trials[0], signal.SIGKILL)
        wait_until(lambda: path.exists() and len(RunStore(path).runs()) >= 3)
        started = descendants(driver.pid)
        driver.kill()
    before = {row.key: row.finished_at for row in RunStore(path).runs()}
    assert 3 <= len(before) < 12
    wait_until(lambda: not [pid for pid in started if title(pid).startswith("ray::_trial")])
    for pid in started:  # two agents of Ray look only now and then whether anyone is left to serve
        if title(pid).startswith("ray::"):
            os.kill(pid, signal.SIGKILL)
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=300)
    after = {row.key: row.finished_at for row in RunStore(path).runs()}
    assert len(after) == 12
    assert before.items() <= after.items()
    names = {}
    exec(SWEEP, names)
    run_sweep(names["specs"], names["data"], RunStore(tmp_path / "here.sqlite"), workers=1, **names["options"])
    assert accuracies(path) == accuracies(tmp_path / "here.sqlite")


def test_an_error_of_a_trial_is_that_error(tmp_path):
    data = Dataset.from_arrays(np.zeros((40, 4), np.float32), np.arange(40) % 2, name="flat")
    spec = DenseMLP(width=2, depth=3, max_skips=1, in_features=4, num_classes=2)
    config = TrainingConfig(epochs=1, augment="crop-flip")
    with pytest.raises(DataError, match="flat: crop-flip needs images"):
        run_sweep([spec], data, RunStore(tmp_path / "s"), config, seeds=[0], on_ray=RayOptions())


def test_convolutional_networks_and_progress(tmp_path):
    rng = np.random.default_rng(0)
    data = Dataset.from_arrays(rng.normal(size=(60, 1, 5, 5)), np.arange(60) % 2, name="noise")
    spec = DenseCNN(widths=(2,), depth=3, max_skips=1, image_size=5, in_channels=1, num_classes=2)
    told = []
    store = RunStore(tmp_path / "s")
    options = {"config": TrainingConfig(epochs=2), "seeds": range(3), "on_ray": RayOptions()}
    run_sweep([spec], data, store, progress=lambda *counts: told.append(counts), **options)
    assert told[0] == (0, 6)
    assert told[-1] == (6, 6)
    assert told == sorted(told)
    assert len(store.runs()) == 3
    run_sweep([spec], data, store, progress=lambda *counts: told.append(counts), **options)
    assert told[-1] == (0, 0)


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "nowhere.invalid:6379", "no port", "ray://127.0.0.1:{}"])
def test_an_address_that_does_not_answer(tmp_path, address):
    data = Dataset.from_arrays(np.zeros((40, 4), np.float32), np.arange(40) % 2, name="flat")
    spec = DenseMLP(width=2, depth=3, max_skips=1, in_features=4, num_classes=2)
    began = time.monotonic()
    with pytest.raises(ClusterError, match=r"no Ray cluster answers at '.*; ray start --head makes one"):
        run_sweep([spec], data, RunStore(tmp_path / "s"), on_ray=RayOptions(address.format(free_port())))
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("resources", "options", "room"),
    [
        ({"CPU": 8.0}, RayOptions(), 8),
        ({"CPU": 8.0}, RayOptions(cpus_per_trial=3), 2),
        ({"CPU": 8.0, "GPU": 1.0}, RayOptions(gpus_per_trial=0.25), 4),
        ({"CPU": 64.0, "GPU": 3.0}, RayOptions(gpus_per_trial=0.1), 30),
    ],
)
def test_as_many_trials_as_there_is_room_for(resources, options, room):
    assert _room(resources, options) == room


def test_too_little_room():
    with pytest.raises(ClusterError, match=r"a trial needs 1 cores and 0\.5 GPUs, but the cluster has 4 and 0"):
        _room({"CPU": 4.0}, RayOptions(gpus_per_trial=0.5))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cpus_per_trial": 0}, "cpus_per_trial must be at least 1, got 0"),
        ({"gpus_per_trial": -1}, "gpus_per_trial must be at least 0, got -1"),
    ],
)
def test_options_that_make_no_sense(values, message):
    with pytest.raises(InvalidValueError, match=message):
        RayOptions(**values)

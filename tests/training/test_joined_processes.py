"""Two processes that share every batch, on one machine (gloo)."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nnmass.architectures import DenseMLP
from nnmass.data import load_data
from nnmass.training import TrainingConfig, train

SPEC = DenseMLP(width=8, depth=6, max_skips=20, in_features=64)
RUN = """
import sys
import torch
from nnmass import DenseMLP, TrainingConfig, train
from nnmass.data import load_data
from nnmass.training import Metrics, save_weights

torch.set_num_threads(1)
out, epochs, stop = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
spec = DenseMLP(width=8, depth=6, max_skips=20, in_features=64)
config = TrainingConfig(epochs=epochs, batch_size=100, learning_rate=0.01, accumulate=2, ema=0.9)
done = []

def tell(count):
    done.append(count)
    if len(done) == stop:
        sys.exit(7)

result = train(spec, load_data("digits"), config, seed=2, device="cpu", checkpoint=f"{out}/run.pt",
               metrics=Metrics(out), progress=tell)
if torch.distributed.get_rank() == 0:
    save_weights(result.model, f"{out}/weights.safetensors")
print("accuracy", result.test_accuracy, flush=True)
print("answers", "".join(str(int(answer)) for answer in result.answers), flush=True)
torch.distributed.destroy_process_group()
"""


def launched(folder, epochs, stop=0):
    script = folder / "run.py"
    script.write_text(RUN)
    # accelerate launch starts processes of GPUs in this way; on CPUs it would want MPI
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(script), str(folder), str(epochs), str(stop)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)


@pytest.fixture(scope="module")
def alone():
    config = TrainingConfig(epochs=3, batch_size=100, learning_rate=0.01, accumulate=2, ema=0.9)
    return train(SPEC, load_data("digits"), config, seed=2, device="cpu")


def test_they_end_as_one_process_does_also_after_an_interruption(tmp_path, alone):
    stopped = launched(tmp_path, 3, stop=2)
    assert stopped.returncode != 0
    assert not (tmp_path / "weights.safetensors").exists()
    done = launched(tmp_path, 3)
    assert done.returncode == 0, done.stderr
    accuracies = {float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("accuracy")}
    assert [*accuracies] == [pytest.approx(alone.test_accuracy, abs=0.01)]
    answers = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("answers")}
    assert len(answers) == 1  # both processes know those of all samples
    known = np.array([int(answer) for answer in answers.pop()])
    assert len(known) == len(alone.answers)
    assert (known == alone.answers).mean() > 0.99
    together = load_file(tmp_path / "weights.safetensors")
    for name, tensor in alone.model.state_dict().items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-3, atol=1e-4)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 3

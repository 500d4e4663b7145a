import os
import signal
import subprocess
import sys

import pytest
import torch

from nnmass.architectures import DenseCNN, DenseMLP, WideResNet
from nnmass.errors import CheckpointError
from nnmass.training import TrainingConfig, loop, train

MLP = DenseMLP(width=6, depth=5, max_skips=8, in_features=5, num_classes=3)
CNN = DenseCNN(widths=(3, 4), depth=(3, 4), max_skips=3, image_size=8, num_classes=3)
WRN = WideResNet(depth=10, widen_factor=1, dropout=0.3, image_size=8, num_classes=3)
RUNS = {
    "adam": (MLP, TrainingConfig(epochs=5, batch_size=50, weight_decay=0.01)),
    "sgd, cosine": (
        MLP,
        TrainingConfig(epochs=5, batch_size=50, optimizer="sgd", learning_rate=0.1, schedule="cosine"),
    ),
    "timm's LAMB": (
        MLP,
        TrainingConfig(epochs=5, batch_size=50, optimizer="timm:lamb", weight_decay=0.01, schedule="timm:poly"),
    ),
    "timm's Lookahead": (MLP, TrainingConfig(epochs=5, batch_size=50, optimizer="timm:lookahead_nadam")),
    "timm's Adan": (MLP, TrainingConfig(epochs=5, batch_size=50, optimizer="timm:adan")),
    "dropout": (WRN, TrainingConfig(epochs=5, batch_size=64, optimizer="sgd")),
    "CNN, augmented": (CNN, TrainingConfig(epochs=5, batch_size=32, optimizer="sgd", augment="crop-flip")),
    "CNN, everything": (
        CNN,
        TrainingConfig(
            epochs=5,
            batch_size=32,
            optimizer="sgd",
            nesterov=True,
            schedule="cosine",
            warmup_epochs=1.5,
            label_smoothing=0.1,
            augment="crop-flip",
            cutout=4,
            randaugment=9,
            mixup=0.2,
            ema=0.9,
            accumulate=2,
            precision="bfloat16",
            channels_last=True,
        ),
    ),
}
RUN = """
import sys, time
import numpy as np
import torch
from nnmass import DenseMLP, TrainingConfig, train
from nnmass.data import Dataset

rng = np.random.default_rng(0)
data = Dataset.from_arrays(rng.normal(size=(200, 5)), rng.integers(3, size=200), name="noise")
spec = DenseMLP(width=6, depth=5, max_skips=8, in_features=5, num_classes=3)
config = TrainingConfig(epochs=60, batch_size=32, schedule="cosine", learning_rate=0.01, ema=0.9)
"""
UNTIL_KILLED = """
from nnmass.training import loop

torch.set_num_threads(int(sys.argv[2]))
step = loop._Loop._step

def told_step(self, *batch):
    step(self, *batch)
    print(self.state.epoch, self.state.step, flush=True)
    time.sleep(0.01)

loop._Loop._step = told_step
train(spec, data, config, seed=3, checkpoint=sys.argv[1], checkpoint_seconds=float(sys.argv[3]), device="cpu")
"""


def everything(model):
    return torch.cat([tensor.double().flatten() for tensor in model.state_dict().values()])


def interrupt_after(epochs):
    """A progress callback that stops training as Ctrl-C does."""
    told = []

    def tell(count):
        told.append(count)
        if len(told) == epochs:
            raise KeyboardInterrupt

    return tell


@pytest.mark.parametrize("after", [1, 3, 5])
@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_ends_as_an_uninterrupted_one(clusters, images, tmp_path, name, after):
    spec, config = RUNS[name]
    data = clusters if spec is MLP else images
    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        train(spec, data, config, seed=1, checkpoint=path, device="cpu", progress=interrupt_after(after))
    told = []
    resumed = train(spec, data, config, seed=1, checkpoint=path, device="cpu", progress=told.append)
    whole = train(spec, data, config, seed=1, device="cpu")
    assert told == [after] + [1] * (5 - after)
    assert torch.equal(everything(resumed.model), everything(whole.model))
    assert resumed.to_dict() == whole.to_dict()


def test_a_run_may_be_interrupted_often(clusters, tmp_path):
    spec, config = RUNS["adam"]
    path = tmp_path / "run.pt"
    for _ in range(4):  # each time one epoch further
        with pytest.raises(KeyboardInterrupt):
            train(
                spec,
                clusters,
                config,
                checkpoint=path,
                device="cpu",
                progress=interrupt_after(2 if path.exists() else 1),
            )
    told = []
    resumed = train(spec, clusters, config, checkpoint=path, device="cpu", progress=told.append)
    assert told == [4, 1]
    assert torch.equal(everything(resumed.model), everything(train(spec, clusters, config, device="cpu").model))


def test_a_finished_run_is_not_trained_again(clusters, tmp_path):
    spec, config = RUNS["adam"]
    path = tmp_path / "run.pt"
    first = train(spec, clusters, config, checkpoint=path, device="cpu")
    written = path.stat().st_mtime_ns
    told = []
    again = train(spec, clusters, config, checkpoint=path, device="cpu", progress=told.append)
    assert told == [5]
    assert path.stat().st_mtime_ns == written
    assert torch.equal(everything(again.model), everything(first.model))


def test_an_interrupted_write_leaves_the_checkpoint_of_the_epoch_before(clusters, tmp_path, monkeypatch):
    spec, config = RUNS["adam"]
    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        train(spec, clusters, config, checkpoint=path, device="cpu", progress=interrupt_after(2))
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(
            CheckpointError, match=r"run\.pt: cannot be written \(disk full\); the checkpoint before it"
        ):
            train(spec, clusters, config, checkpoint=path, device="cpu")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.pt"]
    told = []
    train(spec, clusters, config, checkpoint=path, device="cpu", progress=told.append)
    assert told == [2, 1, 1, 1]


@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["a checkpoint after each step", "after each epoch"])
@pytest.mark.parametrize("steps", [2, 9, 23])  # of 5 in an epoch
def test_a_killed_process_is_resumed_to_the_same_weights(tmp_path, steps, seconds):
    path = tmp_path / "run.pt"
    command = [sys.executable, "-c", RUN + UNTIL_KILLED, str(path), str(torch.get_num_threads()), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(steps):
            process.stdout.readline()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    names = {}
    exec(RUN, names)
    run, told = (names["spec"], names["data"], names["config"]), []
    resumed = train(*run, seed=3, checkpoint=path, device="cpu", progress=told.append)
    whole = train(*run, seed=3, device="cpu")
    assert sum(told) == 60
    assert torch.equal(everything(resumed.model), everything(whole.model))
    assert resumed.to_dict() == whole.to_dict()


def test_a_checkpoint_within_an_epoch_is_taken_up_there(clusters, tmp_path, monkeypatch):
    spec, config = RUNS["sgd, cosine"]
    path, seen = tmp_path / "run.pt", []
    step = loop._Loop._step

    def counted(self, *batch):
        if len(seen) == 7:
            raise KeyboardInterrupt
        seen.append((self.state.epoch, self.state.step))
        step(self, *batch)

    monkeypatch.setattr(loop._Loop, "_step", counted)
    with pytest.raises(KeyboardInterrupt):
        train(spec, clusters, config, checkpoint=path, checkpoint_seconds=0, device="cpu")
    assert seen == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 1)]
    seen.clear()
    with pytest.raises(KeyboardInterrupt):
        train(spec, clusters, config, checkpoint=path, checkpoint_seconds=0, device="cpu")
    assert seen[0] == (1, 2)

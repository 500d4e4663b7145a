"""Runs that are called again with another number of epochs."""

import json

import pytest
import torch

from nnmass.architectures import DenseCNN, DenseMLP
from nnmass.errors import CheckpointError
from nnmass.training import Metrics, TrainingConfig, train
from nnmass.training.checkpoint import load_checkpoint, save_checkpoint

MLP = DenseMLP(width=6, depth=5, max_skips=8, in_features=5, num_classes=3)
CNN = DenseCNN(widths=(3, 4), depth=(3, 4), max_skips=3, image_size=8, num_classes=3)
EXTENDED = {
    "adam": (MLP, {}),
    "warm-up": (MLP, {"warmup_epochs": 2.5}),
    "warm-up that is not over": (MLP, {"warmup_epochs": 4}),
    "moving average": (MLP, {"ema": 0.9, "optimizer": "sgd"}),
    "timm's steps": (MLP, {"schedule": "timm:step", "schedule_options": {"decay_epochs": 2}}),
    "timm's LAMB": (MLP, {"optimizer": "timm:lamb"}),
    "augmented": (CNN, {"optimizer": "sgd", "augment": "crop-flip", "mixup": 0.2}),
}
REFUSED = {
    "cosine": {"schedule": "cosine"},
    "cosine after a warm-up": {"schedule": "cosine", "warmup_epochs": 1},
    "timm's poly": {"schedule": "timm:poly"},
    "timm's tanh": {"schedule": "timm:tanh"},
}


def everything(model):
    return torch.cat([tensor.double().flatten() for tensor in model.state_dict().values()])


@pytest.fixture
def run(clusters, images, tmp_path):
    """Trains with a checkpoint for so many epochs; without one where it is asked to."""

    def train_for(epochs, spec=MLP, *, kept=True, progress=None, **changes):
        config = TrainingConfig(**{"epochs": epochs, "batch_size": 50, **changes})
        data = clusters if spec is MLP else images
        path = tmp_path / "run.pt" if kept else None
        metrics = Metrics(tmp_path) if kept else None
        return train(spec, data, config, checkpoint=path, metrics=metrics, device="cpu", progress=progress)

    return train_for


@pytest.mark.parametrize("name", EXTENDED)
def test_an_extended_run_ends_as_one_that_was_as_long_from_the_start(run, name, tmp_path):
    spec, changes = EXTENDED[name]
    run(4, spec, **changes)
    told = []
    extended = run(6, spec, progress=told.append, **changes)
    whole = run(6, spec, kept=False, **changes)
    assert told == [4, 1, 1]
    assert torch.equal(everything(extended.model), everything(whole.model))
    assert extended.to_dict() == whole.to_dict()
    assert [row["epoch"] for row in Metrics(tmp_path).rows()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", REFUSED)
def test_a_run_whose_rates_depend_on_its_length_is_not_extended(run, name, tmp_path):
    run(4, **REFUSED[name])
    before = (tmp_path / "run.pt").read_bytes()
    with pytest.raises(
        CheckpointError,
        match=r"run\.pt: belongs to a run of 4 epochs, which the schedule .* than one of 6 epochs; remove it",
    ):
        run(6, **REFUSED[name])
    assert (tmp_path / "run.pt").read_bytes() == before


def stop(_):
    raise KeyboardInterrupt


def test_a_run_that_was_interrupted_within_its_warm_up_may_take_another_schedule_length(run):
    with pytest.raises(KeyboardInterrupt):
        run(4, schedule="cosine", warmup_epochs=2, progress=stop)
    extended = run(6, schedule="cosine", warmup_epochs=2)
    whole = run(6, schedule="cosine", warmup_epochs=2, kept=False)
    assert torch.equal(everything(extended.model), everything(whole.model))


def test_a_run_may_become_shorter_as_far_as_it_is_not_trained(run):
    with pytest.raises(KeyboardInterrupt):
        run(6, progress=stop)
    shorter, whole = run(2), run(2, kept=False)
    assert torch.equal(everything(shorter.model), everything(whole.model))
    with pytest.raises(CheckpointError, match=r"run\.pt: is in epoch 2, beyond the 1 that are asked for; remove it"):
        run(1)
    assert run(3).to_dict() == run(3, kept=False).to_dict()


@pytest.mark.parametrize("epochs", [None, "4", 0, -1, 1e9, True, [4]], ids=repr)
def test_a_checkpoint_of_no_number_of_epochs_is_damaged(run, tmp_path, epochs):
    run(2)
    path = tmp_path / "run.pt"
    saved = load_checkpoint(path)
    text = json.dumps(saved.run | {"training": saved.run["training"] | {"epochs": epochs}})
    save_checkpoint(path, type(saved)(json.loads(text), saved.tensors, saved.values))
    with pytest.raises(CheckpointError, match=r"run\.pt: damaged, or not a checkpoint"):
        run(3)

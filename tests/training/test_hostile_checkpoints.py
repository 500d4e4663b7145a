"""Checkpoints whose digest is right, but which hold what no training writes."""

import json
import struct

import pytest
import torch
from safetensors.torch import load, save

from nnmass.architectures import DenseMLP
from nnmass.errors import CheckpointError
from nnmass.training import TrainingConfig, train
from nnmass.training.checkpoint import _digest

MLP = DenseMLP(width=6, depth=5, max_skips=8, in_features=5, num_classes=3)
CONFIG = TrainingConfig(epochs=2, batch_size=32, ema=0.5)
DAMAGED = r"run\.pt: damaged, or not a checkpoint \(.*\)$"


@pytest.fixture(scope="module")
def made(clusters, tmp_path_factory):
    """Bytes of a checkpoint, its tensors and its header."""
    path = tmp_path_factory.mktemp("made") / "run.pt"
    train(MLP, clusters, CONFIG, checkpoint=path, device="cpu")
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    return whole, load(whole), json.loads(whole[8 : 8 + length])["__metadata__"]


@pytest.fixture
def refused(clusters, tmp_path):
    """Whether content is refused in one line."""

    def check(content):
        path = tmp_path / "run.pt"
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=DAMAGED) as found:
            train(MLP, clusters, CONFIG, checkpoint=path, device="cpu")
        assert "\n" not in str(found.value)

    return check


def written(tensors, header):
    header = {key: value for key, value in header.items() if key != "digest"}
    return save(tensors, {**header, "digest": _digest(tensors, header)})


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**62, 2**63, 2**64 - 1])
def test_lengths_of_the_header(made, refused, length):
    refused(struct.pack("<Q", length) + made[0][8:])


EPOCH = {"epoch": 1, "train_loss": [1.0], "validation_accuracy": [0.5]}


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "x"}, {"epoch": -5}, {"epoch": 10**9}, {"epoch": 1.5}, {"epoch": True}, {"epoch": 0},
        {"step": -3}, {"step": None}, EPOCH | {"step": 10**9}, EPOCH | {"step": 2**64},
        {"train_loss": None}, {"train_loss": ["a", "b"]}, {"train_loss": []}, {"validation_accuracy": {"a": 1}},
        {"optimizer": 3}, {"optimizer": {"state": {}, "groups": []}}, {"optimizer": {"state": [], "groups": [{}]}},
        {"optimizer": {"state": {"x": 1}, "groups": [{}]}},
    ],
    ids=str,
)  # fmt: skip
def test_values(made, refused, change):
    _, tensors, header = made
    refused(written(tensors, {**header, "values": json.dumps(json.loads(header["values"]) | change)}))


@pytest.mark.parametrize("key", ["values", "run"])
@pytest.mark.parametrize("text", ["[]", "null", "{}", "[" * 100_000, "1" * 5_000, "NaN", "x", ""])
def test_texts(made, refused, clusters, tmp_path, key, text):
    _, tensors, header = made
    if (key, text) == ("run", "{}"):
        pytest.skip("belongs to another run, and says so")
    refused(written(tensors, {**header, key: text}))


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("model/layers.0.weight", None),
        ("model/layers.0.weight", torch.zeros(2, 2)),
        ("model/layers.0.weight", torch.zeros(6, 5, dtype=torch.int64)),
        ("model/more", torch.zeros(3)),
        ("model/skips.layer_2", torch.tensor([10**9] * 6)),
        ("average/layers.0.weight", None),
        ("average/zz", torch.zeros(3)),
        ("loss", None),
        ("loss", torch.zeros(3)),
        ("optimizer/x", torch.zeros(3)),
        ("optimizer/0/exp_avg", None),
        ("optimizer/0/exp_avg", torch.zeros(3)),
        ("optimizer/0/exp_avg_sq", torch.zeros(0)),
        ("optimizer/0/step", torch.zeros(2)),
        ("optimizer/99/exp_avg", torch.zeros(3)),
    ],
)
def test_tensors(made, refused, name, tensor):
    _, tensors, header = made
    changed = {key: value for key, value in tensors.items() if key != name}
    refused(written(changed if tensor is None else {**changed, name: tensor}, header))


def test_the_same_written_anew_is_taken_up(made, clusters, tmp_path):
    _, tensors, header = made
    path = tmp_path / "run.pt"
    path.write_bytes(written(tensors, header))
    assert len(train(MLP, clusters, CONFIG, checkpoint=path, device="cpu").train_loss) == 2

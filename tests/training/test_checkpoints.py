import pickle
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nnmass.architectures import DenseCNN, DenseMLP
from nnmass.data import Dataset
from nnmass.errors import CheckpointError
from nnmass.training import TrainingConfig, load_weights, save_weights, train

MLP = DenseMLP(width=6, depth=5, max_skips=8, in_features=5, num_classes=3)
CONFIG = TrainingConfig(epochs=2, batch_size=32)


class RunsCode:
    """What pickle loads by calling ``Path(marker).touch()``."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.fixture
def checkpoint(clusters, tmp_path):
    path = tmp_path / "run.pt"
    train(MLP, clusters, CONFIG, checkpoint=path, device="cpu")
    return path


def resume(data, path, *, spec=MLP, config=CONFIG, seed=0):
    return train(spec, data, config, seed=seed, checkpoint=path, device="cpu")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(clusters, checkpoint, share):
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"run\.pt: damaged, or not a checkpoint"):
        resume(clusters, checkpoint)


def test_a_checkpoint_with_one_wrong_byte_is_refused(clusters, checkpoint):
    whole = checkpoint.read_bytes()
    first_layer = load_file(checkpoint)["model/layers.0.weight"]
    at = whole.index(first_layer.numpy().tobytes())
    checkpoint.write_bytes(whole[: at + 3] + bytes([whole[at + 3] ^ 1]) + whole[at + 4 :])
    with pytest.raises(CheckpointError, match=r"run\.pt: damaged"):
        resume(clusters, checkpoint)


@pytest.mark.parametrize(
    "content",
    [
        b"not a checkpoint",
        b"\x80\x04",
        b"PK\x03\x04 and so on",
        bytes(1_000),
        b"\xff" * 1_000,
        b"{}",
        random.Random(0).randbytes(5_000),
        pickle.dumps({"run": {}}),
        pickle.dumps([1, 2, 3], protocol=2),
    ],
    ids=["text", "begin of a pickle", "begin of a zip", "zeros", "ones", "json", "noise", "pickle", "old pickle"],
)
def test_a_file_of_something_else_is_refused(clusters, tmp_path, content):
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run\.pt: damaged, or not a checkpoint"):
        resume(clusters, path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("state", [5, [1, 2], torch.zeros(3), {}, {"run": None}, {"run": 5}, {"model": {}}], ids=str)
def test_other_things_that_pytorch_saved_are_refused(clusters, tmp_path, state):
    path = tmp_path / "run.pt"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"run\.pt: damaged, or not a checkpoint"):
        resume(clusters, path)


@pytest.mark.parametrize("header", [None, {}, {"form": "nnmass checkpoint 1"}, {"run": "{}", "values": "{}"}], ids=str)
def test_other_safetensors_are_refused(clusters, tmp_path, header):
    path = tmp_path / "run.pt"
    save_file({"model/layers.0.weight": torch.zeros(2)}, path, header)
    with pytest.raises(CheckpointError, match=r"run\.pt: damaged, or not a checkpoint"):
        resume(clusters, path)


def test_a_checkpoint_whose_header_was_changed_is_refused(clusters, checkpoint):
    whole = checkpoint.read_bytes()
    assert whole.count(b'\\"epoch\\": 2') == 1
    checkpoint.write_bytes(whole.replace(b'\\"epoch\\": 2', b'\\"epoch\\": 1'))
    with pytest.raises(CheckpointError, match="its digest is not that of its content"):
        resume(clusters, checkpoint)


@pytest.mark.parametrize("form", ["pickle", "torch", "torch, old"])
def test_a_checkpoint_that_would_run_code_is_refused_without_running_it(clusters, tmp_path, form):
    path, marker = tmp_path / "run.pt", tmp_path / "marker"
    state = {"run": RunsCode(marker)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "torch")
    with pytest.raises(CheckpointError, match=r"run\.pt: damaged, or not a checkpoint"):
        resume(clusters, path)
    assert not marker.exists()
    torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(path.read_bytes())
    assert marker.exists(), "the file was harmless"


def test_a_folder_is_refused(clusters, tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot be read \(is a folder, not a file\)"):
        resume(clusters, tmp_path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "seed, spec"),  # the links are drawn from the seed
        ({"config": TrainingConfig(epochs=2, batch_size=16)}, r"batch_size \(32, now 16\)"),
        (
            {"config": TrainingConfig(epochs=3, batch_size=32, schedule="cosine")},
            r"schedule \(constant, now cosine\)",
        ),
        ({"spec": MLP.model_copy(update={"activation": "relu"})}, "spec"),
        ({"spec": DenseMLP(width=6, depth=4, max_skips=8, in_features=5, num_classes=3)}, "spec"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_kept(clusters, checkpoint, changes, named):
    before = checkpoint.read_bytes()
    with pytest.raises(CheckpointError, match=rf"run\.pt: belongs to a run with other {named}; remove it"):
        resume(clusters, checkpoint, **changes)
    assert checkpoint.read_bytes() == before


def test_a_checkpoint_of_other_data_is_refused(clusters, checkpoint):
    other = Dataset.from_arrays(clusters.train.inputs, clusters.train.labels, name="others")
    with pytest.raises(CheckpointError, match="belongs to a run with other data; remove it"):
        resume(other, checkpoint)


@pytest.mark.parametrize(
    "spec",
    [MLP, DenseCNN(widths=(3, 4), depth=(5, 4), max_skips=4, image_size=8)],
    ids=lambda spec: spec.family,
)
def test_weights_and_links_come_back(tmp_path, spec):
    model, other = spec.build(seed=1), spec.build(seed=2)
    path = save_weights(model, tmp_path / "folder" / "model.safetensors")
    assert other.spec != model.spec
    load_weights(other, path)
    assert other.spec == model.spec
    state = other.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    inputs = torch.randn(4, *spec.input_shape)
    assert torch.equal(other.eval()(inputs), model.eval()(inputs))
    assert set(load_file(path)) == set(state)


def test_trained_weights_classify_the_same(clusters, tmp_path):
    result = train(MLP, clusters, CONFIG, device="cpu")
    loaded = MLP.build(seed=99)
    load_weights(loaded, save_weights(result.model, tmp_path / "model.safetensors"))
    inputs = torch.from_numpy(clusters.test.inputs)
    assert torch.equal(loaded.eval()(inputs), result.model(inputs))


def test_weights_of_another_network_are_refused(tmp_path):
    path = save_weights(DenseMLP(width=6, depth=4, max_skips=8, in_features=5, num_classes=3).build(), tmp_path / "w")
    with pytest.raises(CheckpointError, match="w: not the weights of this network"):
        load_weights(MLP.build(), path)


def test_links_that_the_network_cannot_have_are_refused(tmp_path):
    model = MLP.build()
    model.skips.layer_2[0] = 40
    path = save_weights(model, tmp_path / "w")
    with pytest.raises(CheckpointError, match="links that do not fit this network"):
        load_weights(MLP.build(), path)


@pytest.mark.parametrize("damage", ["truncated", "empty", "junk", "missing", "folder"])
def test_damaged_weights_are_refused(tmp_path, damage):
    path = tmp_path / "model.safetensors"
    whole = save_weights(MLP.build(), path).read_bytes()
    if damage in ("missing", "folder"):
        path.unlink()
        if damage == "folder":
            path.mkdir()
    else:
        path.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "junk": b"\xff" * 100}[damage])
    unread = {"missing": r"cannot be read \(No such", "folder": r"cannot be read \(is a folder"}
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: {unread.get(damage, 'not the weights of this')}"):
        load_weights(MLP.build(), path)

import numpy as np
import pytest
import torch
from PIL import Image

from nnmass.architectures import DenseCNN
from nnmass.data import open_stream
from nnmass.errors import DataError
from nnmass.training import TrainingConfig, loop, train
from nnmass.training.batches import feeds

SPEC = DenseCNN(widths=(4, 4), depth=4, max_skips=3, image_size=12, num_classes=2)
CONFIG = TrainingConfig(epochs=3, batch_size=16, learning_rate=0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for part, count in (("train", 60), ("val", 20)):
        for i in range(count):
            path = root / part / ("dark", "light")[i % 2] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((rng.integers(100, size=(12, 12, 3)) + 100 * (i % 2)).astype(np.uint8)).save(path)
    return root


def everything(result):
    return torch.cat([tensor.double().flatten() for tensor in result.model.state_dict().values()])


def test_a_network_learns_from_a_stream(folder):
    result = train(SPEC, open_stream(folder, image_size=12), CONFIG, device="cpu")
    assert result.test_accuracy == result.validation_accuracy[-1] > 0.9


@pytest.mark.parametrize("world", [1, 2, 3])
def test_each_of_several_processes_measures_every_so_manieth_image(folder, world):
    part = feeds(open_stream(folder, image_size=12), device=torch.device("cpu"))["test"]
    (everything,) = [labels for _, labels in part.in_order(batch_size=100)]
    for rank in range(world):
        own = [labels for _, labels in part.in_order(batch_size=4, rank=rank, world=world)]
        assert torch.equal(torch.cat(own), everything[rank::world])


def test_it_goes_on_at_any_batch_with_any_number_of_workers(folder, tmp_path, monkeypatch):
    whole = train(SPEC, open_stream(folder, image_size=12), CONFIG, device="cpu")
    step, seen = loop._Loop._step, []

    def counted(self, *batch):
        if len(seen) == 6:
            raise KeyboardInterrupt
        seen.append(batch)
        step(self, *batch)

    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(loop._Loop, "_step", counted)
        with pytest.raises(KeyboardInterrupt):
            train(SPEC, open_stream(folder, image_size=12), CONFIG, checkpoint=path, checkpoint_seconds=0, device="cpu")
    resumed = train(SPEC, open_stream(folder, image_size=12, workers=1), CONFIG, checkpoint=path, device="cpu")
    assert torch.equal(everything(resumed), everything(whole))


def test_images_that_do_not_fit_are_refused(folder):
    with pytest.raises(DataError, match=r"shape \(3, 16, 16\), but the specification reads the shape \(3, 12, 12\)"):
        train(SPEC, open_stream(folder, image_size=16), CONFIG)


def test_the_command_line_streams_too(folder, tmp_path, capsys):
    from nnmass.cli.app import app

    (folder / "train" / "dark" / "0.png").write_bytes(b"no image")
    path = SPEC.to_json(tmp_path / "spec.json")
    arguments = ["train", str(path), "--data", str(folder), "--stream", "--epochs", "1", "--out", str(tmp_path / "out")]
    with pytest.raises(DataError, match=r"1 images cannot be decoded, more than 0\.01 of all"):
        app(arguments, standalone_mode=False)
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(folder / "train" / "dark" / "0.png")
    app(arguments, standalone_mode=False)
    assert "test accuracy" in capsys.readouterr().out

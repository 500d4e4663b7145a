import json

import pytest

from nnmass.architectures import DenseMLP
from nnmass.training import Metrics, TrainingConfig, train

MLP = DenseMLP(width=6, depth=5, max_skips=8, in_features=5, num_classes=3)
CONFIG = TrainingConfig(epochs=4, batch_size=32, schedule="cosine", warmup_epochs=1)


def test_a_row_per_epoch(clusters, tmp_path):
    with Metrics(tmp_path) as metrics:
        result = train(MLP, clusters, CONFIG, metrics=metrics, device="cpu")
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert tuple(row["train_loss"] for row in rows) == result.train_loss
    assert tuple(row["validation_accuracy"] for row in rows) == result.validation_accuracy
    assert all(row["images_per_second"] > 0 and 0 <= row["waited_for_data"] < 1 for row in rows)
    assert rows[0]["learning_rate"] == CONFIG.learning_rate > rows[-1]["learning_rate"] > 0


def test_epochs_that_are_trained_again_are_not_written_twice(clusters, tmp_path):
    metrics, stopped = Metrics(tmp_path), []

    def stop(epochs):
        stopped.append(epochs)
        if len(stopped) == 3:
            (tmp_path / "run.pt").unlink()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(MLP, clusters, CONFIG, metrics=metrics, checkpoint=tmp_path / "run.pt", device="cpu", progress=stop)
    with metrics.path.open("a") as stream:
        stream.write('{"epoch": 4, "train')  # as a crash might leave it
    train(MLP, clusters, CONFIG, metrics=metrics, checkpoint=tmp_path / "run.pt", device="cpu")
    assert [row["epoch"] for row in metrics.rows()] == [1, 2, 3, 4]


def test_tensorboard_gets_the_same(clusters, tmp_path):
    with Metrics(tmp_path, tensorboard=True) as metrics:
        train(MLP, clusters, CONFIG, metrics=metrics, device="cpu")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    losses = [(event.step, event.value) for event in events.Scalars("train_loss")]
    assert losses == [(row["epoch"], pytest.approx(row["train_loss"])) for row in metrics.rows()]

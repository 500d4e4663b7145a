import json
import math
import random

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nnmass.architectures import DenseCNN, DenseMLP, WideResNet
from nnmass.data import load_data
from nnmass.errors import DataError, InvalidValueError
from nnmass.training import DivergedError, TrainingConfig, train
from nnmass.training.batches import epoch_order

MLP = DenseMLP(width=6, depth=5, max_skips=8, in_features=5, num_classes=3)
CNN = DenseCNN(widths=(3, 4), depth=(3, 4), max_skips=3, image_size=8, num_classes=3)
CONFIG = TrainingConfig(epochs=3, batch_size=32, learning_rate=0.01)


def weights(result):
    return torch.cat([parameter.detach().flatten() for parameter in result.model.parameters()])


def plain_training(spec, data, config, seed):
    """The same in as few words as possible: losses and the network."""
    model = spec.build(seed)
    scale = 255 if data.train.inputs.dtype == np.uint8 else 1
    inputs, labels = torch.from_numpy(data.train.inputs) / scale, torch.from_numpy(data.train.labels)
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.SGD
    momentum = {} if config.optimizer == "adam" else {"momentum": config.momentum}
    optimizer = kind(model.parameters(), config.learning_rate, weight_decay=config.weight_decay, **momentum)
    steps = config.epochs * math.ceil(len(labels) / config.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for epoch in range(config.epochs):
        total = 0.0
        for index in epoch_order(len(labels), seed=seed, epoch=epoch).split(config.batch_size):
            loss = F.cross_entropy(model(inputs[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if config.schedule == "cosine":
                schedule.step()
            total += loss.item() * len(index)
        losses.append(total / len(labels))
    return losses, model


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        TrainingConfig(epochs=3, batch_size=50, optimizer="sgd", learning_rate=0.05, momentum=0.5, weight_decay=0.01),
        TrainingConfig(epochs=3, batch_size=32, schedule="cosine", learning_rate=0.01, weight_decay=0.1),
    ],
    ids=["adam", "sgd", "cosine"],
)
def test_it_is_a_plain_loop(clusters, config):
    losses, model = plain_training(MLP, clusters, config, seed=2)
    result = train(MLP, clusters, config, seed=2, device="cpu")
    assert result.train_loss == pytest.approx(losses, rel=1e-4)
    expected = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    torch.testing.assert_close(weights(result), expected, rtol=1e-3, atol=1e-4)


def test_a_cnn_is_trained_in_a_plain_loop(images):
    config = TrainingConfig(epochs=2, batch_size=32, optimizer="sgd", learning_rate=0.02)
    losses, model = plain_training(CNN, images, config, seed=0)
    result = train(CNN, images, config, device="cpu")
    assert result.train_loss == pytest.approx(losses, rel=1e-3)
    expected = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    torch.testing.assert_close(weights(result), expected, rtol=1e-2, atol=1e-3)


def test_answers_are_those_of_the_network_on_the_test_part(clusters):
    result = train(MLP, clusters, CONFIG, seed=2, device="cpu")
    with torch.no_grad():
        guesses = result.model(torch.from_numpy(clusters.test.inputs)).argmax(1).numpy()
    assert np.array_equal(result.answers, guesses == clusters.test.labels)
    assert result.test_accuracy == result.answers.mean()


def test_an_mlp_learns_clusters(clusters):
    result = train(MLP, clusters, TrainingConfig(epochs=10, batch_size=32, learning_rate=0.01))
    assert result.test_accuracy > 0.95
    assert result.train_loss[-1] < 0.2 < result.train_loss[0]


def test_an_mlp_learns_digits():
    spec = DenseMLP(width=16, depth=5, max_skips=20, in_features=64)
    result = train(spec, load_data("digits"), TrainingConfig(epochs=5, batch_size=32, learning_rate=3e-3))
    assert result.test_accuracy > 0.85


@pytest.mark.parametrize("augment", ["none", "crop-flip"])
@pytest.mark.parametrize("conv", ["regular", "separable"])
def test_a_cnn_learns_images(images, conv, augment):
    spec = CNN.model_copy(update={"conv": conv})
    config = TrainingConfig(epochs=14, batch_size=16, learning_rate=0.01, schedule="cosine", augment=augment)
    assert train(spec, images, config).test_accuracy > 0.7


def test_the_result_says_what_was_trained(clusters):
    result = train(MLP, clusters, CONFIG, seed=4)
    assert result.spec == MLP.with_links(4)
    assert (result.seed, result.config) == (4, CONFIG)
    assert len(result.train_loss) == len(result.validation_accuracy) == 3
    assert not result.model.training
    with torch.no_grad():
        for part, got in ((clusters.validation, result.validation_accuracy[-1]), (clusters.test, result.test_accuracy)):
            guesses = result.model.cpu()(torch.from_numpy(part.inputs)).argmax(1).numpy()
            assert got == np.mean(guesses == part.labels)
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert values["params"] == MLP.params
    assert values["training"] == CONFIG.model_dump(mode="json")
    assert values["train_loss"] == list(result.train_loss)


@pytest.mark.parametrize("augment", ["none", "crop-flip"])
def test_the_same_seed_gives_the_same_weights_and_another_one_others(images, augment):
    config = TrainingConfig(epochs=2, batch_size=32, augment=augment)
    first, again, other = (weights(train(CNN, images, config, seed=seed, device="cpu")) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_augmentation_changes_what_is_seen(images):
    plain, augmented = (
        train(CNN, images, TrainingConfig(epochs=1, augment=augment), device="cpu") for augment in ("none", "crop-flip")
    )
    assert plain.train_loss != augmented.train_loss


def test_given_links_are_kept(clusters):
    spec = MLP.with_links(30)
    assert train(spec, clusters, CONFIG, seed=1).spec == spec


def test_progress_counts_epochs(clusters):
    told = []
    train(MLP, clusters, CONFIG, progress=told.append)
    assert told == [1, 1, 1]


def test_the_callers_random_state_and_data_are_left_alone(images):
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    pixels = images.train.inputs.copy()
    for spec in (CNN, WideResNet(depth=10, widen_factor=1, dropout=0.5, image_size=8, num_classes=3)):
        train(spec, images, TrainingConfig(epochs=1, augment="crop-flip"))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]
    np.testing.assert_array_equal(images.train.inputs, pixels)


def test_a_loss_that_becomes_infinite_is_an_error(clusters):
    config = TrainingConfig(epochs=4, optimizer="sgd", learning_rate=1e6)
    with pytest.raises(DivergedError, match=r"the training loss became (nan|inf) in epoch \d of 4 \(seed 9\)"):
        train(MLP, clusters, config, seed=9)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (MLP, r"images: its inputs have the shape \(3, 8, 8\), but the specification reads 5 values"),
        (
            CNN.model_copy(update={"image_size": 9}),
            r"shape \(3, 8, 8\), but the specification reads the shape \(3, 9, 9\)",
        ),
        (CNN.model_copy(update={"num_classes": 4}), "images: has 3 classes, but the specification has 4"),
        (
            DenseMLP(width=2, depth=3, max_skips=1, in_features=192, num_classes=2),
            "images: has 3 classes, but the specification has 2",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused(images, spec, message):
    with pytest.raises(DataError, match=message):
        train(spec, images, CONFIG)


def test_inputs_of_any_shape_are_flattened_for_an_mlp(images):
    spec = DenseMLP(width=4, depth=3, max_skips=2, in_features=192, num_classes=3)
    assert len(train(spec, images, TrainingConfig(epochs=1)).train_loss) == 1
    assert len(train(spec, images, TrainingConfig(epochs=1, augment="crop-flip")).train_loss) == 1


def test_only_images_can_be_augmented(clusters):
    with pytest.raises(DataError, match=r"clusters: crop-flip needs images, but its inputs have the shape \(5,\)"):
        train(MLP, clusters, TrainingConfig(augment="crop-flip"))


def test_a_negative_seed_is_refused(clusters):
    with pytest.raises(InvalidValueError, match="seed must lie in 0 … 2⁶³ - 1, got -1"):
        train(MLP, clusters, CONFIG, seed=-1)

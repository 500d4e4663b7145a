import json
import math
import random

import numpy as np
import pytest
import torch

from nnmass.architectures import DenseCNN, DenseMLP
from nnmass.errors import DataError, InvalidValueError
from nnmass.training import TrainingConfig, train, train_stacked

SHAPES = [(4, 6), (2, 0), (7, 3), (7, 500), (4, 0), (2, 9)]  # (depth, max_skips), in no order
CONFIGS = [
    TrainingConfig(epochs=3, batch_size=32, learning_rate=0.01),
    TrainingConfig(epochs=3, batch_size=50, optimizer="sgd", learning_rate=0.05, weight_decay=0.01),
    TrainingConfig(epochs=3, batch_size=100, schedule="cosine", weight_decay=0.1, learning_rate=0.01),
]


def specs(activation="elu", shapes=SHAPES):
    return [
        DenseMLP(width=6, depth=d, max_skips=t, in_features=5, num_classes=3, activation=activation) for d, t in shapes
    ]


def check_alike(together, alone):
    assert together.spec == alone.spec
    assert together.train_loss == pytest.approx(alone.train_loss, rel=1e-4)
    assert together.validation_accuracy == pytest.approx(alone.validation_accuracy, abs=1e-9)
    assert together.test_accuracy == pytest.approx(alone.test_accuracy, abs=1e-9)
    for a, b in zip(together.model.parameters(), alone.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS, ids=["adam", "sgd", "cosine"])
def test_each_network_ends_as_trained_alone(clusters, config):
    results = train_stacked(specs(), clusters, config, seed=7)
    for spec, result in zip(specs(), results, strict=True):
        assert result.spec.without_links() == spec
        check_alike(result, train(spec, clusters, config, seed=7, device="cpu"))


@pytest.mark.parametrize("activation", ["relu", "selu", "tanh", "linear"])
def test_each_activation_ends_as_trained_alone(clusters, activation):
    for result in train_stacked(specs(activation, SHAPES[:3]), clusters, CONFIGS[0], seed=1):
        check_alike(result, train(result.spec.without_links(), clusters, CONFIGS[0], seed=1, device="cpu"))


def test_given_links_are_kept(clusters):
    linked = [spec.with_links(seed) for seed, spec in enumerate(specs())]
    results = train_stacked(linked, clusters, CONFIGS[0], seed=20)
    assert [result.spec for result in results] == linked
    check_alike(results[2], train(linked[2], clusters, CONFIGS[0], seed=20, device="cpu"))


def test_the_order_and_company_of_a_network_make_no_difference(clusters):
    forward = train_stacked(specs(), clusters, CONFIGS[0])
    backward = train_stacked(specs()[::-1], clusters, CONFIGS[0])
    for a, b in zip(forward, backward[::-1], strict=True):
        check_alike(a, b)


def test_a_result_holds_what_was_asked(clusters):
    config = CONFIGS[0]
    (result,) = train_stacked(specs()[:1], clusters, config, seed=3)
    assert (result.seed, result.config) == (3, config)
    assert len(result.train_loss) == len(result.validation_accuracy) == config.epochs
    assert not result.model.training
    with torch.no_grad():
        guesses = result.model(torch.from_numpy(clusters.test.inputs)).argmax(1).numpy()
    assert result.test_accuracy == np.mean(guesses == clusters.test.labels)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["spec"]["depth"] == 4


def test_progress_counts_the_epochs_of_all_networks(clusters):
    told = []
    train_stacked(specs(), clusters, CONFIGS[0], progress=told.append)
    assert told == [6, 6, 6]


def test_a_diverging_network_does_not_disturb_the_others(clusters):
    config = TrainingConfig(epochs=2, optimizer="sgd", learning_rate=0.3, batch_size=16)
    mixed = specs("selu", [(14, 500), (2, 0), (14, 400), (3, 0)])
    results = train_stacked(mixed, clusters, config)
    assert [math.isfinite(result.train_loss[-1]) for result in results] == [False, True, False, True]
    for n in (1, 3):
        check_alike(results[n], train(mixed[n], clusters, config, device="cpu"))
        assert results[n].test_accuracy > 0.9


def test_a_diverged_result_is_json_too(clusters):
    config = TrainingConfig(epochs=2, optimizer="sgd", learning_rate=0.3, batch_size=16)
    (result,) = train_stacked(specs("selu", [(14, 500)]), clusters, config)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["train_loss"][-1] is None


def test_the_callers_random_state_is_left_alone(clusters):
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    train_stacked(specs()[:2], clusters, CONFIGS[0])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]
    assert torch.is_grad_enabled()


def test_no_networks_cannot_be_trained(clusters):
    with pytest.raises(InvalidValueError, match="no networks"):
        train_stacked([], clusters, CONFIGS[0])


def test_networks_of_several_widths_cannot_be_stacked(clusters):
    mixed = [*specs()[:1], DenseMLP(width=7, depth=4, max_skips=6, in_features=5, num_classes=3)]
    with pytest.raises(InvalidValueError, match=r"must have one width, got \[6, 7\]"):
        train_stacked(mixed, clusters, CONFIGS[0])


def test_other_networks_are_refused_and_not_left_out(images):
    mlp = DenseMLP(width=6, depth=3, max_skips=2, in_features=192, num_classes=3)
    cnn = DenseCNN(widths=(2,), depth=3, max_skips=1, image_size=8, num_classes=3)
    with pytest.raises(InvalidValueError, match="DenseCNN"):
        train_stacked([mlp, cnn], images, CONFIGS[0])


def test_augmentation_is_refused(images):
    mlp = DenseMLP(width=6, depth=3, max_skips=2, in_features=192, num_classes=3)
    with pytest.raises(InvalidValueError, match="no augment, got augment='crop-flip'"):
        train_stacked([mlp], images, TrainingConfig(augment="crop-flip"))


def test_data_that_does_not_fit_is_refused(images):
    with pytest.raises(DataError, match=r"images: its inputs have the shape \(3, 8, 8\), but .* reads 5 values"):
        train_stacked(specs(), images, CONFIGS[0])

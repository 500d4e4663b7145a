import numpy as np
import pytest
from scipy import stats

from nnmass import DenseMLP, RunStore, TrainingConfig, compress, load_data
from nnmass.errors import FitError
from nnmass.experiments import CompressionOutcome, verify
from nnmass.prediction import Network, compare

CONFIG = TrainingConfig(epochs=1, batch_size=32)


@pytest.fixture(scope="module")
def compression():
    return compress(DenseMLP(width=8, depth=16, max_skips=12, in_features=64))


@pytest.fixture(scope="module")
def verification(compression, tmp_path_factory):
    store = RunStore(tmp_path_factory.mktemp("verify") / "runs.sqlite")
    return verify(compression, load_data("digits"), store, CONFIG, seeds=4, workers=1)


def test_the_difference_is_that_of_the_same_seeds(verification):
    reference, compressed = verification.reference.accuracies, verification.compressed.accuracies
    assert len(reference) == len(compressed) == verification.seeds == 4
    assert verification.difference == pytest.approx(np.mean(compressed) - np.mean(reference))


def test_the_interval_is_that_of_a_paired_t_test(verification):
    test = stats.ttest_rel(verification.compressed.accuracies, verification.reference.accuracies)
    low, high = test.confidence_interval(0.95)
    assert (verification.low, verification.high) == pytest.approx((low, high))


def test_accuracies_are_those_of_the_store_in_the_order_of_seeds(compression, verification, tmp_path):
    store = RunStore(tmp_path / "runs.sqlite")
    verify(compression, load_data("digits"), store, CONFIG, seeds=2, workers=1)
    rows = [run for run in store.runs() if run.specification == compression.reference]
    by_seed = [run.test_accuracy for run in sorted(rows, key=lambda run: run.seed)]
    assert verification.reference.accuracies[:2] == pytest.approx(by_seed)


def test_diverged_seeds_are_left_out_and_one_seed_is_too_few(compression, tmp_path):
    store = RunStore(tmp_path / "runs.sqlite")
    with pytest.raises(FitError, match="at least 2 seeds that did not diverge, got 0 of 2"):
        verify(
            compression,
            load_data("digits"),
            store,
            CONFIG.model_copy(update={"learning_rate": 1e30, "optimizer": "sgd"}),
            seeds=2,
            workers=1,
        )


def network(mass, accuracy):
    return Network(mass, 100 + int(mass), 90 + int(mass), accuracy, 5, 0.01, "16")


def test_an_outcome_predicts_both_networks_or_says_why_not(compression):
    mass = compression.reference.nn_mass
    near = compare([network(mass * f, 0.8 + 0.1 * f + 0.01 * (-1) ** k) for k, f in enumerate((0.5, 0.8, 1.2, 2.0))])
    outcome = CompressionOutcome(compression, "digits", near)
    assert set(outcome.predictions) == {"reference", "compressed"}
    assert outcome.not_predicted == ""
    far = compare([network(mass * f, 0.8 + 0.01 * f) for f in (50, 80, 90)])
    outcome = CompressionOutcome(compression, "digits", far)
    assert outcome.predictions == {}
    assert "lies too far outside the 3 fitted networks" in outcome.not_predicted
    assert CompressionOutcome(compression).not_predicted == "no networks were fitted"

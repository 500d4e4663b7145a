import math
from dataclasses import replace

import numpy as np
import pytest

from nnmass import DenseMLP, RunStore, TrainingConfig, compress, load_data
from nnmass.errors import FitError
from nnmass.prediction import Network, Origin, compare
from nnmass.sweeps import data_label, plan_runs, stored_run
from nnmass.verification import CompressionOutcome, measured_verdict, verify

CONFIG = TrainingConfig(epochs=1, batch_size=32)


@pytest.fixture(scope="module")
def compression():
    return compress(DenseMLP(width=8, depth=16, max_skips=12, in_features=64))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return RunStore(tmp_path_factory.mktemp("verify") / "runs.sqlite")


@pytest.fixture(scope="module")
def verification(compression, store):
    return verify(compression, load_data("digits"), store, CONFIG, seeds=4, workers=1)


def test_the_difference_is_that_of_the_same_seeds(verification):
    reference, compressed = verification.reference.accuracies, verification.compressed.accuracies
    assert len(reference) == len(compressed) == verification.seeds == 4
    assert verification.difference == pytest.approx(np.mean(compressed) - np.mean(reference))


def test_samples_are_compared_one_by_one(compression, verification, store):
    rows = {row.key: row for row in store.runs()}
    for spec, answers in zip((compression.reference, compression.spec), verification.answers, strict=True):
        keys = sorted((k for k, row in rows.items() if row.specification == spec), key=lambda k: rows[k].seed)
        kept = store.answers(keys)
        assert np.array_equal(answers, [kept[key] for key in keys])
        assert answers.mean(1).tolist() == [rows[key].test_accuracy for key in keys]
    unpaired = replace(verification, answers=None)
    assert np.diff(verification.interval) < np.diff(unpaired.interval)


def filled(store, compression, reference, compressed):
    """A store of runs with these accuracies, without answers; None: diverged."""
    label = data_label(load_data("digits"))
    for spec, accuracies in ((compression.reference, reference), (compression.spec, compressed)):
        runs = plan_runs([spec], seeds=range(len(accuracies)), data=label, config=CONFIG)
        store.add(
            stored_run(run, [math.inf if found is None else 1.0], 0.5, found or 0.0)
            for run, found in zip(runs, accuracies, strict=True)
        )
    return store


def test_runs_of_an_earlier_store_are_compared_without_pairing(compression, tmp_path):
    store = filled(RunStore(tmp_path / "runs.sqlite"), compression, (0.9, 0.92, 0.91), (0.88, 0.9, 0.89))
    found = verify(compression, load_data("digits"), store, CONFIG, seeds=3, workers=1)
    assert not found.paired
    assert found.test_samples == 360
    assert found.reference.chance == np.bincount(load_data("digits").test.labels).max() / 360
    low, high = found.interval
    assert low < -0.04 < 0 < high  # the seeds agree on -2 points, but 360 samples do not know that


def test_seeds_that_diverged_are_left_out_and_said(compression, tmp_path):
    store = filled(RunStore(tmp_path / "runs.sqlite"), compression, (0.9, None, 0.91, 0.92), (0.8, 0.8, None, 0.8))
    found = verify(compression, load_data("digits"), store, CONFIG, seeds=4, workers=1)
    assert (found.seeds, found.left_out, found.interval) == (2, 2, None)
    assert found.reference.accuracies == (0.9, 0.92)
    assert "With 2 more seeds one of both networks diverged." in measured_verdict(found, "small one")


def test_no_seed_that_did_not_diverge_is_an_error(compression, tmp_path):
    store = filled(RunStore(tmp_path / "runs.sqlite"), compression, (0.9, None), (None, None))
    with pytest.raises(FitError, match="got none of 2: the reference diverged in 1, the compressed network in 2"):
        verify(compression, load_data("digits"), store, CONFIG, seeds=2, workers=1)


def test_accuracies_are_those_of_the_store_in_the_order_of_seeds(compression, verification, tmp_path):
    store = RunStore(tmp_path / "runs.sqlite")
    verify(compression, load_data("digits"), store, CONFIG, seeds=2, workers=1)
    rows = [run for run in store.runs() if run.specification == compression.reference]
    by_seed = [run.test_accuracy for run in sorted(rows, key=lambda run: run.seed)]
    assert verification.reference.accuracies[:2] == pytest.approx(by_seed)


def network(mass, accuracy, spec):
    return Network(mass, 100 + int(mass), 90 + int(mass), accuracy, 5, 0.01, "16", Origin(spec, "digits", {}))


def test_an_outcome_predicts_both_networks_or_says_why_not(compression):
    mass = compression.reference.nn_mass
    spec = compression.reference
    near = compare(
        [network(mass * f, 0.6 + 0.1 * f + 0.01 * (-1) ** k, spec) for k, f in enumerate((0.5, 0.8, 1.2, 2))]
    )
    outcome = CompressionOutcome(compression, "digits", near)
    assert set(outcome.predictions) == {"reference", "compressed"}
    assert outcome.not_predicted == ""
    far = compare([network(mass * f, 0.1 + 0.0001 * f**2, spec) for f in (50, 80, 90)])
    outcome = CompressionOutcome(compression, "digits", far)
    assert outcome.predictions == {}
    assert "lies too far outside the 3 fitted networks" in outcome.not_predicted
    wider = spec.model_copy(update={"width": spec.width + 1})
    other = compare([network(mass * f, 0.6 + 0.1 * f**2, wider) for f in (0.5, 0.8, 1.2)])
    outcome = CompressionOutcome(compression, "digits", other)
    assert outcome.predictions == {}
    assert f"this network has width {spec.width}, not {spec.width + 1}" in outcome.not_predicted
    assert CompressionOutcome(compression).not_predicted == "no networks were fitted"

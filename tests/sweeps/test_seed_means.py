import json
import random
import statistics
from dataclasses import replace

import pytest

from nnmass.architectures import DenseCNN, DenseMLP, MobileNetV2
from nnmass.errors import FitError, InvalidValueError, StoreError
from nnmass.prediction import compare
from nnmass.sweeps import chosen_runs, plan_runs, seed_means, stored_run
from nnmass.training import TrainingConfig

SPECS = [
    DenseMLP(width=4, depth=5, max_skips=3),
    DenseMLP(width=4, depth=7, max_skips=3),
    DenseCNN(widths=(4, 8), depth=(5, 6), max_skips=(2, 3)),
]
CONFIG = TrainingConfig()


def rows(accuracies, *, data="digits", config=CONFIG, specs=SPECS):
    """Rows of each specification, one per accuracy; None: diverged."""
    runs = plan_runs(specs, seeds=range(len(accuracies)), data=data, config=config)
    return [
        stored_run(run, [1.0 if accuracies[run.seed] is not None else float("nan")], 0.1, accuracies[run.seed])
        for run in runs
    ]


def test_accuracies_are_averaged_over_seeds():
    accuracies = [0.5, 0.75, 0.9]
    networks = seed_means(rows(accuracies))
    assert len(networks) == 3
    specs = sorted(SPECS, key=lambda spec: spec.params)
    for spec, network in zip(specs, networks, strict=True):
        assert (network.nn_mass, network.params, network.macs) == (spec.nn_mass, spec.params, spec.macs)
        assert network.accuracy == pytest.approx(statistics.mean(accuracies))
        assert network.accuracy_std == pytest.approx(statistics.stdev(accuracies))
        assert network.seeds == 3
    assert {network.group for network in networks} == {"5", "7", "(5, 6)"}


def test_the_order_in_which_runs_ended_does_not_matter():
    finished = rows([0.5, 0.7, 0.1, 0.3])
    expected = seed_means(finished)
    for seed in range(5):
        shuffled = random.Random(seed).sample(finished, len(finished))
        assert seed_means(shuffled) == expected


def test_one_seed_has_no_spread():
    (network,) = seed_means(rows([0.5], specs=SPECS[:1]))
    assert (network.accuracy, network.accuracy_std, network.seeds) == (0.5, 0.0, 1)


def test_diverged_runs_are_left_out():
    networks = seed_means(rows([0.5, None, 0.7]))
    assert [network.seeds for network in networks] == [2, 2, 2]
    assert networks[0].accuracy == pytest.approx(0.6)
    mixed = rows([None], specs=SPECS[:1]) + rows([0.4], specs=SPECS[1:2])
    assert [network.accuracy for network in seed_means(mixed)] == [0.4]


def test_networks_with_other_links_are_other_networks():
    linked = [SPECS[0].with_links(seed) for seed in (0, 1)]
    assert [network.seeds for network in seed_means(rows([0.5, 0.6], specs=linked))] == [2, 2]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (rows([0.5], specs=SPECS[:2], data="mnist"), "data digits or mnist"),
        (rows([0.5], specs=SPECS[:2], config=TrainingConfig(epochs=7)), "epochs 30 or 7"),
        (
            rows([0.5], specs=SPECS[:2], config=TrainingConfig(schedule="cosine", ema=0.9)),
            "schedule constant or cosine, and ema 0.0 or 0.9",
        ),
        (rows([0.5], specs=SPECS[2:]), "family DenseMLP or DenseCNN|family DenseCNN or DenseMLP"),
        (rows([0.5], specs=[DenseMLP(width=5, depth=5, max_skips=3)]), "width 4 or 5"),
        (rows([0.5], specs=[DenseMLP(width=4, depth=5, max_skips=3, activation="relu")]), "activation elu or relu"),
    ],
)
def test_runs_of_several_kinds_are_neither_averaged_nor_fitted_together(others, message):
    own = rows([0.25, 0.75], specs=SPECS[:2])
    networks = seed_means(own + others)
    assert {network.accuracy for network in networks} == {0.5}
    assert len(networks) == 2 + len({run.spec for run in others})
    with pytest.raises(FitError, match=f"these networks are not alike: they have ({message})"):
        compare(networks)


def test_rows_of_an_earlier_version_are_of_the_same_training():
    earlier = rows([0.25], specs=SPECS[:1])[0]
    stored = json.loads(earlier.training)
    training = json.dumps({name: stored[name] for name in ("epochs", "optimizer", "learning_rate")})
    later = replace(earlier, seed=1, key="other", training=json.dumps(stored, indent=2), test_accuracy=0.75)
    (network,) = seed_means([replace(earlier, training=training), later])
    assert (network.accuracy, network.seeds) == (0.5, 2)


@pytest.mark.parametrize("training", ["", "[]", '{"epochs": -1}', '{"unheard_of": 1}', "3", "[" * 5_000])
def test_a_row_without_a_training_configuration_is_named(training):
    with pytest.raises(StoreError, match=r"run \w+: is no training configuration \("):
        seed_means([replace(rows([0.5])[0], training=training)])


MIXED = rows([0.5]) + rows([0.5], data="mnist (somewhere)", config=TrainingConfig(epochs=7))


@pytest.mark.parametrize(
    ("only", "count"),
    [
        ({}, 6),
        ({"family": "DenseMLP"}, 4),
        ({"data": "mnist"}, 3),
        ({"epochs": 7}, 3),
        ({"widths": [4, 8]}, 2),
        ({"depth": 5, "data": "digits"}, 1),
    ],
)
def test_runs_are_chosen_by_what_they_are(only, count):
    assert len(chosen_runs(MIXED, only)) == count


def test_runs_are_chosen_by_what_a_mixture_is_refused_for():
    specs = [MobileNetV2(stages=[(1, 16, 1, 1), (6, 24, 2, stride)]) for stride in (1, 2)]
    mixed = rows([0.5], specs=specs)
    with pytest.raises(FitError, match=r"they have strides 1, 1 or 1, 2.  .* --only strides=…"):
        compare(seed_means(mixed))
    assert [run.specification for run in chosen_runs(mixed, {"strides": [1, 2]})] == specs[1:]


@pytest.mark.parametrize(
    ("only", "error", "message"),
    [
        ({"width": 9}, FitError, "no run has width 9, but 4"),
        ({"epochs": 8}, FitError, "no run has epochs 8, but 30; 7"),
        ({"data": "mni"}, FitError, r"no run has data mni, but digits; mnist \(somewhere\)"),
        ({"depht": 5}, InvalidValueError, "depht: no run has it, in its specification or its training"),
    ],
)
def test_a_choice_that_leaves_no_run_says_what_there_is(only, error, message):
    with pytest.raises(error, match=message):
        chosen_runs(MIXED, only)


def test_diverged_runs_of_other_data_do_not_matter():
    assert len(seed_means(rows([0.5]) + rows([None], data="mnist"))) == 3


@pytest.mark.parametrize(("runs", "count"), [([], 0), (rows([None]), 3)])
def test_no_finished_run_is_refused(runs, count):
    with pytest.raises(FitError, match=f"no finished runs among {count}"):
        seed_means(runs)

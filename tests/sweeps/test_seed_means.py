import random
import statistics

import pytest

from nnmass.architectures import DenseCNN, DenseMLP
from nnmass.errors import FitError
from nnmass.sweeps import plan_runs, seed_means, stored_run
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
        (rows([0.5], data="mnist"), "a fit needs runs with one data, got 2: digits; mnist"),
        (rows([0.5], config=TrainingConfig(epochs=7)), 'a fit needs runs with one training, got 2: .*"epochs":7'),
    ],
)
def test_runs_on_several_data_sets_or_trained_in_several_ways_are_refused(others, message):
    with pytest.raises(FitError, match=message):
        seed_means(rows([0.5]) + others)


def test_diverged_runs_of_other_data_do_not_matter():
    assert len(seed_means(rows([0.5]) + rows([None], data="mnist"))) == 3


@pytest.mark.parametrize(("runs", "count"), [([], 0), (rows([None]), 3)])
def test_no_finished_run_is_refused(runs, count):
    with pytest.raises(FitError, match=f"no finished runs among {count}"):
        seed_means(runs)

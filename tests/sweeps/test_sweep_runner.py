import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
import torch

from nnmass.architectures import CifarResNet, DenseCNN, DenseMLP, MobileNetV2, ResNet, WideResNet
from nnmass.data import circle
from nnmass.errors import DataError, InvalidValueError
from nnmass.sweeps import RunStore, data_label, jobs, plan_runs, run_sweep, stored_run
from nnmass.training import TrainingConfig, train

MLPS = [
    DenseMLP(width=w, depth=d, max_skips=5, in_features=36, num_classes=2) for w, d in ((4, 3), (6, 5), (4, 6), (4, 2))
]
CNN = DenseCNN(widths=(2, 3), depth=(3, 4), max_skips=2, image_size=6, in_channels=1, num_classes=2)
CONFIG = TrainingConfig(epochs=2, batch_size=32, learning_rate=0.01)


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs.sqlite")


@pytest.fixture
def trained(monkeypatch):
    """What is trained in this process from here on: (specification, seed)."""
    found = []

    def recording_train(spec, *args, **kwargs):
        found.append((spec, kwargs["seed"]))
        return train(spec, *args, **kwargs)

    def recording_stack(specs, *args, seed, **kwargs):
        found.extend((spec, seed) for spec in specs)
        return train_stacked(specs, *args, seed=seed, **kwargs)

    train_stacked = jobs.train_stacked
    monkeypatch.setattr(jobs, "train", recording_train)
    monkeypatch.setattr(jobs, "train_stacked", recording_stack)
    return found


def accuracies(store):
    return {run.key: (run.status, run.test_accuracy, run.validation_accuracy) for run in store.runs()}


def test_every_specification_is_trained_with_every_seed(images, store, trained):
    specs = [*MLPS, CNN]
    runs = run_sweep(specs, images, store, CONFIG, seeds=(0, 3), workers=1)
    assert runs == plan_runs(specs, seeds=(0, 3), data=data_label(images), config=CONFIG)
    assert sorted(trained, key=str) == sorted(((spec, seed) for spec in specs for seed in (0, 3)), key=str)
    rows = {row.key: row for row in store.runs()}
    assert set(rows) == {run.key for run in runs}
    for run in runs:
        row, alone = rows[run.key], train(run.spec, images, CONFIG, seed=run.seed)
        assert row.specification == run.spec
        assert (row.seed, row.data, row.status) == (run.seed, data_label(images), "finished")
        assert row.test_accuracy == pytest.approx(alone.test_accuracy, abs=1e-9)
        assert row.validation_accuracy == pytest.approx(alone.validation_accuracy[-1], abs=1e-9)


def test_processes_train_what_one_process_trains(images, store, tmp_path):
    options = {"config": CONFIG, "seeds": range(3)}
    alone = RunStore(tmp_path / "alone.sqlite")
    run_sweep([*MLPS, CNN], images, alone, workers=1, stack_size=2, **options)
    told = []
    run_sweep([*MLPS, CNN], images, store, workers=2, progress=lambda *counts: told.append(counts), **options)
    assert accuracies(store) == accuracies(alone)
    assert len(store.runs()) == 15
    assert told[0] == (0, 30)
    assert told[-1] == (30, 30)
    assert told == sorted(told)
    assert multiprocessing.active_children() == []


def test_only_what_is_missing_is_trained_with_the_stacks_that_it_is_in(images, store, trained):
    first = run_sweep([MLPS[0], CNN], images, store, CONFIG, seeds=(0, 1), workers=1)
    before = store.runs()
    trained.clear()
    told = []
    runs = run_sweep(
        [*MLPS, CNN], images, store, CONFIG, seeds=(1, 2), workers=1, progress=lambda *counts: told.append(counts)
    )
    had = {(run.spec, run.seed) for run in first}
    wanted = [(run.spec, run.seed) for run in runs if (run.spec, run.seed) not in had]
    in_a_stack_with_others = [(MLPS[0], 1)]
    assert sorted(trained, key=str) == sorted([*wanted, *in_a_stack_with_others], key=str)
    assert len(wanted) == 8
    assert (told[0], told[-1]) == ((0, 16), (16, 16))
    assert store.runs()[: len(before)] == before
    assert len(store.runs()) == 12


@pytest.mark.parametrize("workers", [1, 2])
def test_a_finished_sweep_trains_nothing(images, store, trained, workers):
    runs = run_sweep(MLPS[:2], images, store, CONFIG, seeds=[0], workers=1)
    trained.clear()
    told = []
    again = run_sweep(
        MLPS[:2], images, store, CONFIG, seeds=[0], workers=workers, progress=lambda *counts: told.append(counts)
    )
    assert again == runs
    assert trained == []
    assert told == [(0, 0)]


NARROW = [DenseMLP(width=4, depth=d, max_skips=5, in_features=36, num_classes=2) for d in range(2, 14)]


def rows(store):
    return {run.key: replace(run, finished_at="") for run in store.runs()}


@pytest.fixture(scope="module")
def undisturbed(images, tmp_path_factory):
    store = RunStore(tmp_path_factory.mktemp("undisturbed") / "runs.sqlite")
    run_sweep([*NARROW, CNN], images, store, CONFIG, seeds=range(2), workers=1)
    return store


@pytest.mark.parametrize(("seed", "workers"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_rows_that_are_trained_again_are_the_same_bit_by_bit(images, undisturbed, tmp_path, seed, workers):
    rng = np.random.default_rng(seed)
    kept = [run for run in undisturbed.runs() if rng.random() < 0.6]
    store = RunStore(tmp_path / "runs.sqlite")
    store.add(kept)
    run_sweep([*NARROW, CNN], images, store, CONFIG, seeds=range(2), workers=workers)
    assert rows(store) == rows(undisturbed)


def test_threads_of_the_caller_do_not_change_a_row(images, undisturbed, tmp_path):
    store, before = RunStore(tmp_path / "runs.sqlite"), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run_sweep([*NARROW, CNN], images, store, CONFIG, seeds=range(2), workers=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert rows(store) == rows(undisturbed)


@pytest.mark.parametrize("networks", [1, 7, 8, 9, 100, 1000, 4000])
def test_stacks_follow_from_the_plan(images, networks):
    specs = [DenseMLP(width=4, depth=2 + n % 50, max_skips=n, in_features=36, num_classes=2) for n in range(networks)]
    runs = plan_runs(specs, seeds=[0], data="", config=CONFIG)
    planned = jobs.planned_jobs(runs, images, 96)
    assert sorted(run.key for job in planned for run in job.runs) == sorted(run.key for run in runs)
    assert all(job.stacked and job.wanted == {run.key for run in job.runs} for job in planned)
    sizes = [len(job.runs) for job in planned]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= 96
    assert len(planned) >= min(16, -(-networks // 8))


def test_other_training_and_other_data_are_other_runs(images, store, trained):
    run_sweep(MLPS[:1], images, store, CONFIG, seeds=[0], workers=1)
    run_sweep(MLPS[:1], images, store, CONFIG.model_copy(update={"epochs": 1}), seeds=[0], workers=1)
    run_sweep(MLPS[:1], replace(images, name="others"), store, CONFIG, seeds=[0], workers=1)
    assert len(trained) == len(store.runs()) == 3


def test_what_another_sweep_finishes_meanwhile_is_skipped(images, store, trained):
    label = data_label(images)
    others = [stored_run(run, [1.0], 0.5, 0.123) for run in plan_runs(MLPS[:2], seeds=[0], data=label, config=CONFIG)]
    told = []

    def tell(done, total):
        if not told:  # everything is planned, nothing trained
            store.add(others)
        told.append((done, total))

    run_sweep(MLPS, images, store, CONFIG, seeds=[0], workers=1, stack_size=1, progress=tell)
    assert [spec for spec, _ in trained] == MLPS[2:]
    assert store.runs()[:2] == others
    assert told[-1] == (8, 8)


def test_an_interrupted_sweep_keeps_what_was_finished(images, store, trained):
    def interrupt(done, _):
        if done == 3:  # the second of the stacks of one is half way
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(MLPS, images, store, CONFIG, seeds=[0], workers=1, stack_size=1, progress=interrupt)
    assert [row.specification for row in store.runs()] == [trained[0][0]]
    trained.clear()
    run_sweep(MLPS, images, store, CONFIG, seeds=[0], workers=1, stack_size=1)
    assert len(trained) == 3
    assert len(store.runs()) == 4


def test_residual_networks_are_rows_with_the_layers_of_all_their_blocks_or_the_depth_in_their_names(images, store):
    shape = {"image_size": 6, "in_channels": 1, "num_classes": 2}
    specs = [
        ResNet(block="basic", layers=(1, 1), **shape),
        MobileNetV2(stages=[(2, 8, 2, 1)], width_mult=0.25, **shape),
        CifarResNet(layers=(1, 1), widths=(4, 8), **shape),
        WideResNet(depth=10, widen_factor=1, dropout=0.1, **shape),
    ]
    run_sweep(specs, images, store, CONFIG, seeds=[0], workers=1)
    rows = {row.family: row for row in store.runs()}
    depths = {"ResNet": "4", "MobileNetV2": "6", "CifarResNet": "6", "WideResNet": "10"}
    assert {family: row.depth for family, row in rows.items()} == depths
    assert [rows[spec.family].specification for spec in specs] == specs
    assert all(row.status == "finished" for row in rows.values())


def test_a_diverging_cnn_is_a_row_without_accuracy(images, store):
    config = TrainingConfig(epochs=3, optimizer="sgd", learning_rate=1e6)
    (run,) = run_sweep([CNN], images, store, config, seeds=[0], workers=1)
    (row,) = store.runs()
    assert (row.key, row.status) == (run.key, "diverged")
    assert row.test_accuracy is row.validation_accuracy is None
    assert store.missing([run.key]) == []


def test_progress_reaches_the_total_when_a_network_diverges_too(images, store):
    config = TrainingConfig(epochs=3, optimizer="sgd", learning_rate=1e6)
    told = []
    run_sweep([CNN], images, store, config, seeds=[0, 1], workers=1, progress=lambda *counts: told.append(counts))
    assert told[-1] == (6, 6)


def test_a_diverging_mlp_is_a_row_without_accuracy_beside_a_finished_one(images, store):
    deep = DenseMLP(width=6, depth=14, max_skips=500, in_features=36, num_classes=2, activation="selu")
    shallow = deep.model_copy(update={"depth": 2})
    config = TrainingConfig(epochs=2, optimizer="sgd", learning_rate=0.8, batch_size=8)
    run_sweep([deep, shallow], images, store, config, seeds=[0], workers=1)
    assert [(row.depth, row.status, row.test_accuracy is None) for row in store.runs()] == [
        ("14", "diverged", True),
        ("2", "finished", False),
    ]


def test_augmented_mlps_are_trained_one_by_one(images, store):
    config = CONFIG.model_copy(update={"augment": "crop-flip"})
    run_sweep(MLPS[:2], images, store, config, seeds=[0], workers=1)
    expected = [train(spec, images, config, seed=0).test_accuracy for spec in MLPS[:2]]
    assert {row.test_accuracy for row in store.runs()} == set(expected)


def test_the_callers_threads_and_random_state_stay(images, store):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    run_sweep([MLPS[0], CNN], images, store, CONFIG, seeds=[0], workers=1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_the_label_of_a_data_set_tells_it_from_others(images):
    data = [
        images,
        replace(images, name="others"),
        replace(images, source="elsewhere"),
        replace(images, train=images.train[:100]),
        circle(num_segments=10),
        circle(num_segments=12),
        circle(num_segments=10, seed=1),
    ]
    assert data_label(images).startswith("halves (drawn")
    assert data_label(images) == data_label(replace(images))
    assert len({data_label(one) for one in data}) == len(data)


def test_the_label_of_a_data_set_tells_it_from_others_of_the_same_name_and_size(images):
    flipped = replace(images, train=replace(images.train, labels=1 - images.train.labels))
    tested_on_other = replace(images, test=images.test[:10])
    assert len({data_label(one) for one in (images, flipped, tested_on_other)}) == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"specs": []}, "a sweep needs specifications and seeds, got 0 and 5"),
        ({"seeds": []}, "a sweep needs specifications and seeds, got 4 and 0"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"stack_size": 0}, "stack_size must be at least 1, got 0"),
        ({"seeds": [0, -1]}, "seed must lie in 0 … 2⁶³ - 1, got -1"),
        ({"seeds": [2**64]}, "seed must lie in 0 … 2⁶³ - 1, got 18446744073709551616"),
        ({"workers": 10**9}, "workers must be at most [0-9]+, got 1000000000: this machine has"),
    ],
)
def test_options_out_of_range_are_refused(images, store, values, message):
    options = {"specs": MLPS, "workers": 1} | values
    with pytest.raises(InvalidValueError, match=message):
        run_sweep(options.pop("specs"), images, store, CONFIG, **options)


def test_every_specification_must_fit_before_any_is_trained(images, store, trained):
    wrong = CNN.model_copy(update={"num_classes": 3})
    with pytest.raises(DataError, match="halves: has 2 classes, but the specification has 3"):
        run_sweep([*MLPS, wrong], images, store, CONFIG, workers=1)
    assert trained == []
    assert store.runs() == []


def test_stacks_hold_no_more_than_asked(images, store, monkeypatch):
    sizes = []

    def recording_stack(specs, *args, **kwargs):
        sizes.append(len(specs))
        return train_stacked(specs, *args, **kwargs)

    train_stacked = jobs.train_stacked
    monkeypatch.setattr(jobs, "train_stacked", recording_stack)
    specs = [DenseMLP(width=3, depth=d, max_skips=2, in_features=36, num_classes=2) for d in range(2, 9)]
    run_sweep(specs, images, store, TrainingConfig(epochs=1), seeds=[0], workers=1, stack_size=3)
    assert sum(sizes) == len(store.runs()) == 7
    assert max(sizes) <= 3
    np.testing.assert_array_equal([row.seed for row in store.runs()], 0)

import pytest

from nnmass.architectures import DenseCNN, DenseMLP
from nnmass.errors import InvalidValueError, SpecificationError
from nnmass.sweeps import Run, grid, plan_runs
from nnmass.training import TrainingConfig

MLP = DenseMLP(width=8, depth=16, max_skips=20, in_features=64)
CNN = DenseCNN(widths=(4, 8), depth=(5, 6), max_skips=(2, 3))
CONFIG = TrainingConfig()


def test_a_grid_is_all_combinations_the_last_key_fastest():
    specs = grid(MLP, {"depth": [4, 6], "max_skips": [0, 5, 9], "activation": ["relu"]})
    assert [(s.depth, s.max_skips) for s in specs] == [(4, 0), (4, 5), (4, 9), (6, 0), (6, 5), (6, 9)]
    assert {(s.width, s.in_features, s.activation) for s in specs} == {(8, 64, "relu")}


def test_a_grid_without_keys_is_its_base_without_links():
    assert grid(CNN.with_links(1), {}) == [CNN]


def test_a_grid_of_cnns_varies_tuples():
    specs = grid(CNN, {"max_skips": [(0, 0), (1, 2)], "depth": [7]})
    assert specs == [DenseCNN(widths=(4, 8), depth=7, max_skips=skips) for skips in ((0, 0), (1, 2))]


@pytest.mark.parametrize(
    ("vary", "error", "message"),
    [
        ({"depth": []}, InvalidValueError, "depth is to be varied, but has no values"),
        ({"depth": [4, 1]}, SpecificationError, "grid: .*depth should be greater than or equal to 2, got 1"),
        ({"depht": [4]}, SpecificationError, "grid: .*depht .*got 4"),
        ({"family": ["ResMLP"]}, SpecificationError, "grid: family must be one of .*got 'ResMLP'"),
    ],
)
def test_combinations_that_are_no_specification_are_refused(vary, error, message):
    with pytest.raises(error, match=message):
        grid(MLP, vary)


def test_a_plan_goes_seed_by_seed_in_the_given_order():
    specs = grid(MLP, {"depth": [9, 4], "max_skips": [5, 0]})
    runs = plan_runs(specs, seeds=[3, 1], data="digits", config=CONFIG)
    assert runs == [Run(spec, seed, "digits", CONFIG) for seed in (3, 1) for spec in specs]


def test_specifications_that_occur_twice_count_once():
    same = DenseMLP(**MLP.model_dump())
    runs = plan_runs([MLP, CNN, same], seeds=[0, 1], data="digits", config=CONFIG)
    assert [(run.spec, run.seed) for run in runs] == [(MLP, 0), (CNN, 0), (MLP, 1), (CNN, 1)]


def test_seeds_that_occur_twice_count_once():
    runs = plan_runs([MLP, CNN], seeds=[1, 0, 1], data="digits", config=CONFIG)
    assert [(run.spec, run.seed) for run in runs] == [(MLP, 1), (CNN, 1), (MLP, 0), (CNN, 0)]


def test_keys_are_those_of_earlier_versions():
    # a store outlives its program: if these keys change, everything is trained again
    assert Run(MLP, 0, "digits", CONFIG).key == "d93ae99cfa205774a1e84d3b29bb7677"


def test_everything_that_a_run_is_makes_its_key():
    runs = [
        Run(MLP, 0, "digits", CONFIG),
        Run(MLP, 1, "digits", CONFIG),
        Run(MLP, 0, "mnist", CONFIG),
        Run(MLP.with_links(0), 0, "digits", CONFIG),
        Run(MLP.with_links(1), 0, "digits", CONFIG),
        Run(CNN, 0, "digits", CONFIG),
    ]
    changes = {"epochs": 31, "batch_size": 65, "optimizer": "sgd", "learning_rate": 2e-3, "momentum": 0.8}
    changes |= {"weight_decay": 0.1, "schedule": "cosine", "augment": "crop-flip", "nesterov": True, "compile": True}
    changes |= {"warmup_epochs": 1, "label_smoothing": 0.1, "cutout": 2, "randaugment": 9, "mixup": 0.2, "ema": 0.9}
    changes |= {"accumulate": 2, "precision": "bfloat16", "channels_last": True}
    options = {"optimizer_options": {"eps": 0.1}, "schedule_options": {"min_lr": 0.1}}
    assert set(changes) | set(options) == set(TrainingConfig.model_fields)
    runs += [Run(MLP, 0, "digits", TrainingConfig(**{key: value})) for key, value in changes.items()]
    timm = {"optimizer": "timm:lamb", "schedule": "timm:poly"}
    for some in ({}, *({key: value} for key, value in options.items())):
        runs.append(Run(MLP, 0, "digits", TrainingConfig(**timm, **some)))
    runs += [
        Run(spec, 0, "digits", CONFIG) for spec in grid(MLP, {"depth": [15], "width": [8, 9], "max_skips": [19, 20]})
    ]
    assert len({run.key for run in runs}) == len(runs)


def test_equal_runs_have_equal_keys():
    again = Run(DenseMLP(**MLP.model_dump()), 0, "digits", TrainingConfig(learning_rate=1e-3))
    assert again.key == Run(MLP, 0, "digits", CONFIG).key
    tied, spelled = (DenseCNN(widths=(4, 8), depth=d, max_skips=t) for d, t in ((5, 3), ((5, 5), (3, 3))))
    assert Run(tied, 0, "digits", CONFIG).key == Run(spelled, 0, "digits", CONFIG).key

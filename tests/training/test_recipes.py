"""What a recipe asks for, each against the same in plain words."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nnmass.architectures import DenseCNN, DenseMLP
from nnmass.data import Dataset
from nnmass.errors import CheckpointError, DataError, InvalidValueError
from nnmass.training import TrainingConfig, train
from nnmass.training.augmentation import Pixels, augmented, cross_entropy, cut_out, mixed_up, random_operations
from nnmass.training.optimizers import make_schedule

MLP = DenseMLP(width=6, depth=5, max_skips=8, in_features=5, num_classes=3)
CNN = DenseCNN(widths=(3, 4), depth=(3, 4), max_skips=3, image_size=8, num_classes=3)
PLAIN = Pixels(torch.zeros(3, 1, 1), torch.ones(3, 1, 1))


def rates(config, steps):
    optimizer = torch.optim.SGD([torch.zeros(1)], config.learning_rate)
    set_rate = make_schedule(optimizer, config, steps=steps // config.epochs)
    found = []
    for step in range(steps):
        set_rate(step)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_the_rate_rises_and_then_falls():
    found = rates(TrainingConfig(epochs=4, learning_rate=0.8, warmup_epochs=1, schedule="cosine"), 16)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])
    assert found[4:] == pytest.approx([0.4 * (1 + math.cos(math.pi * k / 12)) for k in range(12)])


def test_a_warm_up_of_no_epochs_or_of_all():
    assert rates(TrainingConfig(epochs=2, learning_rate=0.5), 4) == [0.5] * 4
    assert rates(TrainingConfig(epochs=2, learning_rate=1, warmup_epochs=2), 4) == pytest.approx([0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cosine", {"min_lr": 0.01, "cycle_limit": 2, "cycle_mul": 0.5}),
        ("poly", {"decay_rate": 2.0}),
        ("step", {"decay_epochs": 2}),
        ("multistep", {"decay_milestones": [1, 3]}),
        ("wsd", {"decay_epochs": 0.5}),
    ],
)
def test_timms_schedules_are_timms(name, options):
    from timm.scheduler import create_scheduler_v2

    config = TrainingConfig(
        epochs=4, learning_rate=0.5, warmup_epochs=1, schedule=f"timm:{name}", schedule_options=options
    )
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.5)
    theirs, _ = create_scheduler_v2(
        optimizer, name, num_epochs=4, warmup_epochs=1, step_on_epochs=False, updates_per_epoch=5, **options
    )
    expected = []
    for step in range(20):
        theirs.step_update(step)
        expected.append(optimizer.param_groups[0]["lr"])
    assert rates(config, 20) == expected
    assert len(set(expected)) > 3


def test_timms_optimizers_are_timms(clusters):
    from timm.optim import create_optimizer_v2

    options = {"betas": [0.8, 0.95]}
    config = TrainingConfig(
        epochs=1, batch_size=1_000, optimizer="timm:lamb", weight_decay=0.1, optimizer_options=options
    )
    found = train(MLP, clusters, config, device="cpu")
    model = MLP.build(0)
    optimizer = create_optimizer_v2(model, "lamb", lr=1e-3, weight_decay=0.1, betas=(0.8, 0.95))
    (labels, inputs) = clusters.train.labels, torch.from_numpy(clusters.train.inputs)
    F.cross_entropy(model(inputs), torch.from_numpy(labels)).backward()
    optimizer.step()
    expected = torch.cat([tensor.double().flatten() for tensor in model.state_dict().values()])
    torch.testing.assert_close(everything(found), expected, rtol=1e-4, atol=1e-6)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "timm:lamp"}, "timm has none named 'lamp'; it has lamb"),
        ({"optimizer": "timm:lamb", "optimizer_options": {"wings": 2}}, "timm:lamb cannot be made .*wings"),
        ({"optimizer": "timm:adahessian"}, "timm:adahessian needs second derivatives"),
        ({"schedule": "timm:stairs"}, "schedule timm:stairs cannot be made .*stairs"),
        ({"schedule": "timm:plateau"}, "schedule timm:plateau does not follow from the step alone"),
        ({"schedule": "timm:poly", "schedule_options": {"power": 2}}, "schedule timm:poly cannot be made .*power"),
    ],
)
def test_what_timm_does_not_have(clusters, values, message):
    with pytest.raises(InvalidValueError, match=message):
        train(MLP, clusters, TrainingConfig(epochs=1, **values), device="cpu")


@pytest.mark.filterwarnings("ignore:It is highly recommended to have 'opt_einsum'")
def test_a_state_that_no_checkpoint_holds_is_said(clusters, tmp_path):
    config = TrainingConfig(epochs=1, optimizer="timm:kron")
    with pytest.raises(CheckpointError, match=r"Kron keeps a list .*which no checkpoint holds; take another optimizer"):
        train(MLP, clusters, config, checkpoint=tmp_path / "run.pt", device="cpu")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_labels_cost_what_their_shares_cost(smoothing):
    logits, labels = torch.randn(20, 5), torch.arange(20) % 5
    images = torch.randn(20, 3, 4, 4)
    mixed, targets = mixed_up(images, labels, 0.4, np.random.default_rng(3))
    share = targets[0, 2].item()
    assert 0 < share < 1
    assert (targets[:, 2] == share).all()
    own = torch.stack([F.one_hot(labels[i], 5) * share for i in range(20)])
    other = torch.stack([F.one_hot(targets[i, 1].long(), 5) * (1 - share) for i in range(20)])
    smoothed = (1 - smoothing) * (own + other) + smoothing / 5
    expected = -(smoothed * logits.log_softmax(1)).sum()
    torch.testing.assert_close(
        cross_entropy(logits, targets, label_smoothing=smoothing), expected, rtol=1e-5, atol=1e-4
    )
    whose = [
        (images - (m - share * images[i]) / (1 - share)).flatten(1).norm(dim=1).argmin() for i, m in enumerate(mixed)
    ]
    assert [labels[k].item() for k in whose] == targets[:, 1].tolist()


def test_every_image_loses_a_square():
    images = torch.ones(400, 3, 9, 7)
    cut = cut_out(images, 4, torch.Generator().manual_seed(0))
    blank = cut[:, 0] == 0
    assert torch.equal(cut, torch.where(blank[:, None], 0.0, images))
    for mask in blank:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns[None, :])
        for side in (rows, columns):
            where = side.nonzero().flatten()
            assert where.tolist() == list(range(int(where[0]), int(where[-1]) + 1))
    sizes = blank.sum((1, 2))
    assert sizes.max() == 16
    assert sizes.min() < 16  # cut off at the edge


def test_random_operations_change_colours_within_their_range():
    pixels = Pixels(torch.full((3, 1, 1), 0.4), torch.full((3, 1, 1), 0.2))
    colours = torch.rand(32, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    images = (colours - pixels.mean) / pixels.std
    before = torch.get_rng_state()
    found, again, other = (
        random_operations(images, pixels, 9, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found, again)
    assert not torch.equal(found, other)
    back = found * pixels.std + pixels.mean
    assert back.min() >= -1e-5
    assert back.max() <= 1 + 1e-5
    assert not torch.allclose(found, images)


def test_random_operations_need_colours():
    with pytest.raises(DataError, match="RandAugment needs images of 1 or 3 channels, got 2"):
        random_operations(torch.zeros(1, 2, 4, 4), PLAIN, 9, torch.Generator())


def test_what_is_done_to_a_batch_follows_from_its_seed():
    config = TrainingConfig(augment="crop-flip", cutout=2, randaugment=5, mixup=0.5)
    images, labels = torch.rand(16, 3, 8, 8), torch.arange(16) % 3
    one, same, other = (augmented(config, images, labels, PLAIN, seed=(0, 1, step)) for step in (2, 2, 3))
    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
    assert not torch.equal(one[0], other[0])


def final(config, images):
    return train(CNN, images, config, device="cpu")


def everything(result):
    return torch.cat([t.double().flatten() for t in result.model.state_dict().values()])


SGD = {"epochs": 2, "batch_size": 32, "optimizer": "sgd", "learning_rate": 0.05}


def test_gradients_of_parts_add_up(clusters):
    whole, parts = (
        train(MLP, clusters, TrainingConfig(**SGD, accumulate=k), device="cpu") for k in (1, 5)
    )  # without norms a batch is the sum of its parts
    torch.testing.assert_close(everything(parts), everything(whole), rtol=1e-4, atol=1e-5)
    assert parts.train_loss == pytest.approx(whole.train_loss, rel=1e-5)


def test_the_moving_average_is_what_is_kept(clusters):
    config = TrainingConfig(**SGD, ema=0.5)
    plain = train(MLP, clusters, TrainingConfig(**SGD), device="cpu")
    averaged = train(MLP, clusters, config, device="cpu")
    assert averaged.train_loss == plain.train_loss
    assert not torch.equal(everything(averaged), everything(plain))
    inputs, labels = torch.from_numpy(clusters.test.inputs), clusters.test.labels
    with torch.no_grad():
        assert averaged.test_accuracy == np.mean(averaged.model(inputs).argmax(1).numpy() == labels)


def test_channels_last_changes_the_outcome_by_rounding_alone(images):
    plain, other = final(TrainingConfig(**SGD), images), final(TrainingConfig(**SGD, channels_last=True), images)
    assert other.train_loss == pytest.approx(plain.train_loss, rel=1e-3)
    torch.testing.assert_close(everything(other), everything(plain), rtol=2e-2, atol=2e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_network_learns_the_same(clusters):
    plain, other = (
        train(MLP, clusters, TrainingConfig(**SGD, compile=compiled), device="cpu") for compiled in (False, True)
    )
    assert other.train_loss == pytest.approx(plain.train_loss, rel=1e-4)
    torch.testing.assert_close(everything(other), everything(plain), rtol=1e-3, atol=1e-4)


def test_bfloat16_is_near(images):
    plain, other = final(TrainingConfig(**SGD), images), final(TrainingConfig(**SGD, precision="bfloat16"), images)
    assert other.train_loss != plain.train_loss
    assert other.train_loss == pytest.approx(plain.train_loss, rel=0.05)
    assert all(t.dtype != torch.bfloat16 for t in other.model.state_dict().values())


def test_nesterov_and_smoothing_change_the_outcome(images):
    plain = final(TrainingConfig(**SGD), images)
    for changes in ({"nesterov": True}, {"label_smoothing": 0.1}):
        assert not torch.equal(everything(final(TrainingConfig(**SGD, **changes), images)), everything(plain))


def test_half_precision_needs_a_gpu(images):
    with pytest.raises(InvalidValueError, match="precision float16 needs a GPU; on a CPU take float32 or bfloat16"):
        final(TrainingConfig(precision="float16"), images)


@pytest.mark.parametrize(
    ("device", "message"),
    [("nowhere", "device 'nowhere' is unknown"), ("cuda:7", "device 'cuda:7' was asked for, but PyTorch sees no CUDA")],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_device_that_is_not_there(clusters, device, message):
    with pytest.raises(InvalidValueError, match=message):
        train(MLP, clusters, device=device)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"warmup_epochs": 31}, "warmup_epochs 31.0 exceeds epochs 30"),
        ({"batch_size": 4, "accumulate": 5}, "accumulate 5 exceeds batch_size 4"),
        ({"randaugment": 31}, "randaugment should be less than or equal to 30, got 31"),
        ({"ema": 1}, "ema should be less than 1, got 1"),
        ({"optimizer": "rmsprop"}, "optimizer should be 'adam', 'sgd', or timm's, as 'timm:NAME', got 'rmsprop'"),
        ({"schedule": "linear"}, "schedule should be 'constant', 'cosine', or timm's, as 'timm:NAME', got 'linear'"),
        ({"optimizer_options": {"eps": 1}}, "optimizer_options are for timm's, but optimizer is 'adam'"),
        ({"precision": "int8"}, "precision should be 'auto', 'float32', 'bfloat16' or 'float16', got 'int8'"),
    ],
)
def test_recipes_that_make_no_sense(values, message):
    with pytest.raises(InvalidValueError, match=message):
        TrainingConfig(**values)


IMAGES = DenseCNN(widths=(2,), depth=3, max_skips=1, image_size=6, in_channels=1, num_classes=2)


@pytest.fixture(scope="module")
def halves():
    rng = np.random.default_rng(0)
    return Dataset.from_arrays(rng.normal(size=(40, 1, 6, 6)), np.arange(40) % 2, name="halves")


@pytest.mark.parametrize(
    "recipe",
    [
        *({name: value} for name in ("batch_size", "cutout", "accumulate", "epochs") for value in (-1, 2**63, 10**400)),
        *({"learning_rate": value} for value in (0, -1, float("nan"), float("inf"), "x", None, [], {})),
        *({"optimizer": "timm:lamb", "optimizer_options": o} for o in ({"zz": 1}, {"lr": "x"}, {"eps": []})),
        *({"optimizer": "timm:adamw", "optimizer_options": o} for o in ({"betas": "x"}, {"betas": [2, 2]})),
        *(
            {"optimizer": f"timm:{name}"}
            for name in ("", "adahessian", "\x1b[", "fusedadam", "lookahead_lookahead_sgd")
        ),
        *({"schedule": "timm:step", "schedule_options": o} for o in ({"decay_epochs": 0}, {"decay_rate": "x"})),
        *({"schedule": "timm:cosine", "schedule_options": o} for o in ({"noise": "x"}, {"num_epochs": -1})),
        {"optimizer": "sgd", "momentum": 0.0, "nesterov": True},
    ],
    ids=lambda recipe: str(recipe)[:60],
)
def test_a_recipe_that_cannot_be_followed_is_said_in_one_line(halves, recipe):
    with pytest.raises(InvalidValueError, match="training: ") as found:
        train(IMAGES, halves, TrainingConfig(**({"epochs": 1, "batch_size": 8} | recipe)))
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    "recipe",
    [{"warmup_epochs": 5e-324}, {"mixup": 1e-300}, {"mixup": 1e300}, {"ema": 1 - 1e-16}, {"batch_size": 2**31 - 1}],
    ids=str,
)
def test_extremes_that_can_be_followed(halves, recipe):
    result = train(IMAGES, halves, TrainingConfig(**({"epochs": 1, "batch_size": 8} | recipe)))
    assert np.isfinite(result.train_loss).all()


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64, 10**400], ids=["below", "2**63", "2**64", "10**400"])
def test_seeds_out_of_range(halves, seed):
    with pytest.raises(InvalidValueError, match="seed must"):
        train(IMAGES, halves, TrainingConfig(epochs=1), seed=seed)

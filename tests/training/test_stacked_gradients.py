import math

import pytest
import torch
from torch.nn import functional as F

from nnmass.architectures import DenseMLP
from nnmass.errors import InvalidValueError
from nnmass.training import StackedDenseMLP, TrainingConfig
from nnmass.training.batches import TensorSplit
from nnmass.training.optimizers import make_optimizer, make_schedule

CPU = torch.device("cpu")
SHAPES = [(5, 7), (2, 3), (9, 4), (3, 1), (9, 0), (2, 0), (5, 1_000), (9, 12)]  # (depth, max_skips), in no order


def networks(activation="elu", shapes=SHAPES, width=4):
    specs = [
        DenseMLP(width=width, depth=d, max_skips=t, in_features=6, num_classes=3, activation=activation)
        for d, t in shapes
    ]
    return [spec.build(seed).double() for seed, spec in enumerate(specs)]


def batch(count=11, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 6, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(3, (count,), generator=generator)


def descend(stack):
    """One step of plain gradient descent of rate 1, so that the weights show the gradients."""
    for parameter in stack.parameters:
        parameter.sub_(parameter.grad)
    stack.write_back()


@pytest.mark.parametrize("activation", ["elu", "relu", "selu", "tanh", "linear"])
def test_losses_and_gradients_are_those_of_autograd(activation):
    models, (inputs, labels) = networks(activation), batch()
    before = [[p.detach().clone() for p in model.parameters()] for model in models]
    losses = [F.cross_entropy(model(inputs), labels) for model in models]
    gradients = [
        torch.autograd.grad(loss, list(model.parameters())) for loss, model in zip(losses, models, strict=True)
    ]
    stack = StackedDenseMLP(models, device=CPU)
    torch.testing.assert_close(stack.loss_and_gradients(inputs, labels), torch.stack(losses), rtol=1e-10, atol=1e-10)
    descend(stack)
    for model, old, expected in zip(models, before, gradients, strict=True):
        for parameter, value, gradient in zip(model.parameters(), old, expected, strict=True):
            torch.testing.assert_close(value - parameter.detach(), gradient, rtol=1e-10, atol=1e-10)


def test_gradients_do_not_depend_on_what_was_done_before():
    models, (inputs, labels) = networks(), batch()
    fresh, used = StackedDenseMLP(models, device=CPU), StackedDenseMLP(models, device=CPU)
    used.loss_and_gradients(*batch(4, seed=1))
    used.loss_and_gradients(*batch(11, seed=2))
    used.answers(TensorSplit(*batch(11, seed=3)))
    expected, got = (stack.loss_and_gradients(inputs, labels) for stack in (fresh, used))
    assert torch.equal(got, expected)
    for a, b in zip(fresh.parameters, used.parameters, strict=True):
        assert torch.equal(a.grad, b.grad)


def test_stacking_and_writing_back_changes_nothing():
    models = networks()
    before = [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in models]
    stack = StackedDenseMLP(models, device=CPU)
    stack.write_back()
    for model, state in zip(models, before, strict=True):
        assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_the_stack_has_a_copy_of_the_weights():
    models = networks()
    before = models[0].linear(1).weight.detach().clone()
    stack = StackedDenseMLP(models, device=CPU)
    for parameter in stack.parameters:
        parameter.fill_(7)
    assert torch.equal(models[0].linear(1).weight, before)
    stack.write_back()
    assert (models[0].linear(1).weight == 7).all()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_entries_without_a_link_stay_zero(optimizer):
    models = networks()
    stack = StackedDenseMLP(models, device=CPU)
    absent = [parameter == 0 for parameter in stack.parameters]
    assert sum(int((~empty).sum()) for empty in absent) == sum(model.spec.params for model in models)
    steps = make_optimizer(TrainingConfig(optimizer=optimizer, learning_rate=0.1, weight_decay=0.01), stack.parameters)
    for seed in range(5):
        stack.loss_and_gradients(*batch(seed=seed))
        steps.step()
    assert all((parameter[empty] == 0).all() for parameter, empty in zip(stack.parameters, absent, strict=True))


@pytest.mark.parametrize("activation", ["elu", "relu", "selu", "tanh", "linear"])
@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd", "weight_decay": 0.01, "schedule": "cosine"}])
def test_in_double_precision_every_network_goes_the_way_it_goes_alone(activation, options):
    config = TrainingConfig(learning_rate=0.02, **options)
    models, alone = networks(activation), networks(activation)
    stack = StackedDenseMLP(models, device=CPU)
    together = make_optimizer(config, stack.parameters)
    single = [make_optimizer(config, model.parameters()) for model in alone]
    schedules = [make_schedule(optimizer, config, steps=1) for optimizer in (together, *single)]
    for step in range(12):
        inputs, labels = batch(11 if step % 3 else 4, seed=step)
        for set_rate in schedules:
            set_rate(step)
        losses = stack.loss_and_gradients(inputs, labels)
        together.step()
        for n, (model, optimizer) in enumerate(zip(alone, single, strict=True)):
            loss = F.cross_entropy(model(inputs), labels)
            assert losses[n] == pytest.approx(loss.item(), rel=1e-9)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    stack.write_back()
    for model, expected in zip(models, alone, strict=True):
        for a, b in zip(model.parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


def test_answers_are_those_of_the_networks():
    models = networks()
    inputs, labels = batch(1_203)  # three batches of evaluation, the last one smaller
    got = StackedDenseMLP(models, device=CPU).answers(TensorSplit(inputs, labels))
    with torch.no_grad():
        expected = torch.stack([model(inputs).argmax(1) == labels for model in models])
    assert torch.equal(got, expected)
    assert len(set(expected.sum(1).tolist())) > 3


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200])
@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_network_out_of_bounds_does_not_disturb_the_others(value, broken):
    models, healthy = networks(), networks()
    with torch.no_grad():
        models[broken].linear(0).weight[0, 0] = value
    stack, reference = StackedDenseMLP(models, device=CPU), StackedDenseMLP(healthy, device=CPU)
    for seed in range(3):
        losses, expected = (s.loss_and_gradients(*batch(seed=seed)) for s in (stack, reference))
        others = torch.arange(len(models)) != broken
        torch.testing.assert_close(losses[others], expected[others], rtol=1e-12, atol=1e-12)
        descend(stack)
        descend(reference)
    for n, (model, same) in enumerate(zip(models, healthy, strict=True)):
        if n != broken:
            for a, b in zip(model.parameters(), same.parameters(), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    assert not torch.isfinite(stack.loss_and_gradients(*batch())[broken])


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("width", {"width": 5}),
        ("in_features", {"in_features": 7}),
        ("num_classes", {"num_classes": 4}),
        ("activation", {"activation": "tanh"}),
    ],
)
def test_networks_of_several_shapes_cannot_be_stacked(key, values):
    common = {"width": 4, "depth": 3, "max_skips": 2, "in_features": 6, "num_classes": 3}
    models = [DenseMLP(**v).build() for v in (common, common | values)]
    with pytest.raises(InvalidValueError, match=f"must have one {key}, got "):
        StackedDenseMLP(models, device=CPU)


def test_no_networks_cannot_be_stacked():
    with pytest.raises(InvalidValueError, match="no networks to stack"):
        StackedDenseMLP([], device=CPU)

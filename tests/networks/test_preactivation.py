import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnmass import DenseCNN
from nnmass.networks import DenseCNNNetwork, DenseLayer
from nnmass.networks.preactivation import batch_statistics

WIDTH, BATCH = 3, 4
SPEC = DenseCNN(widths=(WIDTH, 2), depth=(6, 4), max_skips=5, image_size=6, num_classes=2)


def images(*, requires_grad: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, 3, 6, 6, dtype=torch.float64, generator=generator)
    return x.requires_grad_(requires_grad)


def network(conv: str = "regular") -> DenseCNNNetwork:
    return DenseCNN(**SPEC.model_dump(exclude={"conv"}), conv=conv).build(seed=3).double().train()


def plain(model: nn.Module) -> nn.Module:
    """A copy that calls its modules one by one, since a hook watches each norm."""
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if isinstance(module, DenseLayer):
            module.norm.register_forward_hook(lambda *_: None)
    return copied


def step(model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """One step of gradient descent: the outputs before it and everything the model then holds."""
    output = model(images())
    model.zero_grad()
    F.cross_entropy(output, torch.arange(BATCH) % 2).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    return output, model.state_dict()


def saved_maps(model: nn.Module) -> list[torch.Size]:
    shapes: list[torch.Size] = []

    def pack(tensor: Tensor) -> Tensor:
        if tensor.ndim == 4 and tensor.shape[0] == BATCH:
            shapes.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(images())
    return shapes


@pytest.mark.parametrize("conv", ["regular", "separable"])
def test_training_is_the_same_as_with_the_plain_modules(conv):
    model = network(conv)
    other = plain(model)
    for _ in range(3):
        (output, state), (expected, expected_state) = step(model), step(other)
        torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(state, expected_state, rtol=1e-9, atol=1e-11)
    assert {int(value) for name, value in state.items() if name.endswith("num_batches_tracked")} == {3}


@pytest.mark.parametrize("momentum", [0.0, 0.37, 1.0, None])
def test_any_momentum_is_followed(momentum):
    model = network()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum
    other = plain(model)
    torch.testing.assert_close(step(model)[1], step(other)[1], rtol=1e-9, atol=1e-11)


def test_no_map_wider_than_a_layer_is_kept_for_the_backward_pass():
    assert max(shape[1] for shape in saved_maps(network())) == WIDTH
    assert max(shape[1] for shape in saved_maps(plain(network()))) == WIDTH + 5


def test_gradients_of_a_training_cell_pass_the_numerical_check():
    cell = DenseCNN(widths=(2,), depth=4, max_skips=3).build(seed=1).cells[0].double().train()
    names = [name for name, _ in cell.named_parameters()]

    def function(x: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(cell, dict(zip(names, parameters, strict=True)), (x,))

    x = images(requires_grad=True)[:2, :, :3, :3]
    assert torch.autograd.gradcheck(function, (x, *cell.parameters()), fast_mode=True)


def test_batch_statistics_are_the_biased_variance_and_the_mean():
    x = images(requires_grad=True)
    variance, mean = batch_statistics(x)
    torch.testing.assert_close(variance, x.var((0, 2, 3), unbiased=False))
    torch.testing.assert_close(mean, x.mean((0, 2, 3)))
    assert torch.autograd.gradcheck(batch_statistics, (x,))


def test_a_forward_pass_without_gradients_moves_the_moments_alike():
    with_gradients, without = network(), network()
    output = with_gradients(images())
    with torch.no_grad():
        torch.testing.assert_close(without(images()), output)
    torch.testing.assert_close(without.state_dict(), with_gradients.state_dict())


def test_gradients_reach_the_input_through_frozen_parameters():
    gradients = []
    for model in (network(), network().requires_grad_(False)):
        x = images(requires_grad=True)
        model(x).square().sum().backward()
        gradients.append(x.grad)
    assert gradients[0].abs().min() > 0
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("watched", ["norm", "conv"])
def test_hooks_of_norm_and_convolution_are_called_in_training(watched):
    model, seen = network(), []
    getattr(model.cells[0].layers[3], watched).register_forward_hook(lambda *args: seen.append(args[2].shape[1]))
    model(images())
    assert seen == [WIDTH + 5 if watched == "norm" else WIDTH]


@pytest.mark.parametrize(
    "options",
    [{"bias": True}, {"bias": False, "padding_mode": "circular"}, {"bias": False, "dilation": 2, "padding": 2}],
    ids=["bias", "circular", "dilated"],
)
def test_replaced_convolutions_act_as_they_are(options):
    model = network()
    layer = model.cells[-1].layers[-1]
    layer.conv = nn.Conv2d(layer.conv.in_channels, 2, 3, **{"padding": 1} | options).double()
    torch.testing.assert_close(model(images()), plain(model)(images()))


def test_autocast_gives_what_the_plain_modules_give():
    model = network().float()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = [m(images().float()) for m in (model, plain(model))]
    assert outputs[0].dtype == torch.bfloat16
    assert torch.equal(*outputs)

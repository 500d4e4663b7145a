"""Whatever lies between two layers: measured as autograd's dense Jacobian says, or skipped with the reason."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from nnmass import isometry
from nnmass.propagation.measurement.calls import ACTIVATIONS


class Between(nn.Module):
    """Two layers and a function."""

    def __init__(self, first, function, second):
        super().__init__()
        self.first, self.function, self.second = first, function, second

    def forward(self, x):
        return self.second(self.function(self.first(x)))


def with_linear(function, seed=0):
    """Linear layers, and inputs for them."""
    torch.manual_seed(seed)
    return Between(nn.Linear(6, 6), function, nn.Linear(6, 6)).double(), torch.randn(5, 6).double()


def with_convolutions(function, seed=0):
    """Convolutions, and inputs for them."""
    torch.manual_seed(seed)
    model = Between(nn.Conv2d(2, 6, 3), function, nn.Conv2d(6, 4, 3, padding=1)).double()
    return model, torch.randn(3, 2, 5, 6).double()


BUILDS = [with_linear, with_convolutions]


def check(model, x, reference, close):
    """The second layer's singular values are those of autograd's Jacobian of it after what lies between."""
    found = isometry(model, x, dense_limit=10_000)
    assert [layer.name for layer in found.layers] == ["first", "second"], found.skipped
    read = model.first(x).detach()
    close(found.layers[1].singular_values, reference.singular_values(lambda z: model.second(model.function(z)), read))
    return found.layers[1]


class StraightThrough(torch.autograd.Function):
    """A sign whose derivative is said to be 1."""

    @staticmethod
    def forward(ctx, x):
        return torch.sign(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Swish(torch.autograd.Function):
    """Swish that keeps its input only."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        gate = torch.sigmoid(x)
        return gradient * gate * (1 + x * (1 - gate))


class Cube(torch.autograd.Function):
    """A function whose derivative cannot be differentiated."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 3 * gradient * ctx.saved_tensors[0] ** 2


def changed(function):
    """A function that changes its input in place."""

    def run(x):
        x = x.clone()
        result = function(x)
        return x if result is None else result

    return run


def zeroed(x):
    x[x < 0] = 0


def half_rectified(x):
    x[:, :3].relu_()


def part_replaced(x):
    x[:, 2:] = torch.sigmoid(x[:, 2:])


def through_a_view(x):
    x.view(-1).tanh_()


def written(x):
    """With out=, which autograd itself does not allow."""
    return 2 * torch.sin(x) if x.requires_grad and torch.is_grad_enabled() else torch.mul(torch.sin(x), 2, out=x)


def gate_detached(x):
    with torch.no_grad():
        gate = torch.sigmoid(x)
    return x * gate


def per_channel(x):
    return torch.arange(1, 1 + x.shape[1], dtype=x.dtype).reshape(1, -1, *[1] * (x.dim() - 2))


ELEMENTWISE = {
    "x*sigmoid(x)": lambda x: x * torch.sigmoid(x),
    "sin": torch.sin,
    "sin(30x)": lambda x: torch.sin(30 * x),
    "0.5x": lambda x: 0.5 * x,
    "x+1": lambda x: x + 1,
    "1-x": lambda x: 1 - x,
    "rsub": lambda x: torch.rsub(x, 1),
    "x/3": lambda x: x / 3,
    "x³": lambda x: x**3,
    "1/(1+x²)": lambda x: 1 / (1 + x * x),
    "x/(1+|x|)": lambda x: x / (1 + x.abs()),
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0),
    "times its mask": lambda x: x * (x > 0),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "minimum": lambda x: torch.minimum(x, torch.ones_like(x) / 2),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "hard swish by hand": lambda x: x * F.relu6(x + 3) / 6,
    "exp": torch.exp,
    "log(1+exp)": lambda x: torch.log(1 + torch.exp(x)),
    "mish by hand": lambda x: x * torch.tanh(F.softplus(x)),
    "gelu by hand": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu·√2": lambda x: F.relu(x) * 2**0.5,
    "relu + leak": lambda x: torch.relu(x) + 0.01 * x,
    "relu - relu": lambda x: torch.relu(x) - torch.relu(-x),
    "snake": lambda x: x + torch.sin(x) ** 2,
    "lerp": lambda x: torch.lerp(x, x.tanh(), 0.3),
    "addcmul": lambda x: torch.addcmul(x, x, x, value=0.5),
    "atan2": lambda x: torch.atan2(x, torch.ones_like(x)),
    "abs": torch.abs,
    "sign": torch.sign,
    "round + x": lambda x: torch.round(x) + x,
    "channel scale": lambda x: x * per_channel(x),
    "dropout off": lambda x: F.dropout(torch.sin(x), 0.5, training=False),
    "relu_": changed(torch.relu_),
    "mul_": changed(lambda x: x.mul_(2)),
    "relu inplace": changed(lambda x: F.relu(x, inplace=True)),
    "x[x<0]=0": changed(zeroed),
    "part relu_": changed(half_rectified),
    "part =": changed(part_replaced),
    "view tanh_": changed(through_a_view),
    "out=": written,
    "copy_": lambda x: torch.empty_like(x).copy_(torch.tanh(x)),
    "own swish": Swish.apply,
    "own sign": StraightThrough.apply,
    "own cube": Cube.apply,
    "own cube, moved": lambda x: Cube.apply(x).flip(1),
    "hard sigmoid, moved": lambda x: F.hardsigmoid(x).flatten(1).flip(1).reshape(x.shape),
    "detached gate": gate_detached,
    "detach": lambda x: x * torch.sigmoid(x).detach(),
    "flipped": lambda x: torch.sin(x).flip(1),
    "rolled": lambda x: torch.exp(x).roll(1, 1),
    "chosen channels": lambda x: torch.sin(x)[:, [3, 1, 2, 0, 5, 4]],
    "sorted": lambda x: torch.sort(x, 1).values,
    "viewed twice": lambda x: (x.flatten(1) * torch.sigmoid(x.flatten(1))).reshape(x.shape),
    "parts": lambda x: torch.cat([torch.relu(x[:, :2]), x[:, 2:]], 1),
    "parts by hand": lambda x: torch.cat([x[:, :2] * torch.relu(x[:, :2]), x[:, 2:]], 1),
    "stacked": lambda x: torch.stack([torch.relu(x), x])[0],
    "single precision": lambda x: torch.tanh(x.float()).to(x.dtype),
    "mapped": torch.func.vmap(torch.sin),
}


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("function", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_elementwise_steps_agree_with_autograd(function, build, reference, close):
    check(*build(function), reference, close)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_named_functions_agree_with_autograd_also_where_numbers_move(name, build, reference, close):
    given = {
        "clamp": (-0.5, 0.7),
        "clip": (-0.5, 0.7),
        "threshold": (0.1, 0.2),
        "prelu": (torch.tensor([0.3]).double(),),
    }
    function = getattr(F, name, None) or getattr(torch, name)

    def named(x):
        return function(x, *given.get(name, ()))

    for between in (named, lambda x: (2 * named(x)).flip(1), lambda x: torch.cat([named(x[:, :2]), x[:, 2:]], 1)):
        check(*build(between), reference, close)


def logical_parts(x):
    return x.reshape(x.shape[0], x.shape[1], -1)


MIXING = {
    "softmax": lambda x: F.softmax(x, 1),
    "softmax by hand": lambda x: torch.exp(x) / torch.exp(x).sum(1, keepdim=True),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "normalize": lambda x: F.normalize(x, dim=1),
    "centred": lambda x: x - x.mean(1, keepdim=True),
    "centred over the batch": lambda x: x - x.mean(0),
    "cumsum": lambda x: x.cumsum(1),
    "times its mean": lambda x: x * x.mean(1, keepdim=True),
    "glu": lambda x: torch.cat([F.glu(x, 1)] * 2, 1),
    "gated halves": lambda x: torch.cat([x[:, ::2] * torch.relu(x[:, 1::2])] * 2, 1),
    "times its flip": lambda x: x.flip(1) * x,
    "plus its roll": lambda x: x + x.roll(1, 1),
    "matmul": lambda x: torch.einsum("bi...,ij->bj...", x, torch.ones(x.shape[1], x.shape[1]).double() / 3),
    "fft": lambda x: torch.fft.fft(x, dim=1).real,
    "expanded": lambda x: 2 * x[:, :1].expand_as(x),
    "expanded, differentiable once": lambda x: Cube.apply(x[:, :1]).expand_as(x),
    "local response norm": lambda x: F.local_response_norm(logical_parts(x), 3).reshape(x.shape),
    "hard sigmoid, softmax": lambda x: F.softmax(F.hardsigmoid(x), 1),
    "detached": lambda x: torch.sin(x).detach(),
    "numpy": lambda x: torch.from_numpy(np.sin(x.numpy())),
    "not finite": lambda x: (x - x) ** 0.5,
}


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("function", MIXING.values(), ids=MIXING)
def test_what_is_not_elementwise_is_skipped_with_its_reason(function, build):
    model, x = build(function)
    found = isometry(model, x, dense_limit=10_000)
    assert [layer.name for layer in found.layers] == ["first"]
    (skipped,) = found.skipped
    assert skipped.name == "second"
    assert "it reads" in skipped.reason
    assert "\n" not in skipped.reason
    assert not found.layers[0].hidden


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2), nn.Upsample(scale_factor=2)]
)
def test_pooled_and_resized_maps_are_nodes_and_said_to_be(pool, reference, close):
    model, x = with_convolutions(nn.Sequential(nn.ReLU(), pool))
    found = isometry(model, x, dense_limit=10_000)
    read = model.function(model.first(x)).detach()
    close(found.layers[1].singular_values, reference.singular_values(model.second, read))
    (step,) = found.skipped
    assert step.name == "function.1"
    assert "mixes positions and belongs to no layer" in step.reason


class TwoBranches(nn.Module):
    """Two layers that read the input, joined before a third."""

    def __init__(self, join):
        super().__init__()
        self.join = join
        self.one, self.other, self.last = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        return self.last(self.join(self.one(x), self.other(x)))


@pytest.mark.parametrize(
    "join",
    [
        lambda a, b: a * torch.sigmoid(b),
        lambda a, b: torch.where(a > 0, a, 1) * b,
        lambda a, b: a + a * b,
        lambda a, b: torch.addcmul(a, a, b),
    ],
)
def test_products_of_two_layers_name_both(join):
    torch.manual_seed(0)
    found = isometry(TwoBranches(join).double(), torch.randn(3, 4))
    (skipped,) = found.skipped
    assert skipped.name == "last"
    for text in ("one", "other", "element-wise in none of them alone"):
        assert text in skipped.reason


@pytest.mark.parametrize(
    "join",
    [lambda a, b: a + b, torch.sub, lambda a, b: a.add_(b), lambda a, b: torch.relu(a).add_(b)],
)
def test_sums_of_layers_are_nodes(join, reference, close):
    torch.manual_seed(0)
    model, x = TwoBranches(lambda a, b: torch.sin(join(a, b))).double(), torch.randn(3, 4).double()
    found = isometry(model, x).layers[2]
    total = join(model.one(x).detach(), model.other(x).detach())
    close(found.singular_values, reference.singular_values(lambda z: model.last(torch.sin(z)), total))
    assert found.reads in ("add, sin", "sub, sin")


NORMS = {
    "F.batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "F.batch_norm, stored": lambda x: F.batch_norm(x, torch.zeros(6).double(), torch.ones(6).double()),
    "torch.batch_norm": lambda x: torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, False),
    "F.layer_norm": lambda x: F.layer_norm(x, x.shape[1:]),
    "torch.layer_norm": lambda x: torch.layer_norm(x, x.shape[1:]),
    "F.group_norm": lambda x: F.group_norm(x, 2),
    "torch.group_norm": lambda x: torch.group_norm(x, 2),
    "F.rms_norm": lambda x: F.rms_norm(x, x.shape[1:], eps=1e-5),
}


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", NORMS)
def test_functional_norms_are_held_at_their_statistics(name, build, reference, close):
    model, x = build(lambda z: torch.sin(NORMS[name](2 * z)))
    z = 2 * model.first(x).detach()
    groups = {"batch": [0, *range(2, z.dim())], "group": None}.get(
        name.split(".")[1].split("_")[0], list(range(1, z.dim()))
    )
    if groups is None:
        parts = z.reshape(len(z), 2, -1)
        mean, variance = (
            part.expand_as(parts).reshape(z.shape)
            for part in (parts.mean(2, keepdim=True), parts.var(2, correction=0, keepdim=True))
        )
    else:
        mean, variance = z.mean(groups, keepdim=True), z.var(groups, correction=0, keepdim=True)
    if "rms" in name:
        mean, variance = torch.zeros_like(mean), z.square().mean(groups, keepdim=True)
    found = isometry(model, x, dense_limit=10_000).layers[1].singular_values
    for k in range(len(x)):
        shift, scale = (part[min(k, len(part) - 1)] for part in (mean, (variance + 1e-5).rsqrt()))

        def held(t, shift=shift, scale=scale):
            return model.second(torch.sin((2 * t - shift) * scale))

        expected = reference.singular_values(held, z[k : k + 1] / 2)
        close(found[k : k + 1] if len(found) > 1 else found, expected)


UNARY = {
    "sin": torch.sin,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "abs": torch.abs,
    "half": lambda x: 0.5 * x,
    "shift": lambda x: x + 0.3,
    "negative": lambda x: -x,
    "square": lambda x: torch.tanh(x) ** 2,
    "clamp": lambda x: x.clamp(-0.7, 0.9),
    "fill": lambda x: x.masked_fill(x > 0.2, 0.5),
    "in place": lambda x: x.clone().mul_(1.5),
    "elu": F.elu,
    "swish": Swish.apply,
}
BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "maximum": torch.maximum,
    "where": lambda a, b: torch.where(a > 0, a, b),
    "ratio": lambda a, b: a / (1 + b * b),
}
EXPRESSIONS = st.recursive(
    st.just("x"),
    lambda inner: (
        st.tuples(st.sampled_from(sorted(UNARY)), inner) | st.tuples(st.sampled_from(sorted(BINARY)), inner, inner)
    ),
    max_leaves=6,
)


def evaluate(expression, x):
    """Value of an expression of one tensor."""
    if expression == "x":
        return x
    name, *operands = expression
    return (UNARY | BINARY)[name](*(evaluate(operand, x) for operand in operands))


@settings(max_examples=60, deadline=None)
@given(expression=EXPRESSIONS, move=st.sampled_from([None, "flip", "flatten"]), seed=st.integers(0, 1_000))
@example(expression=("mul", ("relu", "x"), ("sub", "x", ("sin", "x"))), move=None, seed=320)
def test_any_expression_of_one_layer_agrees_with_autograd(expression, move, seed):
    def function(x):
        y = evaluate(expression, x)
        return {None: lambda: y, "flip": lambda: y.flip(1), "flatten": lambda: y.reshape(1, -1).reshape(y.shape)}[
            move
        ]()

    model, x = with_linear(function, seed)
    layers = isometry(model, x).layers
    expected = autograd(model, model.first(x).detach())
    if len(layers) == 2:
        np.testing.assert_allclose(layers[1].singular_values, expected, rtol=1e-5, atol=1e-6)
    else:
        assert expected.max() < 1e-9  # terms cancel: all that is left is rounding


def autograd(model, read):
    """Singular values of the second layer after what lies between, at every row that the first one made."""
    jacobians = [
        torch.autograd.functional.jacobian(lambda z: model.second(model.function(z)), row[None])[0, :, 0]
        for row in read
    ]
    return torch.linalg.svdvals(torch.stack(jacobians)).numpy()


@settings(max_examples=30, deadline=None)
@given(
    expression=EXPRESSIONS,
    mixing=st.sampled_from(["softmax", "centred", "times its flip", "cumsum"]),
    seed=st.integers(0, 99),
)
def test_an_expression_of_what_mixes_is_never_measured_as_if_it_did_not(expression, mixing, seed):
    model, x = with_linear(lambda z: evaluate(expression, MIXING[mixing](z)), seed)
    layers = isometry(model, x).layers
    if len(layers) == 2:  # what mixes has been multiplied by 0, or cut off
        expected = autograd(model, model.first(x).detach())
        np.testing.assert_allclose(layers[1].singular_values, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(
    "module",
    [
        *(nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Mish, nn.ELU, nn.SELU, nn.CELU, nn.LeakyReLU),
        *(nn.Hardtanh, nn.RReLU, nn.Dropout),
    ],
)
@pytest.mark.parametrize("moved", [False, True])
def test_modules_that_work_in_place_agree_with_autograd(module, moved, build, reference, close):
    torch.manual_seed(1)
    model, x = build(None)
    activation = module(inplace=True).eval()
    model.function = lambda z: activation(z.clone()).flip(1) if moved else activation(z.clone())
    check(model, x, reference, close)
    model.function = lambda z: activation(z).flip(1) if moved else activation(z)
    direct = isometry(model, x, dense_limit=10_000).layers[1].singular_values
    model.function = lambda z: activation(z.clone()).flip(1) if moved else activation(z.clone())
    close(direct, isometry(model, x, dense_limit=10_000).layers[1].singular_values)


def test_half_precision_steps_in_a_chain_keep_their_slopes(reference, close):
    model, x = with_linear(lambda z: torch.sin(z).to(torch.float32).to(z.dtype) * 2)
    layer = check(model, x, reference, lambda one, other: close(one, other, 1e-5))
    assert layer.reads == "sin, mul"

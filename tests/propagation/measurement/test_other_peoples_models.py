"""Models as they come: whatever they do is measured, or said in one line, and leaves no trace."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from nnmass import DenseCNN, isometry
from nnmass.errors import InvalidValueError, ModelError, NNMassError


class Two(nn.Module):
    """Two linear layers and an activation that nobody knows by name."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 4)

    def forward(self, x):
        return self.second(torch.sin(self.first(x)))


def drawn(kind=Two, *arguments):
    torch.manual_seed(3)
    return kind(*arguments)


X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


class WithoutGradients(Two):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class InInference(Two):
    @torch.inference_mode()
    def forward(self, x):
        return super().forward(x)


class InsideNoGrad(Two):
    def forward(self, x):
        with torch.no_grad():
            y = torch.sin(self.first(x))
        with torch.inference_mode():
            return self.second(y)


class Checkpointed(Two):
    def forward(self, x):
        return self.second(checkpoint(lambda t: torch.sin(self.first(t)), x, use_reentrant=False))


class ReadsScalars(Two):
    def forward(self, x):
        y = torch.sin(self.first(x))
        if y.mean() > 10 or float(y.sum()) > 100 or bool((y > 3).any()) or y.shape[1] != 5:
            y = 2 * y
        return self.second(y)


class ChangesItsInput(Two):
    def forward(self, x):
        y = super().forward(x * 1)
        x.zero_()
        return y


@pytest.mark.parametrize(
    "kind", [WithoutGradients, InInference, InsideNoGrad, Checkpointed, ReadsScalars, ChangesItsInput]
)
@pytest.mark.parametrize("outside", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_how_a_model_runs_does_not_change_its_jacobians(kind, outside, close):
    expected = isometry(drawn(), X)
    given = X.clone()
    with outside():
        found = isometry(drawn(kind), given)
    assert torch.equal(given, X)
    for one, other in zip(found.layers, expected.layers, strict=True):
        close(one.singular_values, other.singular_values)


def frozen(model):
    return model.requires_grad_(False)


def weight_normed(model):
    nn.utils.parametrizations.weight_norm(model.first)
    return model


@pytest.mark.parametrize(
    "change", [frozen, weight_normed, nn.Module.train, nn.Module.eval, nn.DataParallel, copy.deepcopy]
)
def test_models_in_other_clothes_are_the_same_models(change, close):
    expected = isometry(drawn(), X)
    found = isometry(change(drawn()), X)
    assert [layer.name for layer in found.layers] == ["first", "second"]
    assert not found.skipped
    for one, other in zip(found.layers, expected.layers, strict=True):
        close(one.singular_values, other.singular_values, 1e-5)


def test_a_compiled_model_is_read_as_it_was_written(close):
    found = isometry(torch.compile(drawn(), backend="eager"), X)
    for one, other in zip(found.layers, isometry(drawn(), X).layers, strict=True):
        close(one.singular_values, other.singular_values)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_knows_elementwise_steps_from_others(precision):
    expected = isometry(drawn(), X).layers[1]
    assert isometry(drawn().to(precision), X).layers[1].mean == pytest.approx(expected.mean, rel=0.05)
    model = drawn()
    model.forward = lambda x: model.second(F.softmax(model.first(x), 1))
    assert isometry(model.to(precision), X).skipped[0].name == "second"


class Words(nn.Module):
    """Whole numbers in."""

    def __init__(self):
        super().__init__()
        self.table, self.first, self.second = nn.Embedding(10, 4), nn.Linear(12, 6), nn.Linear(6, 3)

    def forward(self, words):
        return self.second(torch.tanh(self.first(torch.sin(self.table(words)).flatten(1))))


def test_whole_numbers_are_looked_up_and_the_vectors_are_the_first_node(reference, close):
    model, words = drawn(Words).double(), torch.randint(0, 10, (4, 3), generator=torch.Generator().manual_seed(0))
    found = isometry(model, words)
    assert [layer.name for layer in found.layers] == ["first", "second"]
    assert [layer.reads for layer in found.layers] == ["embedding, sin", "tanh"]
    vectors = model.table(words).detach().flatten(1)
    close(found.layers[0].singular_values, reference.singular_values(lambda v: model.first(torch.sin(v)), vectors))


class Helper:
    """An object that is no module and holds tensors."""

    def __init__(self):
        self.seen, self.calls, self.log, self.table = torch.zeros(3), 0, [torch.ones(2)], {"a": 1}


class Keeping(Two):
    """A model that keeps and draws numbers while it runs."""

    def __init__(self):
        super().__init__()
        self.helper, self.cache, self.count = Helper(), {}, torch.zeros(2)
        self.own = torch.Generator()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.count += 1
        self.helper.seen += 1
        self.helper.calls += 1
        self.helper.log[0].mul_(5)
        self.helper.log.append(x)
        self.helper.table["b"] = x
        self.cache["x"] = self.last = x
        self.first.weight.data.mul_(2)
        torch.rand(1, generator=self.own)
        random.random()
        np.random.rand()  # noqa: NPY002
        return super().forward(x + torch.rand(1))


def test_a_model_that_keeps_things_is_left_as_it_was():
    model = drawn(Keeping)
    before, attributes, own = copy.deepcopy(model.state_dict()), set(vars(model)), model.own.get_state()
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    isometry(model, X)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()  # noqa: NPY002
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert set(vars(model)) == attributes
    assert torch.equal(model.own.get_state(), own)
    assert model.cache == {}
    assert not model.count.any()
    helper = model.helper
    assert (helper.calls, len(helper.log), helper.table) == (0, 1, {"a": 1})
    assert not helper.seen.any()
    assert torch.equal(helper.log[0], torch.ones(2))
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


class Fails(Two):
    def forward(self, x):
        raise ValueError("no\nway")


class SplitInPlace(Two):
    def forward(self, x):
        one, other = self.first(x).split([2, 3], 1)
        return self.second(torch.cat([one.relu_(), other], 1))


class Hyper(Two):
    def forward(self, x):
        return F.linear(x, self.first(x).mean(0)[None].expand(6, 5).mT)


def with_weights(value, precision=torch.float32):
    model = drawn().to(precision)
    model.second.weight.data.fill_(value)
    return model


def scripted(change=lambda module: module):
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        return change(torch.jit.script(drawn().eval()))


@pytest.mark.parametrize(
    ("model", "inputs", "error", "message"),
    [
        (drawn(Fails), X, InvalidValueError, "the forward pass fails on inputs .*: no; first reads"),
        (drawn(SplitInPlace), X, InvalidValueError, "works, but derivatives cannot be followed through it"),
        (drawn().to("meta"), X, ModelError, "first.weight is on the meta device and has no numbers"),
        (nn.LazyLinear(3), X, ModelError, "a lazy module"),
        ("model", X, ModelError, "a PyTorch module or a specification is measured, got str"),
        (drawn(), X.to("meta"), InvalidValueError, "inputs must be real numbers, got a tensor on meta"),
        (drawn(), X.to_sparse(), InvalidValueError, "inputs must be real numbers, got a tensor on cpu of layout"),
        (drawn(), X.to(torch.complex64), InvalidValueError, "inputs must be real numbers, got complex numbers"),
        (drawn(), X.double() * 1e300, InvalidValueError, "finite in the network's precision"),
        (drawn(), X.long(), InvalidValueError, "the forward pass fails"),
        (drawn(), "text", InvalidValueError, "inputs must be a tensor or an array, got str"),
        (drawn(), None, InvalidValueError, "got NoneType"),
        (drawn(), [[1.0], [1.0, 2.0]], InvalidValueError, "got list"),
        (drawn(), True, InvalidValueError, "needs a tensor of inputs, got the number True"),
        (drawn(), X[:, :5], InvalidValueError, "the forward pass fails"),
        (nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 5)), X[:1], InvalidValueError, "1 has no stat"),
        (with_weights(float("nan")), X, InvalidValueError, "the weights of second must be finite"),
        (with_weights(1e200, torch.float64), X, InvalidValueError, "singular values of second must lie between"),
        (with_weights(1e-200, torch.float64), X, InvalidValueError, "singular values of second must lie between"),
    ],
)
def test_what_cannot_be_measured_is_one_line(model, inputs, error, message):
    with pytest.raises(error, match=message) as caught:
        isometry(model, inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [lambda module: module, torch.jit.freeze])
def test_compiled_graphs_are_refused_in_one_line(change):
    with pytest.raises(NNMassError, match=r"is a torch\.jit module"):
        isometry(scripted(change), X)


def test_a_scripted_part_is_followed_where_it_is_elementwise(reference, close):
    model = drawn().double()
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        swish = torch.jit.script(nn.SiLU())
    model.swish = swish
    model.forward = lambda x: model.second(model.swish(model.first(x)))
    found = isometry(model, X.double()).layers[1]
    read = model.first(X.double()).detach()
    close(found.singular_values, reference.singular_values(lambda z: model.second(F.silu(z)), read))


def test_weights_that_follow_from_the_inputs_are_no_layer():
    found = isometry(drawn(Hyper), X)
    assert {skipped.name: skipped.reason for skipped in found.skipped}["model"] == "its weights depend on the inputs"


@pytest.mark.parametrize("value", [1e-30, 1e-12, 1e12, 1e30])
def test_sizes_of_weights_change_nothing_but_the_size(value, close):
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Conv2d(3, 4, 3)), torch.randn(2, 2, 9, 9)
    expected = [isometry(model, x, dense_limit=limit).layers[0].singular_values for limit in (0, 1_000)]
    model[0].weight.data.mul_(value)
    model[0].bias.data.zero_()
    for limit, values in zip((0, 1_000), expected, strict=True):
        found = isometry(model[:1], x, dense_limit=limit).layers[0]
        close(found.singular_values / value, values, 2e-4)
        assert np.isfinite([found.mean, found.std, found.mean_square]).all()


@pytest.mark.parametrize("conv", ["regular", "separable"])
@pytest.mark.parametrize("spec", [{"depth": 2}, {"depth": 3}, {"depth": (4, 1)}, {"depth": (3, 5)}])
@pytest.mark.parametrize("skips", [0, 1])
def test_layers_of_a_cnn_are_whole_with_and_without_skips(conv, spec, skips, reference, close):
    spec = DenseCNN(widths=(2, 3), max_skips=skips, image_size=6, num_classes=3, conv=conv, **spec)
    model, x = spec.build(1).double(), torch.randn(3, 3, 6, 6, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_()
    found = isometry(model, x, dense_limit=1_000)
    for layer, values in zip(found.layers, reference.cnn(model, x), strict=True):
        close(layer.singular_values, values)
        index = int(layer.name.rsplit(".", 1)[1]) if ".layers." in layer.name else None
        if index is not None and index >= 2:
            assert layer.reads == "batch_norm, relu"

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from nnmass import DenseCNN, DenseMLP, isometry
from nnmass.errors import InvalidValueError


def double(spec, seed=0):
    return spec.build(seed).double()


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("activation", ["elu", "relu", "selu", "tanh", "linear"])
@pytest.mark.parametrize(("width", "depth", "skips"), [(4, 2, 0), (3, 3, 2), (5, 7, 8), (8, 6, 0), (4, 9, 100)])
def test_every_layer_of_an_mlp_agrees_with_autograd(activation, width, depth, skips, reference, close):
    spec = DenseMLP(width=width, depth=depth, max_skips=skips, in_features=6, num_classes=3, activation=activation)
    model, x = double(spec, seed=depth), 2 * normal(4, 6)
    found = isometry(model, x)
    expected = reference.mlp(model, x)
    assert [layer.name for layer in found.layers] == [f"layers.{i}" for i in range(depth)]
    for layer, values in zip(found.layers, expected, strict=True):
        close(layer.singular_values, values)
        assert layer.method == "gram"
    hidden = expected[1:-1]
    if not hidden:
        assert found.mean is None
        return
    assert found.mean == pytest.approx(np.concatenate(hidden, None).mean(), rel=1e-6)
    assert found.std == pytest.approx(np.concatenate(hidden, None).std(), rel=1e-6)
    assert found.all_mean == pytest.approx(np.concatenate(expected, None).mean(), rel=1e-6)
    assert found.all_std == pytest.approx(np.concatenate(expected, None).std(), rel=1e-6)
    assert found.standard_error is None


@pytest.mark.parametrize(
    "spec",
    [
        DenseCNN(widths=(2, 3), depth=4, max_skips=3, image_size=6, num_classes=3),
        DenseCNN(widths=(3,), depth=2, max_skips=0, image_size=5, num_classes=2, in_channels=1),
        DenseCNN(widths=(2, 4), depth=(5, 3), max_skips=(2, 9), image_size=7, num_classes=3, conv="separable"),
    ],
)
def test_every_layer_of_a_cnn_agrees_with_autograd(spec, reference, close):
    model, x = double(spec), normal(3, *spec.input_shape)
    with torch.no_grad():
        for module in model.modules():  # a norm that multiplies by 1 would hide its weights
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_()
    found = isometry(model, x)
    expected = reference.cnn(model, x)
    for layer, values in zip(found.layers, expected, strict=True):
        close(layer.singular_values, values)
        assert layer.method == ("gram" if layer.name == "classifier" else "dense")
        assert layer.hidden == (".layers." in layer.name and not layer.name.endswith(".0"))
    counts = [value.shape[1] for value, layer in zip(expected, found.layers, strict=True) if layer.hidden]
    means = [value.mean() for value, layer in zip(expected, found.layers, strict=True) if layer.hidden]
    assert found.mean == pytest.approx(np.average(means, weights=counts))


@pytest.mark.parametrize("conv", ["regular", "separable"])
def test_lanczos_agrees_with_autograd_within_its_stated_error(conv, reference):
    spec = DenseCNN(widths=(4, 6), depth=4, max_skips=(6, 9), image_size=8, num_classes=3, conv=conv)
    model, x = double(spec), normal(6, 3, 8, 8)
    found = isometry(model, x, dense_limit=0, probes=60)
    off = []
    for layer, values in zip(found.layers, reference.cnn(model, x), strict=True):
        if layer.method == "gram":
            continue
        assert layer.method == "lanczos"
        assert 0 < layer.error < (0.03 if conv == "regular" else 0.05) * layer.mean
        assert abs(layer.mean - values.mean()) < 4 * layer.error
        assert layer.mean_square == pytest.approx((values**2).mean(), rel=0.1)
        dead = (values <= 0.01 * values.mean()).mean()
        assert layer.dead_interval[0] <= dead <= layer.dead_interval[1] < dead + 0.1
        assert layer.forwards == 2 * 20 * 60
        off.append((layer.mean - values.mean()) / layer.error)
    assert np.sqrt(np.mean(np.square(off))) < 1.6  # the error is neither idle nor too small


def test_lanczos_converges_with_steps(reference):
    spec = DenseCNN(widths=(6,), depth=4, max_skips=6, image_size=8, num_classes=3)
    model, x = double(spec), normal(2, 3, 8, 8)
    exact = isometry(model, x, dense_limit=10_000).layers[2]
    errors = []
    for steps in (3, 6, 12, 24, 48):
        layer = isometry(model, x, dense_limit=0, probes=128, steps=steps).layers[2]
        errors.append(layer.error)
        assert abs(layer.mean - exact.mean) < 3.5 * layer.error
    assert all(later < 0.9 * earlier for earlier, later in itertools.pairwise(errors[:-1]))


def test_as_many_steps_as_directions_are_exact_for_every_probe(reference):
    model = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
    x = normal(1, 1, 4, 4)
    layer = isometry(model, x, dense_limit=0, probes=3, steps=16).layers[0]
    expected = reference.singular_values(model, x)[0]
    distinct = layer.singular_values[0]
    for value in distinct[layer.weights[0] > 1e-6]:
        assert np.abs(expected - value).min() < 1e-6


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"padding_mode": "circular", "padding": 1}, 6),
        ({"padding_mode": "circular", "padding": 1, "groups": 3}, 5),
        ({"kernel_size": 1}, 5),
    ],
)
def test_periodic_convolutions_are_measured_by_fourier_transform(options, size, reference, close):
    conv = nn.Conv2d(3, 6, bias=False, **({"kernel_size": 3} | options)).double()
    model = nn.Sequential(nn.BatchNorm2d(3), conv, nn.BatchNorm2d(6)).double()
    model[0].weight.data.uniform_(0.5, 2)
    x = normal(3, 3, size, size)
    found = isometry(model, x).layers[0]
    function, _ = reference.chain(model, x)
    close(found.singular_values, reference.singular_values(function, x))
    assert found.method == "fourier"


def test_large_linear_layers_are_estimated(reference):
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.ReLU(), nn.Linear(1_100, 1_030, bias=False)), torch.randn(3, 1_100)
    layer = isometry(model, x, probes=6).layers[0]
    expected = torch.linalg.svdvals(model[1].weight.detach() * (x[:1] > 0)).numpy()
    assert layer.method == "lanczos"
    assert abs(layer.mean - expected.mean()) < 4 * layer.error < 0.2 * layer.mean


class Chain(nn.Module):
    """Layers with padding, stride, groups and dilation of every kind."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.rest = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(4, 4, 3, padding="same", groups=4), nn.BatchNorm2d(4), nn.ReLU6()),
                nn.Sequential(nn.Conv2d(4, 6, 3, padding=2, dilation=2), nn.Hardswish()),
                nn.Sequential(nn.BatchNorm2d(6), nn.SiLU(), nn.Conv2d(6, 4, (2, 3), padding=(0, 1))),
                nn.Sequential(nn.PReLU(4), nn.Conv2d(4, 4, 2, stride=2, padding=1, padding_mode="reflect")),
                nn.Sequential(nn.GELU(), nn.Conv2d(4, 3, 4, padding="same", bias=False)),
            ]
        )
        self.head = nn.Sequential(nn.LeakyReLU(0.1), nn.Flatten(), nn.Dropout(), nn.LazyLinear(5))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.rest:
            x = layer(x)
        return self.head(x)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_any_chain_agrees_with_autograd(reference, close):
    torch.manual_seed(0)
    model = Chain()
    model(torch.randn(2, 2, 9, 8))
    model = model.double()
    x = normal(3, 2, 9, 8)
    found = isometry(model, x, dense_limit=1_000)
    stem, r = list(model.stem), [list(layer) for layer in model.rest]
    layers = [
        stem[:2],
        [stem[2], *r[0][:2]],
        [r[0][2], r[1][0]],
        [r[1][1], *r[2]],
        r[3],
        r[4],
        [model.head[0], model.head[1], model.head[3]],
    ]
    assert len(found.layers) == len(layers)
    for layer, modules in zip(found.layers, layers, strict=True):
        function, after = reference.chain(modules, x)
        close(layer.singular_values, reference.singular_values(function, x))
        x = after
    assert [layer.reads for layer in found.layers][3] == "hardswish, batch_norm, silu"


class Residual(nn.Module):
    """An inverted residual block, a bottleneck with projection, and concatenation before a norm."""

    def __init__(self):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(3, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(inplace=True))
        self.depthwise = nn.Sequential(
            nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), nn.BatchNorm2d(6), nn.ReLU6()
        )
        self.project = nn.Sequential(nn.Conv2d(6, 3, 1, bias=False), nn.BatchNorm2d(3))
        self.conv = nn.Conv2d(3, 5, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.shortcut = nn.Sequential(nn.Conv2d(3, 5, 1, stride=2, bias=False), nn.BatchNorm2d(5))
        self.last = nn.Sequential(nn.BatchNorm2d(10), nn.ReLU(), nn.Conv2d(10, 2, 3, padding=1))

    def forward(self, x):
        x = x + self.project(self.depthwise(self.expand(x)))
        y = torch.relu(self.norm(self.conv(x)))
        y += self.shortcut(x)
        return self.last(torch.cat([y, y.flip(1)], 1))


def test_residual_blocks_agree_with_autograd_layer_by_layer(reference, close):
    torch.manual_seed(1)
    model, x = Residual().double(), normal(4, 3, 6, 6)
    found = {layer.name: layer for layer in isometry(model, x, dense_limit=1_000).layers}
    expand, depthwise, project = list(model.expand), list(model.depthwise), list(model.project)

    def check(name, modules, read):
        function, after = reference.chain(modules, read)
        close(found[name].singular_values, reference.singular_values(function, read))
        return after

    read = check("expand.0", expand[:2], x)
    read = check("depthwise.0", [expand[2], *depthwise[:2]], read)
    total = x + check("project.0", [depthwise[2], *project], read)
    main = torch.relu(check("conv", [model.conv, model.norm], total))
    total = main + check("shortcut.0", list(model.shortcut), total)
    check("last.2", list(model.last), torch.cat([total, total.flip(1)], 1))
    assert [layer.hidden for layer in found.values()] == [False, True, True, True, True, False]
    assert found["conv"].reads == "add"


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.LayerNorm([4, 5, 5])])
def test_other_norms_are_held_at_their_statistics(norm, reference, close):
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), norm, nn.ReLU(), nn.Conv2d(4, 2, 3)).double()
    x = normal(1, 2, 5, 5)
    norm.weight.data.uniform_(0.5, 1.5)
    with torch.no_grad():
        seen = model[0](x)
        grouped = seen.reshape(1, {nn.GroupNorm: 2, nn.InstanceNorm2d: 4, nn.LayerNorm: 1}[type(norm)], -1)
        scale = torch.rsqrt(grouped.var(2, correction=0) + norm.eps).repeat_interleave(4 // grouped.shape[1], 1)
        weight = norm.weight if norm.weight.dim() > 1 else norm.weight.reshape(1, -1, 1, 1)
        shift = model[1](seen) - seen * scale.reshape(1, -1, 1, 1) * weight

    def fixed(v):
        return model[0](v) * scale.reshape(1, -1, 1, 1) * weight + shift

    found = isometry(model, x).layers
    close(found[0].singular_values, reference.singular_values(fixed, x))
    seen = fixed(x).detach()
    close(found[1].singular_values, reference.singular_values(lambda v: model[3](model[2](v)), seen))


def test_a_functional_model_is_read_like_modules(reference, close):
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 5), nn.Linear(10, 3)

        def forward(self, x):
            h = self.first(x)
            a, b = torch.tanh(h), nn.functional.elu_(h)
            return self.second(torch.cat((b, a), -1))

    model, x = Functional().double(), normal(3, 4)
    found = isometry(model, x).layers[1]
    hidden = model.first(x).detach()
    slopes = torch.cat([torch.where(hidden > 0, 1, hidden.exp()), 1 - torch.tanh(hidden) ** 2], 1)
    expected = torch.linalg.svdvals(model.second.weight.detach() * slopes[:, None])
    close(found.singular_values, expected.numpy())
    assert found.reads == "elu, tanh"


def test_half_precision_and_inference_mode_are_no_obstacle():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3)), torch.randn(4, 2, 9, 9)
    expected = isometry(model, x)
    with torch.inference_mode():
        inside = isometry(model, x.clone())
    np.testing.assert_array_equal(inside.layers[1].singular_values, expected.layers[1].singular_values)
    for options in ({}, {"dense_limit": 0}):
        half = isometry(copy.deepcopy(model).bfloat16(), x, **options)
        assert half.all_mean == pytest.approx(expected.all_mean, rel=0.05)


def test_a_shared_layer_is_measured_at_every_call():
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    assert [layer.name for layer in isometry(model, torch.randn(3, 4)).layers] == ["0", "0#2"]


def test_initialisations_are_the_networks_that_the_seeds_build():
    spec = DenseMLP(width=4, depth=6, max_skips=6, in_features=5, num_classes=3)
    x = normal(7, 5).float()
    found = isometry(spec, x, initialisations=3, seed=5)
    means = [isometry(spec.build(seed), x).mean for seed in (5, 6, 7)]
    assert found.mean == pytest.approx(np.mean(means))
    assert found.standard_error == pytest.approx(np.std(means, ddof=1) / np.sqrt(3))
    assert found.layers[2].singular_values.shape == (3, 7, 4)
    assert found.all_standard_error > 0
    assert found.initialisations == 3


def test_a_number_of_inputs_draws_them():
    spec = DenseMLP(width=4, depth=5, max_skips=6, in_features=5, num_classes=3)
    one, same, other = (isometry(spec, 8, initialisations=2, seed=seed) for seed in (0, 0, 3))
    assert one.mean == same.mean != other.mean
    assert one.inputs == 8


@pytest.mark.parametrize("init", ["he", "glorot", "gaussian:0.3", "orthogonal"])
def test_initialisations_draw_what_they_say(init):
    spec = DenseMLP(width=40, depth=4, max_skips=40, in_features=30, num_classes=20, activation="linear")
    found = isometry(spec, 4, initialisations=2, init=init).layers[2]
    square = {"he": 2 / 80, "glorot": 2 / 120, "gaussian:0.3": 0.09, "orthogonal": 1 / 80}[init]
    assert found.mean_square == pytest.approx(square * 80, rel=0.1)
    if init == "orthogonal":
        np.testing.assert_allclose(found.singular_values, 1, rtol=1e-5)


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(), nn.Conv2d(4, 2, 3)
    )
    model[3].eval()
    before, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    x = torch.randn(4, 3, 8, 8)
    given, state = x.clone(), torch.get_rng_state()
    isometry(model, x, dense_limit=8)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, given)
    assert [module.training for module in model.modules()] == modes
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert torch.is_grad_enabled()


def test_a_forward_pass_that_draws_or_fails_leaves_no_trace():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            x = self.linear(x + torch.randn_like(x))
            if len(x) == 3:
                raise RuntimeError("three is too many\nsecond line")
            return x

    model, state = Noisy(), torch.get_rng_state()
    isometry(model, torch.ones(2, 4))
    with pytest.raises(InvalidValueError, match=r"fails on inputs of shape \(3, 4\): three is too many; linear reads"):
        isometry(model, torch.ones(3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.calls == 0
    assert model.training


def test_what_is_not_measured_is_listed_with_its_reason():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.up = nn.Linear(4, 6), nn.ConvTranspose1d(3, 2, 2)
            self.attention, self.unused = nn.MultiheadAttention(6, 1, batch_first=True), nn.Linear(3, 3)
            self.head = nn.Linear(6, 2)

        def forward(self, x):
            x = self.embed(x)
            self.up(x)
            x, _ = self.attention(x, x, x)
            return self.head(x.mean(1))

    found = isometry(Mixed(), torch.randn(5, 3, 4))
    reasons = {skipped.name: skipped.reason for skipped in found.skipped}
    assert [layer.name for layer in found.layers] == ["head"]
    assert "positions" in reasons["embed"]
    assert reasons["up"] == "ConvTranspose1d is a transposed convolution, which is not measured"
    assert "MultiheadAttention" in reasons["attention"]
    assert "not called" in reasons["unused"]
    assert "skipped embed: " in str(found)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.ConvTranspose2d(3, 2, 2), "ConvTranspose2d is a transposed convolution"),
        (nn.LSTM(3, 2), "LSTM is a recurrent layer"),
        (nn.GRU(3, 2), "GRU is a recurrent layer"),
        (nn.RNN(3, 2), "RNN is a recurrent layer"),
        (nn.LSTMCell(3, 2), "LSTMCell is a recurrent layer"),
        (nn.GRUCell(3, 2), "GRUCell is a recurrent layer"),
        (nn.Bilinear(3, 2, 2), "Bilinear is a product of two inputs"),
        (nn.Embedding(3, 2), "Embedding is a table of vectors"),
        (nn.EmbeddingBag(3, 2), "EmbeddingBag is a table of vectors"),
        (nn.MultiheadAttention(4, 2), "MultiheadAttention is attention"),
    ],
    ids=lambda part: type(part).__name__ if isinstance(part, nn.Module) else "",
)
def test_layers_that_are_not_measured_are_named_for_what_they_are(module, reason):
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.other, self.linear = module, nn.Linear(4, 3)

        def forward(self, x):
            return self.linear(x)

    found = isometry(Beside(), torch.randn(2, 4))
    assert {skipped.name: skipped.reason for skipped in found.skipped}["other"].startswith(reason)


def test_results_print_and_dump(capsys):
    spec = DenseMLP(width=4, depth=4, max_skips=6, in_features=5, num_classes=3)
    found = isometry(spec, 3, initialisations=2)
    values = found.to_dict()
    assert values["layers"][1]["mean"] == pytest.approx(found.layers[1].mean)
    assert values["initialisations"] == 2
    text = str(found)
    assert "layers.3" in text
    assert f"{found.mean:.3f} [{found.interval[0]:.3f}, {found.interval[1]:.3f}]" in text


def test_dead_directions_and_condition():
    layer = nn.Linear(4, 4, bias=False)
    layer.weight.data.copy_(torch.diag(torch.tensor([2.0, 1.0, 0.5, 0.0])))
    found = isometry(layer, torch.ones(2, 4)).layers[0]
    assert found.dead == 0.25
    assert found.condition == np.inf
    assert found.to_dict()["condition"] is None
    layer.weight.data[3, 3] = 0.25
    found = isometry(layer, torch.ones(2, 4)).layers[0]
    assert (found.dead, found.condition) == (0, 8)


def poisoned(layer, value):
    model = DenseMLP(width=4, depth=4, max_skips=6, in_features=5, num_classes=3).build(0)
    model.linear(layer).weight.data[0, 0] = value
    return model


@pytest.mark.parametrize(
    ("model", "inputs", "options", "message"),
    [
        (poisoned(2, np.nan), torch.ones(2, 5), {}, r"the weights of layers\.2 must be finite"),
        (poisoned(0, np.inf), torch.ones(2, 5), {}, r"the weights of layers\.0 must be finite"),
        (poisoned(0, 0.0), torch.full((2, 5), np.nan), {}, "the inputs must be finite"),
        (poisoned(0, 3e38), torch.full((2, 5), 3e38), {}, r"the input of layers\.1 must be finite"),
        (poisoned(0, 0.0), torch.ones(2, 6), {}, r"DenseMLP reads inputs of shape \(inputs, 5\), got \(2, 6\)"),
        (poisoned(0, 0.0), torch.ones(5), {}, r"a batch of at least one input, got shape \(5,\)"),
        (poisoned(0, 0.0), torch.ones(0, 5), {}, r"at least one input, got shape \(0, 5\)"),
        (poisoned(0, 0.0), 64, {}, "a model needs a tensor of inputs, got the number 64"),
        (poisoned(0, 0.0), torch.ones(2, 5), {"initialisations": 4}, "measured as it is"),
        (poisoned(0, 0.0), torch.ones(2, 5), {"init": "he"}, "measured as it is"),
        (nn.ReLU(), torch.ones(2, 5), {}, r"ReLU has no layer that can be measured \(no weights\)"),
        (nn.LSTM(5, 5), torch.ones(2, 3, 5), {}, "LSTM is a recurrent layer"),
        (nn.Conv2d(3, 2, 3), torch.ones(2, 1, 8, 8), {}, r"fails .*the model reads \(batch, 3, size, size\)"),
        (nn.Conv2d(3, 2, 3), torch.randn(2, 3, 8, 8), {"dense_limit": 0, "probes": 1}, "at least 2 for a single"),
        (nn.Conv2d(3, 2, 3), torch.randn(2, 3, 8, 8), {"steps": 1}, "steps must be at least 2, got 1"),
        (DenseMLP(width=4, depth=4, max_skips=6), 0, {}, "inputs must be at least 1, got 0"),
        (DenseMLP(width=4, depth=4, max_skips=6), 2, {"initialisations": 0}, "initialisations must be at least 1"),
        (DenseMLP(width=4, depth=4, max_skips=6), 2, {"init": "xavier"}, "must be one of .*glorot"),
    ],
)
def test_bad_input_is_said_in_one_line(model, inputs, options, message):
    with pytest.raises(InvalidValueError, match=message) as caught:
        isometry(model, inputs, **options)
    assert "\n" not in str(caught.value)

import json
import math

import numpy as np
import pytest
from scipy import integrate

from nnmass.architectures import DenseCNN, DenseMLP, ResNet
from nnmass.errors import InvalidValueError
from nnmass.propagation import Initialisation, expected_isometry, mean_singular_value
from nnmass.propagation.theory.dense_cnn import Inputs, Moments, convolved, tap_shares

ACTIVATIONS = {
    "linear": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(z)), lambda z: np.where(z > 0, 1, np.exp(z))),
    "selu": (
        lambda z: 1.0507 * np.where(z > 0, z, 1.67326 * np.expm1(np.minimum(z, 0))),
        lambda z: 1.0507 * np.where(z > 0, 1, 1.67326 * np.exp(np.minimum(z, 0))),
    ),
    "tanh": (np.tanh, lambda z: np.cosh(z) ** -2),
}


def drawn(init: str, rows: int, columns: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if init == "default":
        bound = columns**-0.5
        return rng.uniform(-bound, bound, (rows, columns)), rng.uniform(-bound, bound, rows)
    if init == "orthogonal":
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))
        return (q if rows >= columns else q.T), np.zeros(rows)
    std = {"he": math.sqrt(2 / columns), "glorot": math.sqrt(2 / (rows + columns))}.get(init)
    std = float(init.partition(":")[2]) if std is None else std
    return std * rng.standard_normal((rows, columns)), np.zeros(rows)


def singular_values(spec: DenseMLP, init: str, activation: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Those of every layer's W·diag(φ′) of one random network at one random input."""
    value, slope = ACTIVATIONS[activation]
    outputs, found = [rng.standard_normal(spec.in_features)], []
    for i in range(spec.depth):
        z = outputs[-1]
        if i >= 2:
            candidates = np.concatenate(outputs[1:i])  # outputs[0] is the input: layers 0 ... i-2
            skips = min(spec.max_skips, candidates.size)
            z = np.concatenate([z, rng.choice(candidates, skips, replace=False)])
        rows = spec.width if i < spec.depth - 1 else spec.num_classes
        weight, bias = drawn(init, rows, z.size, rng)
        found.append(np.linalg.svd(weight * (slope(z) if i else 1.0), compute_uv=False))
        outputs.append(weight @ (value(z) if i else z) + bias)
    return found


def measured(spec: DenseMLP, init: str, activation: str, networks: int) -> tuple[float, float, float, float]:
    """Hidden mean and std, its standard error, and the mean over all layers."""
    rng = np.random.default_rng(spec.depth * 1000 + spec.max_skips)
    values = [singular_values(spec, init, activation, rng) for _ in range(networks)]
    hidden = np.array([np.concatenate(layers[1:-1]) for layers in values])
    everything = np.concatenate([np.concatenate(layers) for layers in values])
    return hidden.mean(), hidden.std(), hidden.mean(1).std() / math.sqrt(networks), everything.mean()


@pytest.mark.parametrize("max_skips", [0, 3, 20])
@pytest.mark.parametrize(
    ("init", "activation", "tolerance"),
    [
        ("gaussian:0.35", "linear", 0.001),
        ("he", "linear", 0.001),
        ("default", "linear", 0.004),
        ("orthogonal", "linear", 1e-12),
        ("gaussian:0.35", "elu", 0.01),
        ("gaussian:0.35", "relu", 0.02),
        ("gaussian:0.35", "tanh", 0.02),
        ("default", "elu", 0.02),
        ("glorot", "tanh", 0.02),
        ("orthogonal", "relu", 0.02),
        ("orthogonal", "elu", 0.01),
        ("orthogonal", "selu", 0.01),
        ("orthogonal", "tanh", 0.01),
    ],
)
def test_mlp_theory_against_measured_jacobians(init, activation, tolerance, max_skips):
    spec = DenseMLP(width=8, depth=9, max_skips=max_skips, in_features=20, num_classes=5)
    mean, std, error, all_mean = measured(spec, init, activation, 120)
    theory = expected_isometry(spec, init, activation)
    assert theory.mean == pytest.approx(mean, rel=tolerance, abs=4 * error)
    assert theory.all_mean == pytest.approx(all_mean, rel=tolerance, abs=4 * error + 0.01 * all_mean)
    assert theory.std == pytest.approx(std, rel=0.03, abs=2 * error + 1e-6)


def test_linear_mlp_by_hand():
    spec = DenseMLP(width=8, depth=5, max_skips=12, in_features=30, num_classes=10)
    theory = expected_isometry(spec, "gaussian:0.5", "linear")
    assert [(layer.rows, layer.columns) for layer in theory.layers] == [(8, 30), (8, 8), (8, 16), (8, 20), (10, 20)]
    assert [layer.hidden for layer in theory.layers] == [False, True, True, True, False]
    assert [layer.count for layer in theory.layers] == [8, 8, 8, 8, 10]
    assert [layer.name for layer in theory.layers] == [f"layers.{i}" for i in range(5)]
    f = [0.5 * mean_singular_value(8, columns) for columns in (8, 16, 20)]
    assert theory.mean == pytest.approx(np.mean(f))
    assert theory.std == pytest.approx(math.sqrt(np.mean([0.25 * w for w in (8, 16, 20)]) - np.mean(f) ** 2))
    assert theory.short_form == pytest.approx(0.5 * mean_singular_value(8, 8 + spec.nn_mass / 2))
    assert [layer.effective_columns for layer in theory.layers] == [30, 8, 16, 20, 20]
    assert all(layer.std == 0.5 for layer in theory.layers)


def test_half_of_the_columns_are_off_under_relu():
    spec = DenseMLP(width=64, depth=6, max_skips=0)
    layer = expected_isometry(spec, "he", "relu").layers[3]
    assert layer.effective_columns == pytest.approx(32, rel=0.02)
    assert layer.std == pytest.approx(math.sqrt(2 / 64))
    assert layer.mean_square == pytest.approx(1, rel=0.02)  # He: the mean square of Jᵀu is kept


def test_the_specifications_own_activation_is_the_default():
    spec = DenseMLP(width=4, depth=5, max_skips=3, activation="tanh")
    assert expected_isometry(spec) == expected_isometry(spec, activation="tanh")
    assert expected_isometry(spec).activation == "tanh"
    assert expected_isometry(spec, Initialisation("he")) == expected_isometry(spec, "he")
    assert expected_isometry(spec, "he", seed=1).mean == pytest.approx(expected_isometry(spec, "he").mean, rel=0.01)


def test_scaling_the_weights_scales_linear_theory():
    spec = DenseMLP(width=6, depth=7, max_skips=9)
    one, three = (expected_isometry(spec, f"gaussian:{std}", "linear") for std in (1, 3))
    for name in ("mean", "std", "all_mean", "all_std", "short_form"):
        assert getattr(three, name) == pytest.approx(3 * getattr(one, name))


def test_large_inputs_saturate_tanh():
    spec = DenseMLP(width=8, depth=3, max_skips=0)
    means = [expected_isometry(spec, "he", "tanh", input_mean_square=scale).mean for scale in (0.01, 1, 100)]
    assert means[0] > means[1] > means[2]


def test_without_hidden_layers_there_is_no_mean():
    theory = expected_isometry(DenseMLP(width=8, depth=2, max_skips=0))
    assert (theory.mean, theory.std, theory.short_form) == (None, None, None)
    assert theory.all_mean > 0
    assert not expected_isometry(DenseCNN(widths=(4, 4), depth=1, max_skips=0)).hidden
    assert expected_isometry(DenseCNN(widths=(4, 4), depth=1, max_skips=0)).short_form is None


def test_selu_is_available():
    spec = DenseMLP(width=32, depth=8, max_skips=0, in_features=32, activation="selu")
    # self-normalising: at unit pre-activations E φ′² is 1.07 (arXiv:1706.02515)
    square = expected_isometry(spec, f"gaussian:{32**-0.5}").layers[2].mean_square
    assert square == pytest.approx(1.07, abs=0.05)


@pytest.mark.parametrize("activation", ["linear", "elu"])
@pytest.mark.parametrize("init", ["he", "orthogonal"])
def test_shares_below_have_the_layers_moments(activation, init):
    layer = expected_isometry(DenseMLP(width=32, depth=8, max_skips=40), init, activation).layers[4]
    grid = np.linspace(0, 8, 20001)
    above = 1 - layer.below(grid)
    assert integrate.trapezoid(above, grid) == pytest.approx(layer.mean, rel=0.03)
    assert integrate.trapezoid(2 * grid * above, grid) == pytest.approx(layer.mean_square, rel=0.06)
    assert layer.spread == pytest.approx(math.sqrt(layer.mean_square - layer.mean**2))


def test_a_layer_whose_inputs_are_all_off_has_only_zeros():
    spec = DenseMLP(width=32, depth=6, max_skips=32)
    dead = expected_isometry(spec, "gaussian:1e-15", "relu", input_mean_square=1e-300).layers[3]
    assert dead.below([0.0, 1.0]).tolist() == [1, 1]
    assert dead.mean == 0


def test_activations_beyond_double_precision_are_said():
    spec = DenseMLP(width=8, depth=40, max_skips=4, activation="relu")
    with pytest.raises(InvalidValueError, match=r"the activations before layer \d+ leave double precision"):
        expected_isometry(spec, "gaussian:1e12")


def test_results_are_plain_numbers():
    theory = expected_isometry(DenseMLP(width=4, depth=4, max_skips=2), "gaussian:0.5")
    values = json.loads(json.dumps(theory.to_dict()))
    assert values["mean"] == theory.mean
    assert values["initialisation"] == "gaussian:0.5"
    assert [layer["name"] for layer in values["layers"]] == ["layers.0", "layers.1", "layers.2", "layers.3"]


@pytest.mark.parametrize(
    "spec",
    [
        DenseMLP(width=4, depth=5, max_skips=3, in_features=12),
        DenseCNN(widths=(4, 6), depth=(4, 1), max_skips=(3, 2), image_size=9),
        DenseCNN(widths=(3,), depth=2, max_skips=0, image_size=5, num_classes=4),
    ],
)
def test_layers_are_those_of_the_built_network(spec):
    import torch
    from torch import nn

    model = spec.build().eval()
    sizes, inputs = {}, torch.zeros(1, *spec.input_shape)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(
                lambda module, given, result, name=name: sizes.update({name: (given[0].numel(), result.numel())})
            )
    model(inputs)
    theory = expected_isometry(spec)
    names = {layer.name for layer in theory.layers}
    assert len(names) == len(theory.layers) == len(sizes)
    counts = {name: min(size) for name, size in sizes.items()}
    for layer in theory.layers:
        model.get_submodule(layer.name)
        (found,) = [c for name, c in counts.items() if name == layer.name or name.startswith(f"{layer.name}.")]
        assert layer.count == found


def test_circular_convolutions_are_complex_matrices():
    """The theory's claim per frequency, on the FFT of random 3 × 3 kernels."""
    generator = np.random.default_rng(0)
    for rows, columns in ((8, 8), (8, 20)):
        kernels = generator.standard_normal((120, rows, columns, 3, 3))
        spectra = np.fft.fft2(kernels, s=(8, 8)).transpose(0, 3, 4, 1, 2)
        mean = np.linalg.svd(spectra, compute_uv=False).mean()
        assert 3 * mean_singular_value(rows, columns, symmetry="complex") == pytest.approx(mean, rel=0.006)


def test_large_maps_lose_nothing_at_the_border():
    assert tap_shares(8).tolist() == [7 / 8, 1, 7 / 8]
    assert tap_shares(1).tolist() == [0, 1, 0]
    assert tap_shares(9, stride=2).tolist() == [0.8, 1, 0.8]
    assert tap_shares(8, stride=2).tolist() == [0.75, 1, 1]
    assert tap_shares(1, stride=2).tolist() == [0, 1, 0]
    for size, stride in ((5, 1), (6, 2), (7, 2)):
        padded = np.pad(np.ones(size), 1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 3)[::stride]
        assert tap_shares(size, stride).tolist() == pytest.approx(windows.mean(0).tolist())


@pytest.mark.parametrize(("size", "stride"), [(8, 1), (8, 2), (5, 2)])
def test_moments_after_a_convolution(size, stride):
    generator = np.random.default_rng(1)
    images = 0.7 + generator.standard_normal((100, 4, size, size))
    inputs = Inputs(4, Moments((images**2).mean(), (images.mean((0, 2, 3)) ** 2).mean()))
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::stride, ::stride]
    # independent weights of variance ½: second moments add over inputs and taps, and so do the squares of means
    moments = convolved(0.5, tap_shares(size, stride), inputs)
    assert moments.square == pytest.approx(0.5 * (windows**2).mean((0, 2, 3)).sum(), rel=0.02)
    assert moments.squared_mean == pytest.approx(0.5 * (windows.mean((0, 2, 3)) ** 2).sum(), rel=0.02)


def convolution_matrix(kernel: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Dense matrix of a 3 × 3 convolution with padding 1."""
    outputs, inputs = kernel.shape[:2]
    side = -(-size // stride)
    matrix = np.zeros((outputs, side, side, inputs, size, size))
    for x, y, i, j in np.ndindex(side, side, 3, 3):
        row, column = stride * x + i - 1, stride * y + j - 1
        if 0 <= row < size and 0 <= column < size:
            matrix[:, x, y, :, row, column] = kernel[:, :, i, j]
    return matrix.reshape(outputs * side**2, -1)


def cnn_singular_values(spec: DenseCNN, rng: np.random.Generator, batch: int = 24) -> list[np.ndarray]:
    """Those of every cell layer at one random input: He weights, batch norm frozen at batch statistics."""
    x, found = rng.standard_normal((batch, *spec.input_shape)), []
    for k, cell in enumerate(spec.cells):
        outputs: list[np.ndarray] = []
        for i, skips in enumerate(cell.layer_skips):
            stride = 2 if k and not i else 1
            z = outputs[-1] if outputs else x
            if skips:
                earlier = np.concatenate(outputs[:-1], axis=1)
                z = np.concatenate([z, earlier[:, rng.choice(earlier.shape[1], skips, replace=False)]], axis=1)
            size, before, columns = z.shape[-1], 1.0, 1.0
            if i >= 2:
                before = z.std((0, 2, 3))[None, :, None, None]
                z = (z - z.mean((0, 2, 3), keepdims=True)) / before
                columns = 1 / np.repeat(before.ravel(), size**2)
            if i:
                columns, z = columns * (z[0].ravel() > 0), np.maximum(z, 0)
            kernel = math.sqrt(2 / (9 * z.shape[1])) * rng.standard_normal((cell.width, z.shape[1], 3, 3))
            matrix = convolution_matrix(kernel, size, stride)
            out = (z.reshape(batch, -1) @ matrix.T).reshape(batch, cell.width, -1)
            jacobian = matrix * columns
            if i < 2:
                std = out.std((0, 2))
                out = (out - out.mean((0, 2), keepdims=True)) / std[:, None]
                jacobian = jacobian / np.repeat(std, out.shape[2])[:, None]
            found.append(np.linalg.svd(jacobian, compute_uv=False))
            outputs.append(out.reshape(batch, cell.width, -(-size // stride), -1))
        x = outputs[-1]
    return found


def test_cnn_theory_against_measured_jacobians():
    spec = DenseCNN(widths=(6, 8), depth=4, max_skips=(8, 6), image_size=8)
    rng = np.random.default_rng(0)
    networks = [cnn_singular_values(spec, rng) for _ in range(8)]
    theory = expected_isometry(spec, "he")
    layers = [layer for layer in theory.layers if layer.name != "classifier"]
    means = [np.mean([network[n].mean() for network in networks]) for n in range(len(layers))]
    np.testing.assert_allclose([layer.mean for layer in layers], means, rtol=0.12)
    numbers = [n for n, layer in enumerate(layers) if layer.hidden]
    hidden = np.array([np.concatenate([network[n] for n in numbers]) for network in networks])
    error = hidden.mean(1).std() / math.sqrt(len(networks))
    assert theory.mean == pytest.approx(hidden.mean(), rel=0.05, abs=3 * error)
    assert theory.std == pytest.approx(hidden.std(), rel=0.06)


def test_cnn_without_relu_by_hand():
    spec = DenseCNN(widths=(8,), depth=3, max_skips=5, image_size=16)
    theory = expected_isometry(spec, "gaussian:0.1", "linear")
    share = (46 / 48) ** 2
    first, second, third, classifier = theory.layers
    # layer 1: rows of unit variance after batch norm, so that the weights' scale is gone
    assert second.mean_square == pytest.approx(1, rel=1e-4)
    assert second.mean == pytest.approx(mean_singular_value(8, 8, symmetry="complex") / math.sqrt(8), rel=1e-4)
    # layer 2: all inputs have variance 1
    assert (third.rows, third.columns, third.count) == (8, 13, 8 * 16**2)
    assert third.mean_square == pytest.approx(9 * 13 * share * 0.01, rel=1e-4)
    f = mean_singular_value(8, 13, symmetry="complex")
    assert third.mean == pytest.approx(math.sqrt(9 * share) * 0.1 * f, rel=1e-4)
    assert first.count == 3 * 16**2
    assert (classifier.rows, classifier.columns) == (10, 128)
    mass = mean_singular_value(8, 8 + spec.nn_mass / 2, symmetry="complex")
    assert theory.short_form == pytest.approx(0.3 * mass)


def test_batch_norm_takes_the_weights_scale_away():
    spec = DenseCNN(widths=(8, 8), depth=5, max_skips=16)
    one, two = (expected_isometry(spec, f"gaussian:{std}") for std in (0.1, 0.2))
    # layer 2 reads what batch norm made; a layer of other layers' outputs only tends to be independent of the scale
    np.testing.assert_allclose(one.layers[1].mean, two.layers[1].mean, rtol=1e-4)
    np.testing.assert_allclose(2 * one.layers[2].mean, two.layers[2].mean, rtol=1e-4)
    orthogonal = expected_isometry(spec, "orthogonal")
    assert orthogonal.short_form == pytest.approx(1, rel=0.1)
    assert orthogonal.mean > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "gelu"}, "activation must be one of linear, elu, relu, selu, tanh, got 'gelu'"),
        ({"init": "xavier"}, "initialisation must be one of"),
        ({"input_mean_square": 0}, "input_mean_square must be positive and finite, got 0"),
        ({"input_mean_square": math.nan}, "input_mean_square .* got nan"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_invalid_options(options, message):
    with pytest.raises(InvalidValueError, match=message):
        expected_isometry(DenseMLP(width=4, depth=4, max_skips=2), **options)


def test_what_the_theory_does_not_cover():
    with pytest.raises(InvalidValueError, match='covers conv="regular" only, got conv="separable"'):
        expected_isometry(DenseCNN(widths=(4,), depth=3, max_skips=2, conv="separable"))
    with pytest.raises(InvalidValueError, match="activation must be one of linear, relu, got 'elu'"):
        expected_isometry(DenseCNN(widths=(4,), depth=3, max_skips=2), activation="elu")
    with pytest.raises(InvalidValueError, match="the theory covers DenseMLP and DenseCNN, got ResNet"):
        expected_isometry(ResNet.of_depth(18))

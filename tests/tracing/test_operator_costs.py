"""Parameters and multiply-accumulates of whole models, whether NN-Mass is defined for them or not."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import nnmass
from nnmass.errors import RefusedError
from nnmass.tracing import load_model, measure, trace
from nnmass.tracing.operator_costs import _COSTS, _multiplies


def costs(model: nn.Module, *sizes: Sequence[int], **options: Any) -> tuple[int, int | None]:
    """Parameters and MACs, of a model that is answered or refused."""
    try:
        report = nnmass.analyze(model, sizes, **options)
    except RefusedError as error:
        return error.params, error.macs
    return report.params, report.macs


def counted(model: nn.Module, *inputs: Tensor) -> tuple[int, int]:
    """The same from an independent counter, on tensors without memory as well."""
    params = sum(p.numel() for p in model.parameters())
    model = model.to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(*(x.to("meta") for x in inputs))
    return params, counter.get_total_flops() // 2


class Constants(nn.Module):
    """A small network of coordinates, beside one of the image: Swin V2 has these."""

    def __init__(self) -> None:
        super().__init__()
        self.of_image, self.of_places = nn.Linear(6, 5), nn.Sequential(nn.Linear(2, 9), nn.ReLU(), nn.Linear(9, 5))
        self.register_buffer("places", torch.rand(7, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.of_image(x) + self.of_places(self.places)


class LowRank(nn.Module):
    """A weight that is a product of parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.rand(5, 2)), nn.Parameter(torch.rand(2, 6))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.a @ self.b)


class Tied(nn.Module):
    """One kernel in two places, and one layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(self.first(x)))


class Attention(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.attention, self.options = nn.MultiheadAttention(8, 2, batch_first=True), options

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, **self.options)[0]


class Fun(nn.Module):
    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


class Recurrent(nn.Module):
    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        width = (layer.proj_size or layer.hidden_size) * (2 if layer.bidirectional else 1)
        self.layer, self.head = layer, nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0])


MODELS = {
    "convolution in groups": (nn.Conv2d(4, 8, 3, stride=2, groups=2), [(2, 4, 9, 9)]),
    "depthwise": (nn.Conv2d(4, 4, (3, 5), groups=4), [(2, 4, 9, 9)]),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1), [(2, 4, 5, 5)]),
    "transposed, groups": (nn.ConvTranspose1d(4, 6, 3, groups=2), [(2, 4, 5)]),
    "three dimensions": (nn.Conv3d(2, 3, 2, dilation=2), [(1, 2, 5, 5, 5)]),
    "linear over tokens": (nn.Linear(6, 5), [(2, 7, 6)]),
    "constants": (Constants(), [(1, 7, 6)]),
    "product of parameters": (LowRank(), [(3, 6)]),
    "tied": (Tied(), [(1, 4, 6, 6)]),
    "weight norm": (nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), [(1, 3, 6, 6)]),
    "attention": (Attention(), [(2, 7, 8)]),
    "attention, fast": (Attention(need_weights=False), [(2, 7, 8)]),
    "grouped queries": (
        Fun(lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True)),
        [(2, 4, 7, 8), (2, 2, 5, 8)],
    ),
    "transformer": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), [(2, 7, 8)]),
    "LSTM": (Recurrent(nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)), [(2, 7, 6)]),
    "LSTM, projected": (Recurrent(nn.LSTM(6, 5, proj_size=3)), [(2, 7, 6)]),
    "GRU": (Recurrent(nn.GRU(6, 5)), [(2, 7, 6)]),
    "RNN": (Recurrent(nn.RNN(6, 5, bias=False)), [(2, 7, 6)]),
    "matmul": (Fun(lambda a, b: a @ b), [(3, 1, 4, 5), (2, 5, 6)]),
    "einsum": (Fun(lambda a, b: torch.einsum("bchw,bkhw->bck", a, b)), [(2, 3, 4, 4), (2, 5, 4, 4)]),
    "baddbmm": (Fun(lambda a, b: torch.baddbmm(a @ b, a, b)), [(2, 4, 5), (2, 5, 6)]),
    "correlation of data": (Fun(F.conv2d), [(1, 3, 6, 6), (2, 3, 3, 3)]),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::UserWarning:torch.*")
def test_costs_are_those_of_an_independent_counter(name):
    model, sizes = MODELS[name]
    assert costs(model, *sizes) == counted(model, *(torch.rand(size) for size in sizes))


@pytest.mark.parametrize(
    "source",
    [
        "timm:resnet18",
        "timm:vit_tiny_patch16_224",
        "timm:mobilevit_xxs",
        "torchvision:swin_v2_t",
        "torchvision:googlenet",
    ],
)
def test_costs_of_libraries_models_are_those_of_an_independent_counter(source):
    loaded = load_model(source)
    row, [size] = measure(source), loaded.input_sizes
    assert (row.params, row.macs) == counted(loaded.module, torch.empty(size, device="meta"))


@pytest.mark.parametrize(
    ("model", "sizes", "macs"),
    [
        (nn.LSTM(6, 5, batch_first=True), [(2, 7, 6)], 2 * 7 * (6 * 20 + 5 * 20)),
        (nn.GRU(6, 5, batch_first=True), [(2, 7, 6)], 2 * 7 * (6 * 15 + 5 * 15)),
        (nn.LSTMCell(6, 5), [(2, 6)], 2 * (6 * 20 + 5 * 20)),
        (nn.Bilinear(3, 4, 5), [(2, 3), (2, 4)], 2 * 5 * (3 * 4 + 4)),
        (Fun(lambda x, y: x @ y), [(2, 6), (6,)], 12),
        (Fun(torch.dot), [(6,), (6,)], 6),
        (nn.Embedding(50, 8), [(2, 12)], 0),
        (nn.BatchNorm2d(4), [(2, 4, 3, 3)], 0),
    ],
)
def test_hand_counts(model, sizes, macs):
    assert costs(model, *sizes)[1] == macs


class Guarded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return self.b(y) if y.max() < 9 else y


def test_where_the_forward_pass_stops_half_way_macs_are_unknown():
    with pytest.raises(RefusedError, match="depends on the values of its input") as caught:
        nnmass.analyze(Guarded(), (1, 3, 8, 8))
    error = caught.value
    assert (error.params, error.macs, error.uncounted) == (
        sum(p.numel() for p in Guarded().parameters()),
        None,
        "the forward pass cannot be followed there",
    )
    assert error.costs == "260 params, MACs unknown: the forward pass cannot be followed there"


@torch.library.custom_op("nnmass_tests::scale", mutates_args=())
def scale(x: Tensor) -> Tensor:
    return x * 2


scale.register_fake(torch.empty_like)


def test_the_cost_of_somebody_elses_operator_is_unknown():
    class Custom(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.a(x))

    class Refused(Custom):
        def forward(self, x: Tensor) -> Tensor:
            return self.b(scale(self.a(x)))

    class Gate(Custom):
        def forward(self, x: Tensor) -> Tensor:
            return self.b(x * torch.sigmoid(scale(self.a(x).mean((2, 3), keepdim=True))))

    assert costs(Refused(), (1, 3, 4, 4)) == (28, None)
    report = nnmass.analyze(Gate(), (1, 3, 4, 4))
    assert (report.macs, report.flops, report.outside.macs) == (None, None, None)
    assert ("Gate", "the cost of operator nnmass_tests::scale is not known") in report.skipped
    assert str(report).endswith("28 params, MACs unknown")
    assert report.as_dict()["macs"] is None


def test_every_product_among_pytorchs_operators_has_a_cost_or_is_unknown():
    """What PyTorch calls a product, besides what it takes apart by itself."""
    words = ("addmm", "bmm", "convolution", "matmul", "attention", "rnn", "lstm", "gru")
    free = ("_cell", "_cell_backward", "_cell_backward_impl", "_upsample_bilinear2d_aa", "_cudnn_rnn_flatten_weight")
    names = {s.name.removesuffix("_") for s in torch._C._jit_get_all_schemas() if s.name.startswith("aten::")}
    products = {name for name in names if any(word in name for word in words) and not name.endswith(free)}
    left = [name for name in products if name not in _COSTS and not _multiplies(name.removeprefix("aten::"))]
    assert not left


def test_inference_mode_within_the_forward_pass_changes_nothing():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(4, 2)
            self.d = nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.b(self.a(x)).relu_()
            y.view(-1).add_(1)  # also of what it is a view of
            both = self.d(torch.cat([y, x], 1)) + self.a(y)
            return self.c(both.flatten(2).mean(2))

    class Decorated(Net):
        @torch.inference_mode()
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    class Within(Net):
        def forward(self, x: Tensor) -> Tensor:
            with torch.inference_mode(), torch.inference_mode(False), torch.inference_mode():
                return super().forward(x)

    def found(model: nn.Module) -> Any:
        try:
            report = nnmass.analyze(model, (2, 4, 6, 6))
        except RefusedError as error:
            return error.module.replace(type(model).__name__, "Net"), error.reason, error.macs
        return report.nn_mass, report.macs, [node.name for node in report.graph.layers]

    assert found(Decorated()) == found(Within()) == found(Net())
    assert not torch.is_inference_mode_enabled()
    with torch.inference_mode():
        assert found(Decorated()) == found(Net())
    assert trace(nn.Sequential(Decorated()), (1, 4, 6, 6)).params == trace(Net(), (1, 4, 6, 6)).params

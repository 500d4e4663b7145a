"""Weights of ONNX files, wherever the file keeps them, against the same network in PyTorch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nnmass.tracing import analyze, analyze_source, load_model

pytestmark = [  # of torch.onnx.export about its own code
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.*"),
]


class Residual(nn.Module):
    """A residual block with a depthwise, a dense and a transposed convolution, and a linear head over positions."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.c, self.d = nn.Conv2d(4, 4, 3, padding=1), nn.ConvTranspose2d(4, 2, 2, stride=2)
        self.e = nn.Linear(2, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return self.e(self.d(self.c(F.relu(self.b(y))) + y).flatten(2).transpose(1, 2))


SIZE = (1, 3, 8, 8)


def frozen(path: Path, network: nn.Module) -> str:
    module = torch.jit.freeze(torch.jit.script(network))
    torch.onnx.export(module, (torch.rand(SIZE),), str(path), dynamo=False, opset_version=13)
    return str(path)


def stored(path: Path, network: nn.Module, *, dynamo: bool) -> str:
    options = {"dynamo": True, "external_data": False, "verbose": False} if dynamo else {"dynamo": False}
    torch.onnx.export(network, (torch.rand(SIZE),), str(path), **options)
    return str(path)


EXPORTS: dict[str, Callable[[Path, nn.Module], str]] = {
    "frozen": frozen,
    "script": lambda path, network: stored(path, network, dynamo=False),
    "dynamo": lambda path, network: stored(path, network, dynamo=True),
}


@pytest.mark.parametrize("export", EXPORTS)
def test_costs_are_those_of_the_network_and_of_an_independent_counter(tmp_path, export):
    network = Residual().eval()
    report, original = analyze_source(EXPORTS[export](tmp_path / "net.onnx", network)), analyze(network, SIZE)
    assert (report.nn_mass, report.params, report.macs) == (original.nn_mass, original.params, original.macs)
    assert [layer.kind for layer in report.graph.layers] == [layer.kind for layer in original.graph.layers]
    with FlopCounterMode(display=False) as counter:
        network(torch.rand(SIZE))
    assert (report.params, report.macs) == (sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 2)


# How one weight may be given


def initializer(name: str, array: np.ndarray) -> tuple[list[Any], list[Any]]:
    return [], [numpy_helper.from_array(array, name)]


def constant(name: str, array: np.ndarray) -> tuple[list[Any], list[Any]]:
    return [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))], []


def after(operator: str, start: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The same array, moved through an operator that changes it back."""

    def give(name: str, array: np.ndarray) -> tuple[list[Any], list[Any]]:
        before, more = array, []
        if operator == "Transpose":
            before = np.ascontiguousarray(array.transpose())
        elif operator == "Cast":
            before = array.astype(np.float16)
        elif operator in {"Reshape", "Squeeze"}:
            before = {"Reshape": array.reshape(-1), "Squeeze": array[None]}[operator]
            numbers = {"Reshape": array.shape, "Squeeze": (0,)}[operator]
            more = [numpy_helper.from_array(np.array(numbers), f"{name}/numbers")]
        nodes, tensors = start(f"{name}/before", before)
        inputs = [f"{name}/before", *(tensor.name for tensor in more)]
        return [*nodes, helper.make_node(operator, inputs, [name], **options)], [*tensors, *more]

    return give


def dequantized(start: Callable[..., Any]) -> Callable[..., Any]:
    def give(name: str, array: np.ndarray) -> tuple[list[Any], list[Any]]:
        nodes, tensors = start(f"{name}/whole", array.astype(np.int8))
        tensors = [*tensors, numpy_helper.from_array(np.array(1, np.float32), f"{name}/scale")]
        inputs = [f"{name}/whole", f"{name}/scale"]
        return [*nodes, helper.make_node("DequantizeLinear", inputs, [name])], tensors

    return give


def sparse(name: str, array: np.ndarray) -> tuple[list[Any], list[Any]]:
    values, indices = (numpy_helper.from_array(a) for a in (array.ravel(), np.arange(array.size)))
    value = helper.make_sparse_tensor(values, indices, array.shape)
    return [helper.make_node("Constant", [], [name], sparse_value=value)], []


def floats(name: str, array: np.ndarray) -> tuple[list[Any], list[Any]]:
    nodes = [helper.make_node("Constant", [], [f"{name}/flat"], value_floats=array.ravel().tolist())]
    nodes += [helper.make_node("Constant", [], [f"{name}/shape"], value_ints=list(array.shape))]
    return [*nodes, helper.make_node("Reshape", [f"{name}/flat", f"{name}/shape"], [name])], []


def filled(name: str, array: np.ndarray) -> tuple[list[Any], list[Any]]:
    shape = numpy_helper.from_array(np.array(array.shape), f"{name}/shape")
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [2.0])
    return [helper.make_node("ConstantOfShape", [shape.name], [name], value=value)], [shape]


GIVEN = {
    "initializer": initializer,
    "constant": constant,
    "sparse": sparse,
    "floats": floats,
    "filled": filled,
    "identity": after("Identity", constant),
    "identity of an initializer": after("Identity", initializer),
    "transposed": after("Transpose", constant),
    "transposed twice": after("Transpose", after("Transpose", constant)),
    "cast": after("Cast", constant, to=TensorProto.FLOAT),
    "cast initializer": after("Cast", initializer, to=TensorProto.FLOAT),
    "reshaped": after("Reshape", constant),
    "squeezed": after("Squeeze", constant),
    "dequantized": dequantized(constant),
    "dequantized initializer": dequantized(initializer),
}
LAYERS = {  # operator: shapes of its input, weight and bias, options, and MACs
    "Conv": ([1, 4, 5, 5], [6, 4, 3, 3], [6], {}, 9 * 6 * 4 * 9),
    "depthwise": ([1, 4, 5, 5], [4, 1, 3, 3], [4], {"group": 4}, 9 * 4 * 9),
    "ConvTranspose": ([1, 4, 5, 5], [4, 6, 2, 2], [6], {}, 25 * 4 * 6 * 4),
    "Gemm": ([1, 4], [4, 6], [6], {}, 24),
    "MatMul": ([1, 3, 4], [4, 6], None, {}, 3 * 24),
    "transposed Gemm": ([1, 4], [6, 4], [6], {"transB": 1}, 24),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("way", GIVEN)
def test_a_weight_is_a_parameter_however_it_is_given(tmp_path, way, layer):
    size, shape, bias, options, macs = LAYERS[layer]
    rng = np.random.default_rng(0)
    weight = np.full(shape, 2.0, np.float32) if way == "filled" else rng.integers(1, 9, shape).astype(np.float32)
    nodes, tensors = GIVEN[way]("w", weight)
    inputs, expected = ["x", "w"], weight.size
    if bias is not None:
        more, stored_bias = constant("b", np.arange(6, dtype=np.float32)[: bias[0]])
        nodes, tensors, inputs, expected = [*nodes, *more], [*tensors, *stored_bias], [*inputs, "b"], expected + bias[0]
    operator = {"depthwise": "Conv", "transposed Gemm": "Gemm"}.get(layer, layer)
    nodes.append(helper.make_node(operator, inputs, ["y"], **options))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in (("x", size), ("y", None))]
    model = helper.make_model(
        helper.make_graph(nodes, "g", values[:1], values[1:], tensors),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "net.onnx")
    report = analyze_source(str(tmp_path / "net.onnx"))
    assert (report.params, report.macs, len(report.graph.layers)) == (expected, macs, 1)
    assert report.graph.layers[0].params == expected
    x = rng.random(size).astype(np.float32)
    given = load_model(str(tmp_path / "net.onnx")).module(torch.from_numpy(x))
    if way == "sparse" or way.startswith("dequantized"):  # which the reference does not run in this version
        return
    [reference] = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(given.numpy(force=True), reference, rtol=1e-5)


def test_constants_that_somebody_wrote_down_are_no_parameters(tmp_path):
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(
                (x - torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)) / torch.tensor([2.0, 3.0, 4.0]).view(3, 1, 1)
            )

    network = Normalised().eval()
    source = stored(tmp_path / "net.onnx", network, dynamo=False)
    assert analyze_source(source).params == sum(p.numel() for p in network.parameters())


class Twice(nn.Module):
    """A layer and its bias in two places, and a layer of their own each."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Conv2d(3, 3, 3, padding=1)
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.slopes = nn.PReLU(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.shared(self.slopes(self.first(self.slopes(self.shared(x))))))


@pytest.mark.parametrize(
    ("export", "zeros"), [*((export, False) for export in EXPORTS), ("frozen", True), ("script", True)]
)
def test_shared_weights_count_once(tmp_path, export, zeros):
    network = Twice().eval()
    if zeros:  # which exporters merge, also those of different layers, or (dynamo) leave out
        for layer in (network.shared, network.first, network.second):
            nn.init.zeros_(layer.bias)
    nn.init.uniform_(network.slopes.weight)
    report = analyze_source(EXPORTS[export](tmp_path / "net.onnx", network))
    assert report.params == sum(p.numel() for p in network.parameters())
    assert report.macs == analyze(network, SIZE).macs


def test_tables_of_vectors_are_read_by_token_ids(tmp_path):
    network = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2)).eval()
    tokens = torch.tensor([[0, 8, 3]])
    torch.onnx.export(network, (tokens,), str(tmp_path / "net.onnx"), dynamo=False)
    model = load_model(str(tmp_path / "net.onnx"))
    assert model.input_types == (torch.int64,)
    torch.testing.assert_close(model.module(tokens), network(tokens))
    report = analyze_source(str(tmp_path / "net.onnx"))
    assert (report.params, report.macs, report.input_types) == (36 + 26, 24, ("int64",))
    assert [layer.width for layer in report.graph.layers] == [4, 2]

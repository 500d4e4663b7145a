from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from nnmass import DenseCNN
from nnmass.errors import InvalidValueError, ModelError, NNMassError
from nnmass.networks import build
from nnmass.tracing import analyze, analyze_source
from nnmass.tracing.libraries import import_library
from nnmass.tracing.sources import load_model

pytestmark = [  # of torch.onnx.export about its own code
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.*"),
]
EXPORTERS = {"dynamo": {"dynamo": True, "external_data": False, "verbose": False}, "script": {"dynamo": False}}


def trained(network: nn.Module) -> nn.Module:
    """With statistics and biases that are not all alike, which exporters would merge or leave out."""
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if tensor.is_floating_point() and tensor.ndim == 1:
            nn.init.uniform_(tensor.data, 0.5 if name.endswith(("running_var", "weight")) else -0.2, 1.5)
    return network.eval()


def export(network: nn.Module, x: torch.Tensor, path: Path, **options: Any) -> str:
    torch.onnx.export(network, (x,), str(path), **options)
    return str(path)


def of_torchvision(name: str) -> nn.Module:
    torch.manual_seed(0)
    return trained(import_library("torchvision.models").get_model(name))


def own(_: str) -> nn.Module:
    return trained(build(DenseCNN(widths=(4, 8), depth=6, max_skips=(6, 9), conv="separable", image_size=64)))


@pytest.mark.parametrize(
    ("name", "exporter"),
    [
        ("our DenseCNN", "dynamo"),
        ("resnet18", "dynamo"),
        ("our DenseCNN", "script"),
        ("resnet18", "script"),
        ("mobilenet_v2", "script"),
        ("densenet121", "script"),
        ("shufflenet_v2_x0_5", "script"),
    ],
)
def test_exported_networks_are_read(tmp_path, name, exporter):
    network = (own if name.startswith("our") else of_torchvision)(name)
    x = torch.rand(2, 3, 64, 64)
    model = load_model(export(network, x, tmp_path / "net.onnx", **EXPORTERS[exporter]))
    assert model.input_sizes == ((2, 3, 64, 64),)
    with torch.no_grad():
        expected = network(x)
        torch.testing.assert_close(model.module(x), expected, rtol=0, atol=1e-5 * expected.abs().max().item())
    found, original = (analyze(module, (2, 3, 64, 64)) for module in (model.module, network))
    assert (found.nn_mass, found.macs) == (pytest.approx(original.nn_mass), original.macs)
    assert found.params <= original.params  # norms are folded into the convolutions before them


def test_sizes_are_computed_where_the_batch_is_open(tmp_path):
    network = of_torchvision("shufflenet_v2_x0_5")
    options = {"dynamo": False, "input_names": ["image"], "dynamic_axes": {"image": [0, 2, 3]}}
    source = export(network, torch.rand(2, 3, 64, 64), tmp_path / "net.onnx", **options)
    model = load_model(source, image_size=96)
    assert model.input_sizes == ((1, 3, 96, 96),)
    assert load_model(source).input_sizes is None
    x = torch.rand(3, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(model.module(x), network(x), rtol=0, atol=1e-5)
    assert analyze(model.module, model.input_sizes).macs == analyze(network, (1, 3, 96, 96)).macs


class Tied(nn.Module):
    """Kernels that are shared, and vectors that happen to be equal."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.second.weight = self.first.weight
        self.norm = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm[1](torch.relu(self.norm[0](torch.relu(self.second(torch.relu(self.first(x)))))))


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_kernels_are_shared_and_vectors_are_not(tmp_path, exporter):
    network = Tied().eval()
    x = torch.rand(1, 3, 8, 8)
    module = load_model(export(network, x, tmp_path / "net.onnx", **EXPORTERS[exporter])).module
    assert sum(p.numel() for p in module.parameters()) == 9 + 2 * 3 + 2 * 2 * 3
    torch.testing.assert_close(module(x), network(x))


def test_weights_in_another_file_are_not_needed(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3)).eval()
    source = export(network, torch.rand(1, 3, 8, 8), tmp_path / "net.onnx", dynamo=True, verbose=False)
    (tmp_path / "net.onnx.data").unlink()
    model = load_model(source)
    assert analyze(model.module, model.input_sizes).macs == analyze(network, (1, 3, 8, 8)).macs
    assert model.module.get_parameter("2.weight").is_meta


# Graphs made by hand


def graph(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    *,
    stored: dict[str, np.ndarray] | None = None,
    kind: int = onnx.TensorProto.FLOAT,
    size: Sequence[int | str] | None = (1, 4),
    outputs: Sequence[str] = ("y",),
    domains: Sequence[tuple[str, int]] = (("", 17),),
    **more: Any,
) -> str:
    inputs = [helper.make_tensor_value_info("x", kind, size)]
    given = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    initializers = [numpy_helper.from_array(array, name) for name, array in (stored or {}).items()]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, given, initializers, **more),
        opset_imports=[helper.make_opsetid(*domain) for domain in domains],
    )
    onnx.save(model, path / "net.onnx")
    return str(path / "net.onnx")


def node(operator: str, *inputs: str, **options: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, options.pop("outputs", ["y"]), **options)


def test_weights_are_parameters_and_numbers_to_go_by_are_not(tmp_path):
    nodes = [
        node("MatMul", "x", "dense.weight", outputs=["a"]),
        node("Add", "a", "dense.bias", outputs=["b"]),
        node("Pow", "b", "power", outputs=["c"]),
        node("Mul", "c", "halved", outputs=["d"], name="/scale/Mul"),
        node("Constant", outputs=["two"], value_float=2.0),
        node("Constant", outputs=["shape"], value_ints=[1, 2, 2]),
        node("Div", "d", "two", outputs=["e"]),
        node("Reshape", "e", "shape"),
    ]
    stored = {
        "dense.weight": np.eye(4, dtype=np.float32),
        "dense.bias": np.ones(4, dtype=np.float32),
        "power": np.full(4, 2, dtype=np.float32),
        "halved": np.array(0.5, dtype=np.float32),
        "unused": np.ones(9, dtype=np.float32),
    }
    module = load_model(graph(tmp_path, nodes, stored=stored)).module
    assert {name for name, _ in module.named_parameters()} == {"dense.weight", "dense.bias"}
    assert {name for name, _ in module.named_buffers()} == {"power", "halved", "two", "shape"}
    assert {"dense", "/scale/Mul", "Div_6"} <= {name for name, _ in module.named_modules()}
    assert module(torch.arange(4.0)[None]).tolist() == [[[0.25, 1.0], [2.25, 4.0]]]


def test_functions_of_the_file_are_understood(tmp_path):
    body = [node("Mul", "a", "a", outputs=["b"]), node("Relu", "b", outputs=["c"])]
    function = helper.make_function("own", "Square", ["a"], ["c"], body, [helper.make_opsetid("", 17)])
    source = graph(tmp_path, [node("Square", "x", domain="own")], domains=[("", 17), ("own", 1)])
    model = onnx.load(source)
    model.functions.append(function)
    onnx.save(model, source)
    assert load_model(source).module(torch.tensor([[-2.0]])).tolist() == [[4.0]]


def test_brain_floats_and_double_outputs_are_understood(tmp_path):
    stored = helper.make_tensor("w", onnx.TensorProto.BFLOAT16, [2], [1.5, -2.0])
    source = graph(tmp_path, [node("Cast", "w", to=1, outputs=["v"]), node("Add", "x", "v")], outputs=["y", "v"])
    model = onnx.load(source)
    model.graph.initializer.append(stored)
    onnx.save(model, source)
    y, v = load_model(source).module(torch.ones(1, 2))
    assert (y.tolist(), v.tolist()) == ([[2.5, -1.0]], [1.5, -2.0])


def test_sizes_are_those_of_the_file(tmp_path):
    assert load_model(graph(tmp_path, [node("Relu", "x")], size=("n", 3, 8, 8))).input_sizes == ((1, 3, 8, 8),)
    with pytest.raises(ModelError, match=r"net.onnx is a graph for images of 8 × 8, not 9 × 9"):
        load_model(str(tmp_path / "net.onnx"), image_size=9)


def test_an_input_without_a_shape_must_be_given_one(tmp_path):
    source = graph(tmp_path, [node("Relu", "x")], size=None)
    assert load_model(source).input_sizes is None
    with pytest.raises(InvalidValueError, match=r"does not say the size of its input: .*--input-size"):
        analyze_source(source)
    assert analyze_source(source, input_sizes=[(1, 3)]).input_sizes == ((1, 3),)


def test_the_number_of_inputs_is_checked(tmp_path):
    with pytest.raises(ModelError, match="the graph takes 1 tensors, got 2"):
        load_model(graph(tmp_path, [node("Relu", "x")])).module(torch.ones(1), torch.ones(1))


BRANCH = helper.make_graph([node("Relu", "x", outputs=["z"])], "b", [], [helper.make_tensor_value_info("z", 1, None)])


@pytest.mark.parametrize(
    ("nodes", "options", "message"),
    [
        ([node("LSTM", "x", name="rnn")], {}, r"operator LSTM \(node rnn\) is not understood"),
        ([node("TopK", "x")], {}, r"operator TopK \(node TopK_0\) is not understood"),
        (
            [node("FusedConv", "x", domain="com.microsoft")],
            {},
            r"operator com.microsoft.FusedConv \(node FusedConv_0\)",
        ),
        ([node("If", "x", then_branch=BRANCH, else_branch=BRANCH)], {}, "node If_0: control flow is not understood"),
        ([node("Relu", "no", name="r")], {}, r"Relu \(node r\): input 'no', which no node before it gives, is not "),
        ([node("Relu", "x"), node("Relu", "x")], {}, r"Relu \(node Relu_1\): 'y', which is there already, is not"),
        ([node("Relu", outputs=[])], {}, r"Relu \(node Relu_0\) gives nothing"),
        ([node("Relu", "y", outputs=["z"]), node("Relu", "z")], {}, r"Relu \(node Relu_0\): input 'y', which no node"),
        ([node("Constant", name="c")], {}, r"Constant \(node c\): a constant of 0 values is not understood"),
        ([node("Relu", "x")], {"outputs": ["z"]}, "output 'z', which no node gives as its first, is not understood"),
        ([node("MaxPool", "x", kernel_shape=[2], outputs=["y", "z"])], {"outputs": ["z"]}, "output 'z', which no node"),
        ([node("Relu", "x")], {"kind": 17}, "input x holds type 17, which is not understood"),
        ([node("Relu", "x")], {"domains": [("", 5)]}, "operator set 5 is not understood; 6 and later are"),
        ([node("Relu", "x")], {"domains": [("own", 5)]}, "operator set 0 is not understood"),
        ([node("Add", "x", "w")], {"stored": {"w": np.array(["a"])}}, "tensor w: type 8 is not understood"),
        ([node("Constant", value_string="a")], {}, r"Constant \(node y\): value_string is not understood"),
        ([node("Add", "x", "x", broadcast=1, axis=1)], {}, r"Add \(node Add_0\): broadcasting from an axis on is not"),
    ],
)
def test_what_is_not_understood_is_told_in_one_line(tmp_path, nodes, options, message):
    with pytest.raises(ModelError, match=rf"net.onnx: {message}") as caught:
        load_model(graph(tmp_path, nodes, **options))
    assert "\n" not in str(caught.value)


def sparse_tensor(indices: np.ndarray, *, dims: Sequence[int] = (2, 2), name: str = "w") -> onnx.SparseTensorProto:
    values = numpy_helper.from_array(np.ones(len(indices), dtype=np.float32), name)
    return helper.make_sparse_tensor(values, numpy_helper.from_array(indices, "i"), dims)


@pytest.mark.parametrize("indices", [np.array([0, 3]), np.array([[0, 0], [1, 1]])])
def test_sparse_tensors_are_weights(tmp_path, indices):
    sparse = sparse_tensor(indices)
    stored = graph(tmp_path, [node("Gemm", "x", "w")], sparse_initializer=[sparse], size=(1, 2))
    constant = [node("Constant", outputs=["w"], sparse_value=sparse), node("Gemm", "x", "w")]
    (tmp_path / "constant").mkdir()
    for source in (stored, graph(tmp_path / "constant", constant, size=(1, 2))):
        model = load_model(source)
        assert model.module(torch.tensor([[2.0, 3.0]])).tolist() == [[2.0, 3.0]]
        assert analyze(model.module, (1, 2)).params == 4


@pytest.mark.parametrize(
    ("sparse", "message"),
    [
        (sparse_tensor(np.array([0, 4])), "tensor w cannot be read: its indices do not fit"),
        (sparse_tensor(np.array([0, -1])), "tensor w cannot be read: its indices do not fit"),
        (sparse_tensor(np.array([[0, 0, 0]])), "tensor w cannot be read: 2 dimensions, indices for 3"),
        (sparse_tensor(np.array([0]), dims=[-2, 2]), "tensor w cannot be read: it cannot have the dimensions"),
        (sparse_tensor(np.array([0]), dims=[2**40, 2]), "tensor w cannot be read: it cannot have the dimensions"),
        (sparse_tensor(np.array([0]), dims=[2**39]), "the sparse tensor w: needs 8.0 TiB of memory"),
    ],
)
def test_sparse_tensors_that_do_not_fit_are_refused(tmp_path, sparse, message):
    with pytest.raises(NNMassError, match=message):
        load_model(graph(tmp_path, [node("Gemm", "x", "w")], sparse_initializer=[sparse]))


def external(tensor: str, kind: int, location: str) -> onnx.TensorProto:
    stored = onnx.TensorProto(name=tensor, data_type=kind, dims=[2], data_location=onnx.TensorProto.EXTERNAL)
    stored.external_data.add(key="location", value=location)
    return stored


@pytest.mark.parametrize("location", ["missing.data", "../secret", "/etc/hostname"])
def test_indices_in_another_file_must_be_there_beside_it(tmp_path, location):
    (tmp_path / "secret").write_bytes(bytes(16))
    (tmp_path / "folder").mkdir()
    source = graph(tmp_path / "folder", [node("Gather", "x", "i")])
    model = onnx.load(source)
    model.graph.initializer.append(external("i", onnx.TensorProto.INT64, location))
    onnx.save(model, source)
    with pytest.raises(ModelError, match=r"net.onnx: tensor i cannot be read: .*"):
        load_model(source)


@pytest.mark.parametrize("content", [b"", b"no such thing", b"\x08\x07", bytes(100)])
def test_files_that_are_no_onnx_files_are_told(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"net.onnx is not an ONNX file"):
        load_model(str(tmp_path / "net.onnx"))


def test_missing_files_are_told(tmp_path):
    with pytest.raises(ModelError, match=r"net.onnx: no such file"):
        load_model(str(tmp_path / "net.onnx"))

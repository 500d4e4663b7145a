import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnmass import DenseCNN
from nnmass.errors import ModelError
from nnmass.networks import build
from nnmass.tracing import analyze, analyze_source, measure
from nnmass.tracing.exported_module import _OPENS_FILES
from nnmass.tracing.sources import load_model

pytestmark = [  # of torch.export.save: about its own code, and about a buffer that is a view
    pytest.mark.filterwarnings("ignore:`isinstance:FutureWarning"),
    pytest.mark.filterwarnings("ignore:No complete tensor found:UserWarning"),
]


class Net(nn.Module):
    """Shared weights, buffers of all kinds, several results of one operator, open sizes, nested inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.left = nn.Conv2d(4, 4, 1)
        self.right = nn.Conv2d(4, 4, 1)
        self.right.weight = self.left.weight
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)
        self.register_buffer("order", torch.tensor([2, 0, 1]), persistent=False)
        self.register_buffer("scale", torch.rand(2, 2).t())
        self.register_buffer("nothing", torch.zeros(0, 3))
        self.weights = torch.arange(4.0)

    def forward(self, x: torch.Tensor, more: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        left, right = self.norm(self.stem(x[:, self.order])).chunk(2, 1)
        best, _ = torch.max(right, 1, keepdim=True)
        right = self.right(right) * self.weights.view(1, 4, 1, 1)
        x = torch.cat([self.left(left) * self.scale.reshape(1, 4, 1, 1) + best, right], 1)
        x = x.mean((2, 3)).view(x.shape[0], -1)
        return {"y": self.head(x) + more["z"], "sum": x.sum(), "infinity": x.clamp(max=float("inf"))}


@pytest.fixture(scope="module")
def program() -> torch.export.ExportedProgram:
    torch.manual_seed(0)
    batch = torch.export.Dim("batch")
    inputs = (torch.rand(4, 3, 8, 8), {"z": torch.rand(4, 5)})
    return torch.export.export(Net().eval(), inputs, dynamic_shapes=({0: batch}, {"z": {0: batch}}))


@pytest.fixture(scope="module")
def saved(program, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("program") / "net.pt2"
    torch.export.save(program, file)
    return file


@pytest.fixture
def file(saved, tmp_path) -> Path:
    return shutil.copy(saved, tmp_path / "net.pt2")


def rewrite(file: Path, change: Callable[[str, bytes], bytes]) -> None:
    with ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))


def edit(file: Path, member: str, change: Callable[[dict], object]) -> None:
    def edited(name: str, content: bytes) -> bytes:
        if not name.endswith(member):
            return content
        data = json.loads(content)
        change(data)
        return json.dumps(data).encode()

    rewrite(file, edited)


def with_weights(source: str, weights: dict[str, torch.Tensor]) -> nn.Module:
    module = load_model(source).module
    module.load_state_dict(weights, strict=False, assign=True)
    return module


@pytest.mark.parametrize("decomposed", [False, True])
def test_programs_compute_what_the_original_does(program, tmp_path, decomposed):
    program = program.run_decompositions() if decomposed else program
    torch.export.save(program, tmp_path / "net.pt2")
    module = with_weights(str(tmp_path / "net.pt2"), program.state_dict)
    x, z = torch.rand(3, 3, 8, 8), torch.rand(3, 5)
    for found, expected in zip(module(x, z), program.module()(x, {"z": z}).values(), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x0_5"])
def test_programs_of_torchvision_are_read(tmp_path, name):
    from nnmass.tracing.libraries import import_library

    network = import_library("torchvision.models").get_model(name).eval()
    x = torch.rand(1, 3, 64, 64)
    torch.export.save(torch.export.export(network, (x,)), tmp_path / "net.pt2")
    module = with_weights(str(tmp_path / "net.pt2"), network.state_dict())
    torch.testing.assert_close(module(x), network(x))


def test_our_own_networks_are_read(tmp_path):
    network = build(DenseCNN(widths=(4, 8), depth=5, max_skips=(6, 8), image_size=8)).eval()
    x = torch.rand(2, 3, 8, 8)
    torch.export.save(torch.export.export(network, (x,)), tmp_path / "net.pt2")
    model = load_model(str(tmp_path / "net.pt2"))
    assert model.input_sizes == ((2, 3, 8, 8),)
    torch.testing.assert_close(with_weights(model.name, network.state_dict())(x), network(x))


class Front(nn.Module):
    """Arithmetic on open sizes, an assertion, arguments and results that are no tensors."""

    def forward(self, x: torch.Tensor, power: int) -> tuple[torch.Tensor, None, int]:
        length = x.shape[2] // 2
        torch._assert_async(x.isfinite().all())
        return x[:, :, :length] ** power, None, length


def test_sizes_are_computed_with(tmp_path):
    length = torch.export.Dim("length", min=3)
    program = torch.export.export(Front(), (torch.rand(1, 2, 8), 2), dynamic_shapes=({2: 2 * length}, None))
    torch.export.save(program, tmp_path / "net.pt2")
    x = torch.rand(1, 2, 12)
    y, nothing, half = load_model(str(tmp_path / "net.pt2")).module(x)
    torch.testing.assert_close(y, x[:, :, :6] ** 2)
    assert (nothing, half) == (None, 6)


def test_parameters_are_on_meta_and_buffers_have_values(file):
    module = load_model(str(file)).module
    original = Net()
    assert {name: p.shape for name, p in module.named_parameters()} == {
        name: p.shape for name, p in original.named_parameters()
    }
    assert all(parameter.is_meta for parameter in module.parameters())
    assert module.left.weight is module.right.weight
    assert module.order.tolist() == [2, 0, 1]
    assert module.weights.tolist() == [0, 1, 2, 3]
    assert module.nothing.shape == (0, 3)


def test_operators_have_the_places_that_they_had(file):
    module = load_model(str(file)).module
    assert {"stem", "left", "right", "norm", "head"} <= {name for name, _ in module.named_modules()}


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_an_analysis_is_that_of_the_original(tmp_path, name):
    original = load_model(f"torchvision:{name}")
    program = torch.export.export(original.module.to_empty(device="cpu").eval(), (torch.rand(1, 3, 64, 64),))
    torch.export.save(program, tmp_path / "net.pt2")
    model = load_model(str(tmp_path / "net.pt2"))
    found, expected = (analyze(module, (1, 3, 64, 64)) for module in (model.module, original.module))
    assert (found.nn_mass, found.params, found.macs) == (expected.nn_mass, expected.params, expected.macs)
    assert [node.name for node in found.graph.nodes] == [node.name for node in expected.graph.nodes]


def test_an_open_batch_is_one_and_other_sizes_are_those_of_the_example(file):
    assert load_model(str(file)).input_sizes == ((1, 3, 8, 8), (1, 5))
    assert load_model(str(file), image_size=8).input_sizes == ((1, 3, 8, 8), (1, 5))
    with pytest.raises(ModelError, match=r"net.pt2 is a graph for images of 8 × 8, not 9 × 9$"):
        load_model(str(file), image_size=9)


def test_open_image_sizes_take_the_one_given(tmp_path):
    side = torch.export.Dim("side", min=4)
    program = torch.export.export(nn.Conv2d(3, 2, 3), (torch.rand(2, 3, 9, 9),), dynamic_shapes=({2: side, 3: side},))
    torch.export.save(program, tmp_path / "net.pt2")
    assert load_model(str(tmp_path / "net.pt2")).input_sizes == ((2, 3, 9, 9),)
    assert load_model(str(tmp_path / "net.pt2"), image_size=16).input_sizes == ((2, 3, 16, 16),)


def test_the_number_of_inputs_is_checked(file):
    with pytest.raises(ModelError, match="the program takes 2 tensors, got 1"):
        load_model(str(file)).module(torch.rand(1, 3, 8, 8))


# A file must not run code.


class Payload:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def pickled(tmp_path) -> bytes:
    """A pickle that makes the folder `ran` when it is loaded."""
    content = pickle.dumps(Payload(tmp_path / "ran"))
    pickle.loads(content)
    (tmp_path / "ran").rmdir()
    return content


def test_pickled_examples_are_not_loaded(file, pickled, tmp_path):
    rewrite(file, lambda name, content: pickled if "sample_inputs" in name else content)
    assert load_model(str(file)).input_sizes is not None
    assert not (tmp_path / "ran").exists()


def with_pickle(file: Path, kind: str, name: str, pickled: bytes) -> None:
    """Have a tensor of a program stored as a pickle."""
    members = []

    def mark(data: dict) -> None:
        data["config"][name]["use_pickle"] = True
        members.append(f"/data/{kind}/{data['config'][name]['path_name']}")

    edit(file, f"model_{kind}_config.json", mark)
    rewrite(file, lambda member, content: pickled if member.endswith(members[0]) else content)


@pytest.mark.parametrize(("kind", "name"), [("weights", "scale"), ("constants", "order"), ("constants", "weights")])
def test_pickled_tensors_are_refused(file, pickled, tmp_path, kind, name):
    with_pickle(file, kind, name, pickled)
    with pytest.raises(
        ModelError, match=f"net.pt2: {name} is stored as a pickle, which could run code, and is not read"
    ):
        load_model(str(file))
    assert not (tmp_path / "ran").exists()


def test_values_of_parameters_are_not_read_at_all(file, pickled, tmp_path):
    with_pickle(file, "weights", "head.bias", pickled)
    assert load_model(str(file)).module.head.bias.shape == (5,)
    assert not (tmp_path / "ran").exists()


def test_guards_and_expressions_are_not_evaluated(program, file, tmp_path):
    code = f"__import__('os').mkdir({str(tmp_path / 'ran')!r})"

    def change(data: dict) -> None:
        data["guards_code"] = [code]
        for meta in data["graph_module"]["graph"]["tensor_values"].values():
            for length in meta["sizes"]:
                if "as_expr" in length:
                    length["as_expr"]["expr_str"] = code

    edit(file, "model.json", change)
    with_weights(str(file), program.state_dict)(torch.rand(1, 3, 8, 8), torch.rand(1, 5))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "target",
    [
        "torch.load",
        "torch.os.system",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.save.default",
        "torch.ops.aten.__class__.mro",
        "torch.ops.aten.no_such.default",
        "torch.ops.aten.relu.no_such",
        "torch.ops.torchvision.nms.default",
        "torch.ops.higher_order.cond",
        "torch.ops.load_library",
        "_operator.attrgetter",
        "math.no",
        "#some.extension",
    ],
)
def test_other_operators_than_those_of_pytorch_are_refused(file, target):
    edit(file, "model.json", lambda data: data["graph_module"]["graph"]["nodes"][3].update(target=target))
    with pytest.raises(ModelError, match=f"net.pt2: operator {re.escape(target)} is not understood; only PyT"):
        load_model(str(file))


def test_no_other_operator_of_pytorch_takes_a_file_name():
    schemas = [schema for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("aten::")]
    opening = {s.name[6:] for s in schemas if any("file" in argument.name for argument in s.arguments)}
    assert opening == _OPENS_FILES


# What cannot be read is told in one line.


def test_control_flow_is_refused(tmp_path):
    class Branch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))

    torch.export.save(torch.export.export(Branch(), (torch.rand(3),)), tmp_path / "net.pt2")
    with pytest.raises(ModelError, match=r"operator torch.ops.higher_order.cond is not understood"):
        load_model(str(tmp_path / "net.pt2"))


def test_inputs_have_the_types_of_the_program(tmp_path):
    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e, self.f = nn.Embedding(5, 3), nn.Linear(3, 2)

        def forward(self, tokens: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
            return self.f(self.e(tokens) * kept[..., None])

    inputs = (torch.zeros(1, 4, dtype=torch.int64), torch.ones(1, 4, dtype=torch.bool))
    torch.export.save(torch.export.export(Text(), inputs), tmp_path / "net.pt2")
    report = analyze_source(str(tmp_path / "net.pt2"))
    assert (report.input_types, report.params, report.macs) == (("int64", "bool"), 15 + 8, 4 * 6)


@pytest.mark.filterwarnings("ignore:The tensor attributes self.recurrent:UserWarning")
def test_costs_are_those_of_an_independent_counter(tmp_path):
    class Tied(nn.Module):
        """Attention and a transposed convolution; a layer and a vector in two places; a recurrent layer."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.ConvTranspose2d(4, 4, 2, stride=2)
            self.c, self.d = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
            self.d.weight, self.d.bias = self.c.weight, self.c.bias
            self.attention, self.recurrent = nn.MultiheadAttention(4, 2, batch_first=True), nn.GRU(4, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.d(self.c(self.c(self.b(self.a(x))))).flatten(2).transpose(1, 2)
            return self.recurrent(self.attention(x, x, x)[0][:, :3])[0]

    network, x = Tied().eval(), torch.rand(1, 3, 4, 4)
    torch.export.save(torch.export.export(network, (x,)), tmp_path / "net.pt2")
    row = measure(str(tmp_path / "net.pt2"))
    params = sum(p.numel() for p in network.parameters())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.to("meta")(x.to("meta"))
    assert (row.outcome, row.params, row.macs) == ("refused", params, counter.get_total_flops() // 2)


@pytest.mark.parametrize(
    ("argument", "kind"),
    [({"as_graph": {}}, "graph"), ({"as_custom_obj": {"name": "a"}}, "custom_obj")],
)
def test_arguments_that_are_no_values_are_refused(file, argument, kind):
    edit(file, "model.json", lambda data: data["graph_module"]["graph"]["nodes"][3]["inputs"][0].update(arg=argument))
    with pytest.raises(ModelError, match=f"net.pt2: an argument of kind {kind} is not understood"):
        load_model(str(file))


def test_inputs_that_are_no_tensors_are_refused(file):
    change = {"custom_obj": {"arg": {"name": "a", "class_fqn": "b"}, "custom_obj_name": "c"}}
    edit(file, "model.json", lambda data: data["graph_module"]["signature"]["input_specs"].append(change))
    with pytest.raises(ModelError, match=r"net.pt2: an input is a custom_obj of another kind than a tensor"):
        load_model(str(file))


def test_another_schema_is_refused(file):
    edit(file, "model.json", lambda data: data["schema_version"].update(major=9))
    with pytest.raises(ModelError, match=r"net.pt2: the program has schema 9; 8 is understood"):
        load_model(str(file))


@pytest.mark.parametrize("key", ["graph_module", "schema_version"])
def test_damaged_programs_are_told(file, key):
    edit(file, "model.json", lambda data: data.pop(key))
    with pytest.raises(ModelError, match=rf"net.pt2 cannot be read \(KeyError: '{key}'\)"):
        load_model(str(file))


def test_truncated_weights_are_told(file):
    rewrite(file, lambda name, content: content[:4] if "tensor_" in name else content)
    with pytest.raises(ModelError, match=r"net.pt2 cannot be read \(\w+: "):
        load_model(str(file))


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "net.pt2"
    with pytest.raises(ModelError, match=r"net.pt2: no such file"):
        load_model(str(file))
    file.write_text("no zip archive")
    with pytest.raises(ModelError, match=r"net.pt2 is not a file of torch.export.save"):
        load_model(str(file))
    torch.save({"weights": torch.zeros(2)}, file)
    with pytest.raises(ModelError, match=r"net.pt2: holds no program in the format of torch.export.save"):
        load_model(str(file))

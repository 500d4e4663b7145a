import json
import re

import pytest
import torch

from nnmass import ResNet
from nnmass.tracing import load_model

TINY = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        return x + self.second(self.first(x).relu())

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(3, 4), nn.Linear(5, 4)

    def forward(self, left, right):
        return self.left(left) + self.right(right)

class Gram(nn.Linear):
    def forward(self, x):
        y = super().forward(x)
        return y @ y.T

def residual():
    print("making a model")
    return nn.Sequential(nn.Conv2d(3, 4, 3), Block(), Block())

def two():
    return Two()

def number():
    return 7

def gram():
    return nn.Sequential(nn.Linear(8, 8), Gram(8, 8))

def plain():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.py"
    path.write_text(TINY)
    return path


@pytest.fixture(autouse=True, scope="module")
def imported():
    """What the libraries say while they are imported is said here."""
    load_model("timm:resnet18")


def test_a_timm_model_has_its_published_mass(nnmass):
    result = nnmass("analyze", "timm:resnet18")
    assert result.code == 0
    assert "timm:resnet18 on 1×3×224×224" in result.out
    assert re.search(r"layer1\.1 … layer2\.0\.conv2 +addition +64 128×2 +2 +64 +1\.000 +192\.00\n", result.out)
    assert "NN-Mass 3,392.00, 11,689,512 params, 1,814,073,344 MACs (3,628,146,688 FLOPs)" in result.out
    assert "Outside every cell: 9.5 % of the layers, 6.5 % of the MACs" in result.out
    assert "Skipped" not in result.out


INPUTS = """
import torch
from torch import nn

class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.f = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, tokens, kept=None):
        x = self.e(tokens)
        return self.f(x if kept is None else x.masked_fill(kept[..., None], 0.0))

class Guarded(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 4, 3)

    def forward(self, x):
        return super().forward(x) if x.max() < 9 else x

def frozen():
    return torch.jit.freeze(torch.jit.script(nn.Conv2d(3, 4, 3).eval()))

def grey():
    return nn.Conv2d(1, 4, 3)
"""


@pytest.fixture
def inputs(tmp_path):
    path = tmp_path / "inputs.py"
    path.write_text(INPUTS)
    return path


def test_inputs_may_be_token_ids_and_masks(nnmass, inputs):
    sizes = ["--input-size", "1,6:int", "--input-size", "1,6:bool"]
    for options, types in ((sizes, ["int64", "bool"]), (sizes[:2], ["int64"]), (["--input-size", "1,6"], ["int64"])):
        result = nnmass("analyze", f"{inputs}:Text", *options, "--json")
        assert result.code == 0, result.err
        values = json.loads(result.out)
        assert (values["input_types"], values["macs"], values["params"]) == (types, 6 * 8, 36 + 10)


def test_where_the_forward_pass_stops_the_costs_are_unknown(nnmass, inputs):
    result = nnmass("analyze", f"{inputs}:Guarded", "--image-size", "16")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert result.err.endswith("; 112 params, MACs unknown: the forward pass cannot be followed there\n")
    values = json.loads(nnmass("analyze", f"{inputs}:Guarded", "--image-size", "16", "--json").out)
    assert (values["params"], values["macs"], values["flops"]) == (112, None, None)
    assert values["uncounted"] == "the forward pass cannot be followed there"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "options", "code", "message"),
    [
        ("frozen", ["--image-size", "16"], 1, "is a frozen TorchScript module"),
        ("Text", ["--input-size", "1,6:float"], 0, ""),
        ("Text", ["--input-size", "1,6:text"], 2, "'1,6:text' is not a size such as 1,3,224,224, or 1,128:int"),
        ("Text", ["--input-size", "1,6:"], 2, "'1,6:' is not a size such as"),
        ("Text", ["--input-size", "9" * 5000], 2, "999…' is not a size such as"),
        ("Text", ["--input-size", f"1,{2**31}"], 1, "at most 2,147,483,647 numbers"),
        ("Text", ["--input-size", f"1,{2**63}"], 1, "at most 2,147,483,647 numbers"),
        ("grey", ["--input-size", "1,1,16,16"], 0, ""),
        (
            "grey",
            ["--image-size", "16"],
            1,
            "is given 3; an image size stands for images of 3 channels",
        ),
        ("grey", ["--image-size", "60000"], 1, "at most 2,147,483,647 numbers"),
        ("Text", [], 1, "(--input-size 1,3,224,224; token ids: --input-size 1,128:int)"),
    ],
)
def test_inputs_that_do_not_fit_are_one_line(nnmass, inputs, name, options, code, message):
    result = nnmass("analyze", f"{inputs}:{name}", *options)
    assert (result.code, result.err.count("\n")) == (code, int(code > 0))
    assert message in result.err


def test_projections_count_or_not(nnmass):
    found = {
        reading: nnmass("analyze", "timm:resnet18", "--projection", reading, "--json").json()
        for reading in ("count", "zero")
    }
    assert found["count"]["nn_mass"] == 3392.0
    assert found["zero"]["nn_mass"] == 3392.0 - 192 - 384 - 768
    assert found["zero"]["projection"] == "zero"


def test_both_readings_of_a_densenet_are_named(nnmass):
    result = nnmass("analyze", "torchvision:densenet121")
    words = " ".join(result.out.split())
    assert "composite, as above" in words
    assert "NN-Mass 3,712.00; every layer a node (and that reader's width does not count), NN-Mass 1,672.05" in words


def test_cells_within_others_are_indented_below_them(nnmass):
    lines = nnmass("analyze", "timm:dla34").out.splitlines()
    outer = next(i for i, line in enumerate(lines) if line.startswith("level2.root.conv … level3.tree2.root.conv"))
    assert lines[outer + 1].startswith("  level3.tree1.tree1 … level3.tree1.root.conv")
    assert "Cells within other cells hold 1,024.00 of the NN-Mass" in lines


def test_gates_are_grouped(nnmass):
    out = nnmass("analyze", "timm:efficientnet_b0").out
    assert "Skipped 16 × gate: scales a tensor by another (blocks.*.*.se)" in out
    assert "Skipped 32 × layer that leads to a gate only (blocks.*.*.se.conv_reduce" in out
    assert out.count("Skipped") == 2


def test_layers_and_small_world_are_shown_where_asked(nnmass):
    plain = nnmass("analyze", "timm:resnet18").out
    asked = nnmass("analyze", "timm:resnet18", "--by-layer", "--small-world").out
    assert re.search(r"\nconv1 +conv +64 +112×112 +7×7 +1 +9,408 +118,013,952\n", asked)
    assert "Graph of 22 layers and inputs: " in asked
    assert "Graph of" not in plain
    values = nnmass("analyze", "timm:resnet18", "--by-layer", "--small-world", "--json").json()
    assert len(values["layers"]) == 21
    assert values["small_world"]["nodes"] == 22
    assert values["flops"] == 2 * values["macs"]


def test_a_model_without_cells_is_uninformative_not_bad(nnmass, file):
    result = nnmass("analyze", f"{file}:plain", "--image-size", "8")
    assert result.code == 0
    assert "uninformative; it does not say that the model is bad" in " ".join(result.out.split())
    values = nnmass("analyze", f"{file}:plain", "--image-size", "8", "--json").json()
    assert (values["outcome"], values["density"], values["cells"]) == ("uninformative", None, [])


def test_a_function_in_a_file_is_called_and_what_it_prints_is_no_answer(nnmass, file):
    result = nnmass("analyze", f"{file}:residual", "--input-size", "1,3,8,8", "--json")
    assert result.json()["nn_mass"] == 16.0
    assert result.err == "making a model\n"
    assert "runs the code of that file" in " ".join(nnmass("analyze", "--help").out.split())


def test_several_inputs(nnmass, file):
    sizes = ("--input-size", "1,3", "--input-size", "1,5")
    values = nnmass("analyze", f"{file}:two", *sizes, "--json").json()
    assert values["input_sizes"] == [[1, 3], [1, 5]]
    assert values["params"] == 4 * 3 + 4 + 4 * 5 + 4


@pytest.mark.parametrize(
    ("source", "options", "code", "message"),
    [
        (
            "FILE:two",
            ["--input-size", "1,3"],
            1,
            "takes 2 inputs (left, right), got sizes of 1: give a size for each",
        ),
        (
            "FILE:residual",
            [],
            1,
            "does not say the size of its input: give a size for each input",
        ),
        (
            "FILE:residual",
            ["--input-size", "1,5,8,8"],
            1,
            "in 0 on (1, 5, 8, 8): a convolution of 3 channels is given 5",
        ),
        ("FILE:residual", ["--input-size", "1,3,8"], 1, "the forward pass fails in"),
        ("FILE:residual", ["--input-size", "1;3"], 2, "'1;3' is not a size such as 1,3,224,224"),
        ("FILE:residual", ["--input-size", "1,0,8,8"], 2, "'1,0,8,8' is not a size such as 1,3,224,224"),
        ("FILE:number", ["--image-size", "8"], 1, "returned int, not a torch.nn.Module"),
        ("FILE:nothing", ["--image-size", "8"], 1, "has no 'nothing'"),
        ("timm:resnet81", [], 1, "nearest: resnet18"),
        ("torchvision:resnet81", [], 1, "nearest: resnet18"),
        ("timm:resnet18", ["--image-size", "0"], 2, "--image-size"),
        ("timm:resnet18", ["--image-size", "64", "--input-size", "1,3,64,64"], 1, "not both"),
        ("timm:resnet18", ["--projection", "half"], 2, "--projection"),
        ("resnet18", [], 1, "'resnet18' names no model: expected timm:NAME"),
        ("spec.json", ["--input-size", "1,3,8,8"], 1, "spec.json: a specification knows the size of its input"),
    ],
)
def test_mistakes_are_one_line(nnmass, file, source, options, code, message):
    result = nnmass("analyze", source.replace("FILE", str(file)), *options)
    assert result.code == code
    assert message in result.err
    assert (result.out, len(result.err.removeprefix("making a model\n").splitlines())) == ("", 1)


def test_a_refused_model_is_one_line_with_its_costs(nnmass):
    result = nnmass("analyze", "timm:vit_tiny_patch16_224")
    assert (result.code, result.out) == (1, "")
    expected = "nnmass: NN-Mass is not defined for this model: blocks.0.attn: product of data with data (attention); "
    assert result.err.startswith(expected + "5,717,416 params, 1,2")
    assert result.err.endswith(" MACs\n")


def test_a_refused_model_is_an_object_with_its_costs(nnmass, file):
    result = nnmass("analyze", f"{file}:gram", "--input-size", "1,8", "--json")
    assert result.code == 1
    assert result.err.startswith("nnmass: NN-Mass is not defined for this model: 1: ")
    assert result.err.count("\n") == 1
    values = result.json()
    assert (values["outcome"], values["module"], values["params"]) == ("refused", "1", 144)
    assert values["reason"]
    assert values["flops"] == 2 * values["macs"]


def test_a_specification_keeps_its_closed_form_and_is_traced_where_asked(nnmass, reference):
    plain = nnmass("analyze", reference, "--json").json()
    assert "traced" not in plain
    values = nnmass("analyze", reference, "--json", "--by-layer").json()
    assert {**plain, "traced": values["traced"]} == values
    assert values["traced"]["nn_mass"] == pytest.approx(plain["nn_mass"], rel=1e-12)
    assert len(values["traced"]["layers"]) == 16
    shown = nnmass("analyze", reference, "--small-world").out
    assert shown.index("DenseMLP: ") < shown.index("Graph of 17 layers and inputs")


def test_a_specification_takes_another_image_size_and_reading_of_projections(nnmass, tmp_path):
    path = ResNet.of_depth(18).to_json(tmp_path / "resnet18.json")
    values = nnmass("analyze", path, "--projection", "zero", "--image-size", "64", "--json", "--by-layer").json()
    assert values["spec"]["image_size"] == 64
    assert values["nn_mass"] == values["traced"]["nn_mass"] == 3392.0 - 192 - 384 - 768
    assert values["traced"]["input_sizes"] == [[1, 3, 64, 64]]
    mlp = tmp_path / "mlp.json"
    mlp.write_text(json.dumps({"family": "DenseMLP", "width": 8, "depth": 16, "max_skips": 12, "in_features": 64}))
    refused = nnmass("analyze", mlp, "--image-size", "64")
    assert refused.code == 1
    assert "a DenseMLP reads no images" in refused.err


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG"), ("a.pdf", b"%PDF")])
def test_the_graph_is_drawn_to_a_file(nnmass, reference, tmp_path, name, start):
    for source in ("timm:resnet18", reference):
        path = tmp_path / name
        assert nnmass("analyze", source, "--graph", path, "--json").code == 0
        assert path.read_bytes().startswith(start)


def test_other_kinds_of_pictures_are_refused(nnmass, tmp_path):
    result = nnmass("analyze", "timm:resnet18", "--graph", tmp_path / "a.gif")
    assert result.code == 2
    assert "pictures end in .pdf, .png, .svg, got '.gif'" in result.err


@pytest.mark.parametrize(
    ("name", "message"), [("junk.onnx", "is not an ONNX file"), ("junk.pt2", "is not a file of torch.export.save")]
)
def test_files_that_are_not_what_their_name_says_are_one_line(nnmass, tmp_path, name, message):
    (tmp_path / name).write_text("junk")
    result = nnmass("analyze", tmp_path / name)
    assert (result.code, result.out) == (1, "")
    assert f"{tmp_path / name} {message}" in result.err
    assert result.err.count("\n") == 1


def test_an_exported_program_has_the_mass_of_its_module(nnmass, tmp_path):
    module = ResNet(block="basic", layers=(1, 1), image_size=16, num_classes=2).build().eval()
    path = tmp_path / "resnet.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 16, 16),)), path)
    assert nnmass("analyze", path, "--json").json()["nn_mass"] == 128.0 + 192.0

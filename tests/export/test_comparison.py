"""Every file is compared with the network; what holds another one is refused, also where outputs vanish."""

import copy
import io

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from nnmass import DenseCNN, DenseMLP, MobileNetV2, NNMassError
from nnmass.errors import ExportError
from nnmass.export import hand_over, standalone_code
from nnmass.export.calibration import calibrated
from nnmass.export.comparison import TOLERANCE, Comparison
from nnmass.export.formats import (
    onnx_bytes,
    program_bytes,
    stored_onnx,
    stored_program,
    stored_weights,
)
from nnmass.export.hand_over import json_bytes
from nnmass.export.standalone import stored_code
from nnmass.training import weights_bytes

VANISHING = MobileNetV2(image_size=32)
"""Drawn weights: outputs of 1e-9."""
CONSTANT = DenseCNN(widths=(8, 16), depth=20, max_skips=(8, 16), image_size=8, conv="separable")
"""Drawn weights: outputs that differ from each other in their last digits only."""
SILENT = DenseMLP(width=8, depth=200, max_skips=0, in_features=12)
"""Drawn weights: outputs that are the same for all inputs."""


def comparison(spec, seed=0):
    network = spec.build(seed=seed).eval()
    return Comparison(network, [spec.input_shape])


def zeros(state):
    return {name: tensor * 0 if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def one_wrong_bias(state):
    name = next(name for name in reversed(state) if name.endswith("bias"))
    return state | {name: state[name] + torch.eye(1, len(state[name]))[0] * 1e-3}


def permuted_channels(state):
    name = next(name for name, tensor in state.items() if tensor.dim() > 1 and tensor.shape[0] > 1)
    return state | {name: state[name].roll(1, 0)}


STATES = [zeros, one_wrong_bias, permuted_channels]


def changed_onnx(content, change):
    model = onnx.load_model_from_string(content)
    held = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in model.graph.initializer}
    changed = change({name: tensor for name, tensor in held.items() if "." in name or name == "scale"})
    for tensor in model.graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed[tensor.name].numpy(), tensor.name))
    return model.SerializeToString()


def changed_program(content, change):
    program = torch.export.load(io.BytesIO(content))
    changed = change(dict(program.state_dict))
    with torch.no_grad():
        for name, tensor in program.state_dict.items():
            tensor.copy_(changed[name])
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def test_other_weights_in_a_file_are_refused(spec):
    """Zeros, channels in another order, one wrong bias, or weights of another seed: in ONNX, programs and weights."""
    right, other = comparison(spec), dict(spec.build(seed=1).state_dict())
    files = onnx_bytes(right, ""), program_bytes(right, ""), weights_bytes(right.network)
    for change in (*STATES, lambda state: {name: other[name] for name in state}):
        with pytest.raises(ExportError, match=r"n\.onnx: its .* is not the network's"):
            right.deviation(stored_onnx(changed_onnx(files[0], change)), "n.onnx")
        with pytest.raises(ExportError, match=r"n\.pt2: its .* is not the network's"):
            right.deviation(stored_program(changed_program(files[1], change)), "n.pt2")
        with pytest.raises(ExportError, match=r"n\.safetensors: its .* is not the network's"):
            right.require_equal(stored_weights(save(change(load(files[2])))), "n.safetensors")


class Wrong(nn.Module):
    """A network with the same state that puts out something else."""

    def __init__(self, network, kind):
        super().__init__()
        self.kind = kind
        for name, module in network.named_children():
            self.add_module(name, module)
        self.inner = [network]

    def forward(self, x):
        output = self.inner[0](x)
        if self.kind == "zeros":
            return output * 0
        if self.kind == "other order":
            return output.flip(1)
        if self.kind == "one off":
            return output + 1e-3 * output.abs().amax() * torch.eye(1, output.shape[1])
        return output[:, :-1]


@pytest.mark.parametrize("kind", ["zeros", "other order", "one off", "fewer"])
@pytest.mark.parametrize("vanishing", [VANISHING, CONSTANT, SILENT], ids=["tiny", "near constant", "constant"])
def test_another_function_of_the_same_weights_is_refused(vanishing, kind):
    """Also where the drawn network's own outputs vanish, or are the same for all inputs."""
    right = comparison(vanishing)
    assert right.deviation(stored_program(program_bytes(right, "")), "right") <= TOLERANCE
    wrong = Comparison(Wrong(right.network, kind).eval(), right.shapes)
    with pytest.raises(ExportError, match=r"deviates by|has other outputs"):
        right.deviation(stored_program(program_bytes(wrong, "")), "wrong")


@pytest.mark.parametrize("vanishing", [VANISHING, CONSTANT], ids=["tiny", "near constant"])
def test_networks_whose_outputs_vanish_become_onnx_and_are_checked(vanishing):
    right = comparison(vanishing)
    content = onnx_bytes(right, "")
    assert right.deviation(stored_onnx(content), "right") <= TOLERANCE
    model = onnx.load_model_from_string(content)
    node = next(node for node in model.graph.node if node.op_type in {"Clip", "Relu"})
    node.op_type, keep = "Sigmoid", node.input[0]
    del node.input[:]
    node.input.append(keep)
    with pytest.raises(ExportError, match="deviates by"):
        right.deviation(stored_onnx(model.SerializeToString()), "wrong")


def test_other_links_in_onnx_are_refused():
    right = comparison(DenseMLP(width=8, depth=12, max_skips=6, in_features=12))
    model = onnx.load_model_from_string(onnx_bytes(right, ""))
    names = {node.input[1] for node in model.graph.node if node.op_type == "Gather"}
    picks = next(t for t in model.graph.initializer if t.name in names and np.prod(t.dims) > 1)
    values = onnx.numpy_helper.to_array(picks)
    picks.CopyFrom(onnx.numpy_helper.from_array(values[::-1].copy(), picks.name))
    with pytest.raises(ExportError, match="deviates by"):
        right.deviation(stored_onnx(model.SerializeToString()), "wrong")


def test_other_code_is_refused(spec):
    network = spec.build(seed=0).eval()
    right, code = Comparison(network, [spec.input_shape]), standalone_code(network.spec)
    assert right.deviation(stored_code(code.encode()), "right") == 0
    for body in ("0 * super().forward(x)", "1.001 * super().forward(x)", "super().forward(x).flip(1)"):
        wrong = (
            f"{code}\n\nclass Wrong(Network):\n    def forward(self, x):\n        return {body}\n\n\nNetwork = Wrong\n"
        )
        with pytest.raises(ExportError, match="deviates by"):
            right.deviation(stored_code(wrong.encode()), "wrong")


def test_code_that_does_not_run_is_refused():
    right = comparison(DenseMLP(width=4, depth=4, max_skips=3))
    for code in (b"class Network(:", b"import nowhere", b"Network = dict"):
        with pytest.raises(ExportError, match="does not run"):
            right.deviation(stored_code(code), "n.py")


@pytest.mark.parametrize("read", [stored_onnx, stored_program, stored_weights])
def test_damaged_files_are_told(read):
    with pytest.raises(ExportError, match="what was written cannot be read back"):
        read(b"no such file")


def test_another_specification_is_refused(spec, monkeypatch):
    assert json_bytes(spec, "n.json") == spec.to_text().encode()
    other = spec.model_copy(update={"num_classes": 3 + spec.num_classes})
    monkeypatch.setattr(type(spec), "to_text", lambda self: other.model_dump_json(exclude_none=True))
    with pytest.raises(ExportError, match=r"n\.json: what was written is another specification"):
        json_bytes(spec, "n.json")


class Zero(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.linear, self.factor = nn.Linear(4, 3), factor

    def forward(self, x):
        return self.factor * self.linear(x) + (1 - self.factor) * 7


@pytest.mark.parametrize("make", ["zero weights", "constant", "not finite"])
def test_a_network_that_tells_nothing_cannot_be_checked(tmp_path, make):
    network = Zero(0) if make == "constant" else DenseMLP(width=4, depth=5, max_skips=3, in_features=4).build()
    if make == "zero weights":
        network.load_state_dict(zeros(network.state_dict()))
    if make == "not finite":
        next(network.parameters()).data.fill_(float("inf"))
    message = "own outputs are not finite" if make == "not finite" else "outputs do not depend on its inputs"
    with pytest.raises(ExportError, match=f"cannot be checked: .*{message}"):
        hand_over(network, tmp_path / "out", input_shapes=[(4,)], formats=["pt2"])
    assert not (tmp_path / "out").exists()


def test_calibrated_layers_put_out_numbers_of_order_one(spec):
    network = spec.build(seed=0).eval()
    before = copy.deepcopy(network.state_dict())
    inputs = Comparison(network, [spec.input_shape]).batches()[-1]
    seen = {}

    def look(name):
        return lambda module, given, output: seen.setdefault(name, output.detach())

    other = calibrated(network, inputs, shift=0.0)
    for name, module in other.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.BatchNorm2d):
            module.register_forward_hook(look(name))
    with torch.no_grad():
        other(*inputs)
    assert len(seen) > 1
    for name, output in seen.items():
        assert 0.2 <= float(output.std(correction=0)) <= 1, name
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


class Several(nn.Module):
    """Two inputs; outputs of several kinds."""

    def __init__(self):
        super().__init__()
        self.linear, self.scale = nn.Linear(4, 3), nn.Parameter(torch.ones(()))
        self.tied = nn.Linear(4, 3)
        self.tied.weight = self.linear.weight

    def forward(self, x, y):
        z = self.linear(x) + y
        return {"sum": z, "scale": self.scale.exp(), "best": z.argmax(1), "tied": self.tied(x)}


def test_models_of_several_inputs_and_outputs(tmp_path):
    model = Several().train()
    done = hand_over(model, tmp_path / "out", input_shapes=[(4,), (3,)])
    assert set(done.files) == {"safetensors", "onnx", "pt2"}
    assert max(done.deviations.values()) <= TOLERANCE
    assert model.training
    right = Comparison(model.eval(), [(4,), (3,)])
    for name in ("scale", "linear.bias", "tied.bias"):
        wrong = changed_onnx((tmp_path / "out" / "network.onnx").read_bytes(), lambda s, n=name: s | {n: s[n] * 1.01})
        with pytest.raises(ExportError, match=f"its {name} is not the network's"):
            right.deviation(stored_onnx(wrong), "n.onnx")


class Stubborn(nn.Module):
    """A model of one batch size, whose control flow depends on data."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        return self.linear(x) if x.sum() > 0 else self.linear(-x)


@pytest.mark.parametrize("form", ["onnx", "pt2"])
def test_what_an_exporter_cannot_hold_is_one_line(tmp_path, form):
    with pytest.raises(ExportError, match=r"network\.\w+: .* cannot hold this network: ") as caught:
        hand_over(Stubborn(), tmp_path / "out", input_shapes=[(4,)], formats=[form])
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, NNMassError)
    assert not (tmp_path / "out").exists()


class Images(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


ODD = {
    "half": lambda: Images().half(),
    "compiled": lambda: torch.compile(Images(), backend="eager"),
    "parallel": lambda: nn.DataParallel(Images()),
    "weight norm": lambda: nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(192, 5))),
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 9), nn.Dropout(0.5), nn.Linear(9, 2)),
    "upwards": lambda: nn.Sequential(nn.ConvTranspose2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 2, 1)),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
def test_models_of_other_people_are_written_and_compared(make, tmp_path):
    done = hand_over(make(), tmp_path / "out", input_shapes=[(3, 8, 8)])
    assert set(done.files) == {"safetensors", "onnx", "pt2"}
    assert max(done.deviations.values()) <= 0.01


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Images().bfloat16(), "what was written cannot be read back"),
        (lambda: Images().double(), "what was written does not run"),
    ],
    ids=["bfloat16", "double"],
)
def test_precisions_that_onnx_runtime_has_not_are_one_line(make, message, tmp_path):
    with pytest.raises(ExportError, match=message):
        hand_over(make(), tmp_path / "out", input_shapes=[(3, 8, 8)])
    assert not (tmp_path / "out").exists()
    assert set(hand_over(make(), tmp_path / "out", input_shapes=[(3, 8, 8)], formats=["pt2"]).files) == {"pt2"}

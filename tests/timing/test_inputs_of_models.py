"""What bench reads: precisions, kinds and numbers of inputs, and models that have ideas of their own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nnmass.errors import InvalidValueError, ModelError, ResourceError
from nnmass.timing import bench_source, conditions, settled
from nnmass.timing.inputs import random_inputs

MODELS = """
import torch, torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Linear(8, 5)
    def forward(self, x):
        return self.head(F.relu(self.norm(self.conv(x))).mean((2, 3)))

class OneImage(Net):
    def forward(self, x):
        assert x.shape[0] == 1, "one image"
        return super().forward(x)

class EightImages(Net):
    def forward(self, x):
        assert x.shape[0] == 8, "eight images"
        return super().forward(x)

class NoTargets(Net):
    def forward(self, x, targets=None):
        if self.training and targets is None:
            raise ValueError("targets are needed in training")
        return super().forward(x)

class NeverTrained(Net):
    def train(self, mode=True):
        assert not mode, "this model is not trained"
        return super().train(mode)

class Dictionary(Net):
    def forward(self, x):
        return {"logits": super().forward(x), "more": (x, [x])}

class Noisy(Net):
    def forward(self, x):
        print("{not json")
        return super().forward(x)

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(6, 8)
    def forward(self, x, y):
        return self.a(x) + self.b(y)

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(7, 8), nn.Linear(8, 2)
    def forward(self, ids):
        return self.head(self.embed(ids).mean(1))

class Masked(Tokens):
    def forward(self, ids, mask):
        return self.head((self.embed(ids) * mask[..., None]).mean(1))

class Raises(Net):
    def forward(self, x):
        raise KeyError("several\\nlines")

class Exits(Net):
    def forward(self, x):
        raise SystemExit(3)

class NoNumbers(nn.Module):
    def forward(self, x):
        return x * 2

def bfloat16(): return Net().bfloat16()
def half(): return Net().half()
def double(): return Net().double()
def grey(): return Net(1)
def volumes(): return nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2))
def scripted(): return torch.jit.script(Net().eval())
def frozen(): return torch.jit.freeze(torch.jit.script(Net().eval()))
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "models.py"
    path.write_text(MODELS)
    return path


def bench(file, name, *, batch=1, **options):
    return bench_source(f"{file}:{name}", conditions(threads=1, batch=batch), seconds=0.001, **options)


@pytest.mark.parametrize(
    "name",
    [
        "Net",
        "OneImage",
        "NoTargets",
        "NeverTrained",
        "Dictionary",
        "Noisy",
        "NoNumbers",
        "bfloat16",
        "half",
        "double",
        "scripted",
        "frozen",
    ],
)
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_models_of_images(file, name, capsys):
    found = bench(file, name, image_size=16)
    assert found.latency.median_ms > 0
    assert found.peak_bytes > 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "sizes", "types"),
    [
        ("grey", [(1, 1, 16, 16)], ()),
        ("volumes", [(1, 1, 8, 8, 8)], ()),
        ("Two", [(1, 4), (1, 6)], ()),
        ("Tokens", [(1, 12)], ("int",)),
        ("Tokens", [(1, 12)], ()),
        ("Masked", [(1, 12), (1, 12)], (torch.long, "bool")),
    ],
)
def test_models_whose_inputs_are_given(file, name, sizes, types):
    assert bench(file, name, input_sizes=sizes, dtypes=types).latency.median_ms > 0


def test_a_model_of_one_batch_only(file):
    assert bench(file, "EightImages", batch=8, input_sizes=[(8, 3, 16, 16)]).peak_bytes is None


@pytest.mark.parametrize("engine", ["compile", "onnxruntime"])
def test_other_engines_fail_in_one_line(file, engine):
    with pytest.raises(ModelError, match=r"the forward pass fails on inputs of \(1, 3, 8, 8\) float32: KeyError"):
        bench_source(f"{file}:Raises", conditions(engine, threads=1), seconds=0.001, image_size=8)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Raises", {"image_size": 8}, r"^the forward pass fails on inputs of \(1, 3, 8, 8\) float32: KeyError: .*$"),
        ("Exits", {"image_size": 8}, "the forward pass fails on inputs of .* SystemExit: 3"),
        ("grey", {"image_size": 8}, "the forward pass fails on inputs of .* expected input.* 1 channels"),
        ("Masked", {"input_sizes": [(1, 12)] * 2, "dtypes": ("float", "bool")}, r"\(1, 12\) float32, .*Long, Int"),
        ("Two", {"input_sizes": [(1, 4)]}, "missing 1 required positional argument"),
        ("OneImage", {"image_size": 8, "batch": 2}, "AssertionError: one image"),
        ("Net", {}, "does not say the size of its input: give --image-size or --input-size"),
    ],
)
def test_what_fails_says_so_in_one_line(file, name, options, message):
    with pytest.raises((ModelError, InvalidValueError), match=message) as found:
        bench(file, name, **options)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"image_size": 8, "batch": 10**9}, InvalidValueError, "an input may have at most 2,147,483,647 numbers"),
        ({"image_size": 8, "batch": 10**10}, InvalidValueError, "an input may have at most 2,147,483,647 numbers"),
        (
            {"input_sizes": [(1, 3, 2**31, 1)]},
            InvalidValueError,
            "an input may have at most 2,147,483,647 numbers",
        ),
        ({"input_sizes": [(2, 3, 8, 8)]}, InvalidValueError, "the first number .* must be the batch, 1, got"),
        ({"input_sizes": [(1, 3, 8, 8)], "image_size": 8}, InvalidValueError, "give sizes of the inputs or an image"),
        (
            {"input_sizes": [(1, 3, 8, 8)], "dtypes": ("abacus",)},
            InvalidValueError,
            "dtypes must be types such as torch.long, or one",
        ),
        (
            {"input_sizes": [(1, 3, 8, 8)], "dtypes": ("int",) * 2},
            InvalidValueError,
            "dtypes must have one type per input, got 2 for 1",
        ),
    ],
)
def test_sizes_that_make_no_sense(file, options, error, message):
    with pytest.raises(error, match=message):
        bench(file, "Net", **options)


def test_a_batch_whose_activations_do_not_fit(file, monkeypatch):
    monkeypatch.setattr("nnmass.memory.machine_memory", lambda: 2**20)
    with pytest.raises(ResourceError, match=r"models.py:Net with a batch of 40: needs .* this machine has 1.0 MiB"):
        bench(file, "Net", batch=40, image_size=32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_norms_that_have_seen_data_stay_and_others_get_what_training_mode_would_give(dtype):
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4))
    network[1].running_mean.fill_(0.25)
    before = {name: tensor.clone() for name, tensor in network.to(dtype).state_dict().items()}
    settled(network, [(3, 9, 9)])
    assert torch.equal(network[1].running_mean, before["1.running_mean"])
    assert torch.equal(network[1].running_var, before["1.running_var"])
    (x,) = random_inputs(network, [(3, 9, 9)], 4)
    with torch.no_grad():
        x = network[:4](x).float()
    torch.testing.assert_close(network[4].running_mean.float(), x.mean((0, 2, 3)), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(network[4].running_var.float(), x.var((0, 2, 3)), rtol=1e-2, atol=1e-2)
    assert not network.training


def test_a_network_is_never_in_training_mode(monkeypatch):
    seen = []
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    network.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    settled(network, [(1, 5, 5)], batch=1)
    assert seen == [False]
    assert F.relu(network(torch.zeros(1, 1, 5, 5))).isfinite().all()


def test_ids_are_those_that_every_embedding_knows():
    module = nn.ModuleList([nn.Embedding(50, 2), nn.Embedding(3, 2)])
    (ids,) = random_inputs(module, [(100,)], 2, ["int"])
    assert ids.shape == (2, 100)
    assert set(ids.unique().tolist()) == {0, 1, 2}

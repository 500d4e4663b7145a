"""Inputs that are not floating-point numbers: token ids, categories, masks."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import nnmass
from nnmass.errors import InvalidValueError, ModelError
from nnmass.tracing import analyze_source, trace


class Text(nn.Module):
    """A residual block of convolutions over embedded tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.e = nn.Embedding(50, 8)
        self.a, self.b = nn.Conv1d(8, 8, 3, padding=1), nn.Conv1d(8, 8, 3, padding=1)
        self.f = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.e(x).transpose(1, 2)
        return self.f((self.b(F.relu(self.a(y))) + y).mean(2))


class Positions(Text):
    """With positions, and a mask of padding."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Embedding(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        kept = (x != 0).unsqueeze(1)
        y = (self.e(x) + self.p(torch.arange(x.shape[1], device=x.device))).transpose(1, 2)
        return self.f(((self.b(F.relu(self.a(y))) + y) * kept).sum(2) / kept.sum(2))


class Bag(Text):
    def __init__(self) -> None:
        super().__init__()
        self.e = nn.EmbeddingBag(50, 8, mode="sum")
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.e(x)
        return self.f(self.b(F.relu(self.a(y))) + y)


class Mixed(nn.Module):
    """Two inputs of categories, one of numbers, and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.numbers = nn.Embedding(9, 4), nn.Embedding(7, 4), nn.Linear(3, 4)
        self.head = nn.Linear(12, 2)

    def forward(self, left: Tensor, numbers: Tensor, right: Tensor, mask: Tensor) -> Tensor:
        parts = [self.left(left).mean(1), self.numbers(numbers).masked_fill(mask, 0.0), self.right(right).mean(1)]
        return self.head(torch.cat(parts, 1))


@pytest.mark.parametrize(("model", "convolutions"), [(Text(), 12 * 3), (Positions(), 12 * 3), (Bag(), 1)])
@pytest.mark.parametrize("dtypes", [None, [torch.long], [torch.int32], [None]])
def test_embeddings_are_layers_that_multiply_nothing(model, convolutions, dtypes):
    report = nnmass.analyze(model, (1, 12), dtypes=dtypes)
    assert (report.nn_mass, report.macs) == (16.0, 8 * 8 * convolutions * 2 + 16)
    assert report.input_types == (("int32",) if dtypes == [torch.int32] else ("int64",))
    assert report.params == sum(p.numel() for p in model.parameters())
    layer = report.graph.layers[0]
    assert (layer.name, layer.width, layer.params, layer.macs) == ("e", 8, 400, 0)


@pytest.mark.parametrize(("batch", "tokens"), [(1, 12), (3, 12), (2, 1), (1, 1)])
def test_any_number_of_tokens_and_samples(batch, tokens):
    report = nnmass.analyze(Text(), (batch, tokens))
    assert (report.nn_mass, report.macs) == (16.0, batch * (8 * 8 * 3 * 2 * tokens + 16))


@pytest.mark.parametrize("dtypes", [None, [torch.long, None, torch.long, torch.bool], ["int", "float", "int", "bool"]])
def test_inputs_of_several_types(dtypes):
    sizes = [(2, 5), (2, 3), (2, 6), (2, 4)]
    if dtypes is None:
        with pytest.raises(ModelError, match=r"\(2, 5\):int, \(2, 3\), \(2, 6\), \(2, 4\): .* be bool, got"):
            nnmass.analyze(Mixed(), sizes)
        return
    report = nnmass.analyze(Mixed(), sizes, dtypes=dtypes)
    assert report.input_types == ("int64", "float32", "int64", "bool")
    assert report.macs == 2 * (3 * 4 + 12 * 2)


@pytest.mark.parametrize(
    ("dtypes", "message"),
    [
        ([torch.float32], r"e: an embedding reads input 0, which holds torch.float32; .*dtypes=\[torch.long\]"),
        ([torch.long, torch.long], "one type per input, got 2 for 1 inputs"),
        (["text"], "must be types such as torch.long, or one of float, int, bool, got 'text'"),
        ([7], "must be types such as torch.long, or one of float, int, bool, got 7"),
    ],
)
def test_types_that_do_not_fit_are_told(dtypes, message):
    with pytest.raises((InvalidValueError, ModelError), match=message):
        nnmass.analyze(Text(), (1, 12), dtypes=dtypes)


def test_an_embedding_of_rounded_numbers_takes_the_input_as_it_is():
    class Rounded(Text):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.round().long())

    assert nnmass.analyze(Rounded(), (1, 12)).input_types == ("float32",)


def test_other_operators_that_want_integers_say_how_to_give_them():
    class OneHot(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(F.one_hot(x, 5).float())

    with pytest.raises(ModelError, match=r"inputs without :int held floating-point numbers; .*--input-size 1,128:int"):
        nnmass.analyze(OneHot(5, 3), (1, 12))
    assert nnmass.analyze(OneHot(5, 3), (1, 12), dtypes=[torch.long]).macs == 12 * 15


def test_a_table_that_depends_on_the_input_is_refused():
    class Looked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return F.embedding(torch.tensor([0, 1]), self.f(x))

    with pytest.raises(nnmass.errors.RefusedError, match="embedding of a table that depends on the input"):
        nnmass.analyze(Looked(), (3, 4))


@pytest.mark.parametrize("size", [(1, 3, 10**9, 10**9), (2**31,), (1, 2**63), (1, 10**400)])
def test_inputs_have_at_most_as_many_numbers_as_fit_anywhere(size):
    for use in (nnmass.analyze, trace):
        with pytest.raises(InvalidValueError, match="at most 2,147,483,647 numbers"):
            use(Text(), size)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_modules_are_read_by_their_name(tmp_path):
    file = tmp_path / "models.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "def net(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.ReLU()).eval()\n"
        "def scripted(): return torch.jit.script(net())\n"
        "def traced(): return torch.jit.trace(net(), torch.zeros(1, 3, 8, 8))\n"
        "def frozen(): return torch.jit.freeze(scripted())\n"
        "def within(): return nn.Sequential(frozen())\n"
    )
    plain, *others = (
        analyze_source(f"{file}:{name}", input_sizes=[(1, 3, 8, 8)]) for name in ("net", "scripted", "traced")
    )
    for other in others:
        assert (other.params, other.macs, len(other.graph.layers)) == (plain.params, plain.macs, 2)
    for name in ("frozen", "within"):
        with pytest.raises(ModelError, match="is a frozen TorchScript module, whose weights are constants"):
            analyze_source(f"{file}:{name}", input_sizes=[(1, 3, 8, 8)])

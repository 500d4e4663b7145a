"""Whatever a model's code fills, changes or keeps while it is analysed is as before: it runs, and gives the same."""

import functools
import threading
from collections import ChainMap
from types import SimpleNamespace
from weakref import WeakKeyDictionary, proxy

import pytest
import torch
from torch import nn

import nnmass

OF_THE_MODULE = {}
KEPT = None
LOCAL = threading.local()
BY_MODULE = WeakKeyDictionary()


class Plain:
    shared = None

    def __init__(self):
        self.held, self.count, self.table = None, torch.zeros(1), {}


class Slotted:
    __slots__ = ("__private", "held")

    def __init__(self):
        self.held = None

    def private(self, like):
        if not hasattr(self, "_Slotted__private"):
            self.__private = like.new_ones(1)
        return self.__private


class Table(dict):
    """A dictionary of one's own."""


class Base(nn.Module):
    kept = None
    table = {}  # noqa: RUF012

    def __init__(self, keep):
        super().__init__()
        self.stem, self.first, self.out = (nn.Conv2d(i, o, 3, padding=1) for i, o in ((3, 4), (4, 4), (4, 2)))
        self.norm, self.keep = nn.BatchNorm2d(4), keep
        self.helper, self.slotted, self.space = Plain(), Slotted(), SimpleNamespace(held=None)
        self.listed, self.own, self.hidden = [torch.zeros(1)], Table(), [nn.BatchNorm1d(3)]

    def forward(self, x):
        y = self.stem(x)
        return self.out(self.norm(self.first(y)) * self.keep(self, y) + y)


class Net(Base):
    pass


def once(holder, like, name="held"):
    if getattr(holder, name, None) is None:
        setattr(holder, name, like.new_ones(1))
    return getattr(holder, name)


def of_the_module(s, y):
    global KEPT  # noqa: PLW0603
    if KEPT is None:
        KEPT = y.new_ones(1)
    return KEPT


@functools.lru_cache(maxsize=4)
def positions(size):
    return torch.arange(size, device=PLACE[0]).float() * 0 + 1


PLACE = ["cpu"]


def cached(s, y):
    PLACE[0] = y.device
    return positions(y.shape[-1])


def by_default(s, y, table={}):  # noqa: B006
    return table.setdefault("a", y.new_ones(1))


def by_keyword(s, y, *, table={}):  # noqa: B006
    return table.setdefault("a", y.new_ones(1))


def enclosed():
    kept = None

    def keep(s, y):
        nonlocal kept
        if kept is None:
            kept = y.new_ones(1)
        return kept

    return keep


def counting(s, y):
    s.helper.count += 1
    s.listed[0].add_(1)
    s.helper.count[:1].mul_(2)
    return s.helper.count * 0 + 1


def of_the_function(s, y):
    return once(of_the_function, y)


def replaced(s, y):
    s.helper, s.hidden[0].running_mean = Plain(), y.new_zeros(3)
    return y.new_ones(1)


KEEPING = {
    "an object": lambda s, y: once(s.helper, y),
    "a dictionary of an object": lambda s, y: s.helper.table.setdefault("a", y.new_ones(1)),
    "a dictionary of one's own": lambda s, y: s.own.setdefault("a", y.new_ones(1)),
    "slots": lambda s, y: once(s.slotted, y),
    "a private slot": lambda s, y: s.slotted.private(y),
    "a namespace": lambda s, y: once(s.space, y),
    "its class": lambda s, y: once(type(s), y, "kept"),
    "a base class": lambda s, y: once(Base, y, "kept"),
    "a table of its class": lambda s, y: s.table.setdefault("a", y.new_ones(1)),
    "another class": lambda s, y: once(Plain, y, "shared"),
    "a table of the Python module": lambda s, y: OF_THE_MODULE.setdefault(tuple(y.shape), y.new_ones(1)),
    "a variable of the Python module": of_the_module,
    "a table by module": lambda s, y: BY_MODULE.setdefault(s, y.new_ones(1)),
    "a variable of the thread": lambda s, y: once(LOCAL, y),
    "a cache of a function": cached,
    "a default": by_default,
    "a default by keyword": by_keyword,
    "a function": of_the_function,
    "a variable around a function": enclosed(),
    "a partial function": functools.partial(by_default, table={}),
    "tensors written in place": counting,
    "what is replaced": replaced,
}


@pytest.mark.parametrize("kind", KEEPING)
def test_a_model_runs_after_analyze_as_if_it_had_not_been_analysed(kind):
    torch.manual_seed(0)
    model = Net(KEEPING[kind])
    x = torch.randn(2, 3, 8, 8)
    assert nnmass.analyze(model, (1, 3, 8, 8)).nn_mass == 0.0
    assert model.training
    assert model.helper.held is None
    assert (model.helper.count.item(), model.listed[0].item()) == (0.0, 0.0)
    assert model.norm.num_batches_tracked.item() == 0
    assert model.hidden[0].running_mean.device.type == "cpu"
    out = model.eval()(x)
    assert out.device.type == "cpu"
    y = model.stem(x)
    assert torch.allclose(out, model.out(model.norm(model.first(y)) + y))


@pytest.mark.parametrize("kind", ["an object", "its class", "a table of the Python module", "a cache of a function"])
def test_what_was_kept_before_stays(kind):
    model = Net(KEEPING[kind]).eval()
    x = torch.randn(2, 3, 8, 8)
    before = model(x)
    held = (model.helper.held, Net.kept, dict(OF_THE_MODULE))
    nnmass.analyze(model, (1, 3, 8, 8))
    assert model.helper.held is held[0]
    assert Net.kept is held[1]
    assert held[2] == OF_THE_MODULE
    assert torch.equal(model(x), before)


class Unruly(dict):
    """None of its own methods can be called."""

    def __len__(self):
        raise RuntimeError("no length")

    __iter__ = items = clear = __len__


def test_objects_of_any_kind_are_kept():
    class Known:
        pass

    def keep(s, y):
        s.around[1]["more"] = s.chain["more"] = s.around
        s.ring.append(y)
        return y.new_ones(1)

    model, known = Net(keep), Known()
    ring = [proxy(known), proxy(Known())]
    ring.append(ring)
    model.ring, model.chain, model.unruly = ring, ChainMap({"a": 1}), [Unruly(b=2)]
    model.around = (Unruly(a=1), {"numbers": (n for n in range(3))}, known)
    known.around = model
    nnmass.analyze(model, (1, 3, 8, 8))
    assert (len(ring), list(model.chain), list(model.around[1])) == (3, ["a"], ["numbers"])
    assert list(model.around[1]["numbers"]) == [0, 1, 2]
    assert dict.__len__(model.around[0]) == 1


def test_settings_are_as_before():
    def setting(s, y):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(True)
        torch.backends.cudnn.benchmark = not benchmark
        torch.use_deterministic_algorithms(True)
        s.first.weight.requires_grad_(False)
        s.norm.train()
        return y.new_ones(1)

    benchmark = torch.backends.cudnn.benchmark
    model = Net(setting).eval()
    nnmass.analyze(model, (1, 3, 8, 8))
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float32, True)
    assert torch.backends.cudnn.benchmark == benchmark
    assert not torch.are_deterministic_algorithms_enabled()
    assert model.first.weight.requires_grad
    assert not model.norm.training

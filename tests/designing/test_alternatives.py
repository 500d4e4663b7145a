"""Every network of a list is the best of those unlike all before it: against brute force, for every family."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.architectures import DenseCNN, DenseMLP, MobileNetV2, WideResNet
from nnmass.designing import (
    CifarResNetSpace,
    DenseCNNSpace,
    DenseMLPSpace,
    MobileNetV2Space,
    ResNetSpace,
    WideResNetSpace,
    design,
)
from nnmass.errors import InfeasibleError

EPSILON = 1e-9
DIVERSITIES = (0.0, 0.1, 0.25, 0.45, 0.7, 0.95)


def choices(values, most=3):
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(lambda v: tuple(sorted(v)))


mlps = st.builds(
    DenseMLPSpace,
    width=choices(range(1, 7)),
    depth=choices(range(2, 12), most=5),
    max_skips=st.none() | choices((0, 1, 3, 8, 100)),
    max_density=st.sampled_from([0.3, 0.8, 1.0]),
    in_features=st.integers(1, 30),
)


@st.composite
def cnns(draw):
    tied, cells = draw(st.booleans()), draw(st.integers(1, 2))
    count = draw(st.integers(1, 2))
    one = st.lists(st.integers(1, 4), min_size=count, max_size=count, unique=True).map(lambda v: tuple(sorted(v)))
    return DenseCNNSpace(
        widths=tuple(draw(one) for _ in range(cells)),
        depth=draw(choices(range(2, 7))),
        equal_depths=draw(st.booleans()),
        tied_widths=tied,
        max_skips=draw(st.none() | choices((0, 2, 5))),
        max_density=draw(st.sampled_from([0.5, 1.0])),
        conv=draw(st.sampled_from(["regular", "separable"])),
        image_size=draw(st.integers(1, 9)),
    )


@st.composite
def mobilenets(draw):
    stages = [
        {
            "expansion": draw(choices((1.0, 2.5, 3.0, 4.0, 6.0), most=2)),
            "channels": draw(choices((8, 16, 24), most=2)),
            "repeats": draw(choices(range(1, 5))),
            "stride": draw(st.integers(1, 2)),
        }
        for _ in range(draw(st.integers(1, 3)))
    ]
    return MobileNetV2Space(stages=stages, image_size=32, num_classes=5)


@st.composite
def resnets(draw):
    stages = draw(st.integers(1, 3))
    return ResNetSpace(
        block=draw(st.sampled_from(["basic", "bottleneck", ("basic", "bottleneck")])),
        layers=tuple(draw(choices(range(1, 6))) for _ in range(stages)),
        planes=tuple(draw(choices((32, 48, 64), most=2)) for _ in range(stages)),
        width_per_group=draw(choices((32, 64), most=2)),
        image_size=33,
        num_classes=5,
    )


@st.composite
def cifar_resnets(draw):
    stages = draw(st.integers(1, 3))
    return CifarResNetSpace(
        layers=tuple(draw(choices(range(1, 7))) for _ in range(stages)),
        widths=(4, *(draw(choices((4, 6, 8), most=2)) for _ in range(stages - 1))),
        shortcut=draw(st.sampled_from(["A", "B"])),
        image_size=9,
    )


wide_resnets = st.builds(
    WideResNetSpace, depth=choices(range(10, 60, 6), most=6), widen_factor=choices((1, 2, 3)), image_size=st.just(8)
)
SPACES = {
    "mlp": mlps,
    "cnn": cnns(),
    "mobilenet": mobilenets(),
    "resnet": resnets(),
    "cifar": cifar_resnets(),
    "wide": wide_resnets,
}


def shape(spec):
    """What of a network an engineer sees, stage by stage, in one row."""
    if isinstance(spec, DenseMLP | DenseCNN):
        return [value for cell in spec.cells for value in (cell.width, cell.depth)]
    if isinstance(spec, MobileNetV2):
        return [value for stage in spec.stages for value in stage[:3]]
    if isinstance(spec, WideResNet):
        return [spec.depth, spec.widen_factor]
    widths = getattr(spec, "widths", None) or spec.planes or [64 * 2**k for k in range(len(spec.layers))]
    return [*widths, *spec.layers]


def alike(a, b, diversity):
    return all(abs(x - y) / max(x, y, 1) < max(diversity, 1e-12) for x, y in zip(a, b, strict=True))


class Weighed:
    """A member with everything that decides about it."""

    def __init__(self, spec):
        self.spec, self.shape = spec, shape(spec)
        self.mass, self.params, self.macs = map(float, spec.costs)

    def gain(self, objective):
        return self.mass if objective == "mass" else -getattr(self, objective)

    def keeps(self, limits):
        slack = EPSILON * max(1.0, self.mass)
        return (
            self.params <= limits.get("max_params", math.inf)
            and self.macs <= limits.get("max_macs", math.inf)
            and limits.get("min_mass", 0) - slack <= self.mass <= limits.get("max_mass", math.inf) + slack
        )


def check_list(everything, space, limits, objective, diversity, top):
    left = [one for one in everything if one.keeps(limits)]
    options = {"objective": objective, "top": top, "diversity": diversity, "outside_domain": True, **limits}
    if not left:
        with pytest.raises(InfeasibleError, match="no network of the space has"):
            design(space, **options)
        return
    found = design(space, **options)
    listed = [found.best, *found.alternatives]
    for candidate in listed:
        own = Weighed(candidate.spec)
        best = max(one.gain(objective) for one in left)
        assert own.gain(objective) == pytest.approx(best, rel=1e-9, abs=1e-9)
        assert any(own.spec == one.spec for one in left)
        assert candidate.certificate.optimal
        left = [one for one in left if not alike(one.shape, own.shape, diversity)]
    assert (len(listed) == top) == (not found.list_ends)
    assert len(listed) == top or not left


@pytest.mark.parametrize("family", SPACES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_lists_are_those_of_brute_force(members_of, family, data):
    space = data.draw(SPACES[family].filter(lambda space: 0 < space.size() <= 1500))
    everything = [Weighed(spec) for spec in members_of(space)]
    middle = data.draw(st.sampled_from(everything))
    objective = data.draw(st.sampled_from(["mass", "mass", "params", "macs"]))
    limits = {
        "max_macs": data.draw(st.sampled_from([None, 1.0, 1.5])),
        "max_params": data.draw(st.sampled_from([None, 1.0, 2.0])),
    }
    limits = {name: int(share * getattr(middle, name[4:])) for name, share in limits.items() if share is not None}
    if objective != "mass" or data.draw(st.booleans()):
        limits["min_mass"] = middle.mass * data.draw(st.sampled_from([0.5, 0.9, 1.0]))
    if data.draw(st.booleans()):
        limits["max_mass"] = middle.mass * data.draw(st.sampled_from([1.0, 1.2]))
    check_list(
        everything,
        space,
        limits,
        objective,
        data.draw(st.sampled_from(DIVERSITIES)),
        data.draw(st.sampled_from([2, 5, 9, 30])),
    )


def test_lists_by_latency_are_those_of_brute_force(small_space, members_of, latency_of):
    table = latency_of(small_space)
    everything = [Weighed(spec) for spec in members_of(small_space)]
    least = sorted(one.mass for one in everything)[len(everything) // 2]
    options = {"min_mass": least, "objective": "latency_ms", "latency": table, "top": 5, "outside_domain": True}
    found = design(small_space, **options)
    left = [one for one in everything if one.keeps({"min_mass": least})]
    milliseconds = {one.spec: table.predict(one.spec).latency.ms for one in left}
    for candidate in [found.best, *found.alternatives]:
        assert candidate.latency_ms == pytest.approx(min(milliseconds[one.spec] for one in left))
        left = [one for one in left if not alike(one.shape, shape(candidate.spec), 0.25)]


def test_the_default_wide_resnets_are_listed_to_the_end():
    found = design(WideResNetSpace(), top=10)
    assert [c.spec.depth for c in (found.best, *found.alternatives)] == [52, 34, 22, 16, 10]
    assert found.list_ends.startswith("every other network within the budgets differs by less than 0.25")


def test_a_list_that_time_cuts_short_says_so_and_what_is_proven():
    start = time.monotonic()
    found = design(MobileNetV2Space(), max_macs=393e6, max_params=3.7e6, top=100, diversity=0.1, time_limit=0.5)
    assert time.monotonic() - start < 5
    assert len(found.alternatives) < 99
    assert found.list_ends == "the list was not finished within 0.5 seconds"
    masses = [c.spec.nn_mass for c in (found.best, *found.alternatives)]
    bounds = [c.certificate.bound for c in (found.best, *found.alternatives)]
    assert all(mass <= bound + 1e-6 for mass, bound in zip(masses, bounds, strict=True))

"""A share to keep is aimed at; what lies far from it, or cannot be had, is said."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass import CifarResNet, DenseCNN, DenseMLP, MobileNetV2, ResNet, WideResNet
from nnmass.designing import Domain, compress, domain_text
from nnmass.designing.surroundings import levels_around, space_around
from nnmass.errors import InfeasibleError, InvalidValueError

WIDE_BOTTLENECKS = ResNet(block="bottleneck", layers=(3, 4, 6, 3), width_per_group=128)
REFERENCES = {
    "mlp": DenseMLP(width=8, depth=32, max_skips=20, in_features=64),
    "cnn": DenseCNN(widths=(32, 64, 128), depth=16, max_skips=(80, 80, 65)),
    "mobilenet": MobileNetV2(),
    "resnet50": ResNet.of_depth(50),
    "wide": WIDE_BOTTLENECKS,
}


@pytest.mark.parametrize("share", [0.9, 0.8, 0.7])
@pytest.mark.parametrize("name", REFERENCES)
def test_the_answer_is_about_the_share_that_was_asked_for(name, share):
    reference = REFERENCES[name]
    found = compress(reference, keep_macs=share)
    assert found.optimal
    assert found.spec.macs <= share * reference.macs
    assert found.spec.macs >= 0.85 * share * reference.macs
    assert (found.spec.macs >= 0.9 * int(share * reference.macs)) == (not found.notes)
    assert all("nothing of this mass in the domain lies nearer" in note for note in found.notes)
    assert abs(found.table["ratio"]["nn_mass"] - 1) <= 0.02
    assert found.aims


def test_different_shares_have_different_answers():
    for reference in REFERENCES.values():
        first, second = (compress(reference, keep_macs=share).spec.macs for share in (0.9, 0.7))
        assert first > second


small = st.builds(
    DenseCNN,
    widths=st.tuples(st.integers(2, 4), st.integers(2, 4)),
    depth=st.integers(4, 9),
    max_skips=st.tuples(st.integers(2, 12), st.integers(2, 12)),
    image_size=st.integers(2, 9),
) | st.builds(CifarResNet, layers=st.tuples(*[st.integers(1, 4)] * 3), image_size=st.just(8))


@given(
    small.filter(lambda spec: spec.nn_mass > 0),
    st.sampled_from([1.0, 0.95, 0.8, 0.6]),
    st.sampled_from(["macs", "params"]),
)
@settings(max_examples=60, deadline=None)
def test_nothing_lies_nearer_to_the_budget(paths_of, reference, share, cost):
    domain = Domain(cell_tolerance=0.3, stage_tolerance=0.5)
    levels = levels_around(reference, space_around(reference, domain), domain)
    budget, column = int(share * getattr(reference, cost)), {"params": 1, "macs": 2}[cost]
    mass = reference.nn_mass
    costs = [sums[column] for sums, _ in paths_of(levels) if abs(sums[0] - mass) <= 0.05 * mass * (1 + 1e-9)]
    below = [value for value in costs if value <= budget]
    options = {"tolerance": 0.05, "domain": domain, f"keep_{cost}": share}
    if not below:
        with pytest.raises(InfeasibleError, match="What may help is"):
            compress(reference, **options)
        return
    found = compress(reference, between=3, **options)
    assert getattr(found.spec, cost) >= max(below) - 1e-3 * budget
    assert getattr(found.spec, cost) <= budget
    between = [getattr(spec, cost) for spec in found.front]
    assert between == sorted(between, reverse=True)
    assert all(min(costs) <= value <= getattr(found.spec, cost) for value in between)
    assert not between or between[-1] == min(costs)
    json.dumps(found.to_dict(), allow_nan=False)


def test_inner_widths_stay_near_the_references():
    found = compress(WIDE_BOTTLENECKS, keep_macs=0.9)
    assert found.spec.width_per_group >= 96
    assert "width per group 96 … 128" in domain_text(WIDE_BOTTLENECKS, found.domain)
    assert compress(WIDE_BOTTLENECKS).spec.width_per_group >= 96
    narrow = compress(WIDE_BOTTLENECKS, domain=Domain(inner_tolerance=0.9))
    assert narrow.spec.width_per_group < 64
    assert any("far from what was trained" in note for note in narrow.notes)


def test_half_the_inner_width_is_tried_where_the_budget_needs_it():
    found = compress(WIDE_BOTTLENECKS, keep_macs=0.6)
    assert 64 <= found.spec.width_per_group < 96
    assert "width per group 64 … 128" in domain_text(WIDE_BOTTLENECKS, found.domain)
    with pytest.raises(InfeasibleError, match=r"--inner-tolerance .now 10%."):
        compress(WIDE_BOTTLENECKS, keep_macs=0.6, domain=Domain(inner_tolerance=0.1))


def test_an_objective_asks_for_the_cheapest_within_the_share():
    reference = REFERENCES["cnn"]
    cheapest = compress(reference, keep_macs=0.9, objective="macs")
    assert cheapest.spec == compress(reference).spec
    assert not cheapest.aims
    assert "The answer has 0.47 × the budget of MACs: it is the cheapest of this mass" in cheapest.notes[0]


@pytest.mark.parametrize(
    ("reference", "help_"),
    [(WideResNet(depth=28, widen_factor=10), "--tolerance"), (ResNet.of_depth(18), "--stage-tolerance")],
)
def test_where_nothing_is_cheaper_it_is_said(reference, help_):
    found = compress(reference)
    assert found.spec == reference
    assert found.notes[0].startswith("No network of this mass in the domain is cheaper than the reference")
    assert help_ in found.notes[0]
    with pytest.raises(InfeasibleError, match=f"which is the reference.  What may help is .*{help_}"):
        compress(reference, keep_macs=0.9)
    assert compress(reference, keep_macs=1.0).notes == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_macs": 0.0}, r"keep_macs must lie in \(0, 1\], got 0.0"),
        ({"keep_params": 1.5}, r"keep_params must lie in \(0, 1\], got 1.5"),
        ({"keep_macs": float("nan")}, "keep_macs .* got nan"),
        ({"keep_macs": 0.5, "max_macs": 100}, "give keep_macs or max_macs, not both"),
        ({"between": -1}, "between must lie in 0 … 100, got -1"),
        ({"time_limit": 0}, "time_limit must be positive, got 0"),
        ({"max_macs": float("nan")}, "max_macs must be at least 1, got nan"),
        ({"max_macs": float("inf")}, "max_macs must be positive and at most 1e18, got inf"),
    ],
)
def test_what_cannot_be_asked_is_refused(options, message):
    with pytest.raises(InvalidValueError, match=message):
        compress(REFERENCES["mlp"], **options)

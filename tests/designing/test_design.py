import copy
import json
from dataclasses import replace

import numpy as np
import pytest

from nnmass import DenseCNN, DenseMLP, MobileNetV2, design
from nnmass.designing import (
    CifarResNetSpace,
    DenseCNNSpace,
    DenseMLPSpace,
    MobileNetV2Space,
    ResNetSpace,
    WideResNetSpace,
    describe,
)
from nnmass.designing.fitted import require_kind
from nnmass.errors import DomainError, FitError, InfeasibleError, InvalidValueError
from nnmass.prediction import Network, Origin, compare


def best_of(specs, **limits):
    return [
        spec
        for spec in specs
        if spec.params <= limits.get("max_params", np.inf)
        and spec.macs <= limits.get("max_macs", np.inf)
        and limits.get("min_mass", 0) - 1e-9 <= spec.nn_mass <= limits.get("max_mass", np.inf) + 1e-9
    ]


@pytest.mark.parametrize("seed", range(6))
def test_designs_are_the_best_of_all_members(small_space, members_of, seed):
    generator = np.random.default_rng(seed)
    specs = members_of(small_space)
    picked = specs[generator.integers(len(specs))]
    limits = {"max_params": int(picked.params), "max_macs": int(picked.macs * generator.uniform(0.8, 1.2))}
    if seed % 3 == 1:
        limits = {"min_mass": picked.nn_mass * 0.9, "max_mass": picked.nn_mass * 1.1, "max_macs": limits["max_macs"]}
    objective = ("mass", "params", "macs")[seed % 3] if "min_mass" in limits else "mass"
    fits = best_of(specs, **limits)
    if not fits:
        with pytest.raises(InfeasibleError, match="no network of the space has"):
            design(small_space, objective=objective, outside_domain=True, **limits)
        return
    found = design(small_space, objective=objective, outside_domain=True, **limits)
    assert found.spec in fits
    assert found.optimal
    assert found.certificate.space_size == len(specs)
    if objective == "mass":
        assert found.spec.nn_mass == pytest.approx(max(spec.nn_mass for spec in fits), rel=1e-9)
    else:
        assert getattr(found.spec, objective) == min(getattr(spec, objective) for spec in fits)


def test_the_least_latency_is_that_of_brute_force(small_space, members_of, latency_of):
    table, specs = latency_of(small_space), members_of(small_space)
    masses = sorted(spec.nn_mass for spec in specs)
    least = masses[len(masses) // 2]
    found = design(small_space, min_mass=least, objective="latency_ms", latency=table, outside_domain=True)
    expected = min(table.predict(spec).latency.ms for spec in specs if spec.nn_mass >= least - 1e-9)
    assert found.best.latency_ms == pytest.approx(expected) == table.predict(found.spec).latency.ms
    within = design(small_space, max_latency_ms=expected * 1.2, latency=table, outside_domain=True)
    best = max(spec.nn_mass for spec in specs if table.predict(spec).latency.ms <= expected * 1.2 * (1 + 1e-9))
    assert within.spec.nn_mass == pytest.approx(best, rel=1e-9)


def test_activation_memory_is_a_budget():
    space = DenseCNNSpace(depth=(8, 9))
    free = design(space, max_macs=600e6)
    tight = design(space, max_macs=600e6, max_activation_bytes=free.spec.activation_bytes - 1)
    assert tight.spec.activation_bytes < free.spec.activation_bytes
    assert tight.spec.nn_mass < free.spec.nn_mass


def test_the_papers_headline_budgets():
    found = design(MobileNetV2Space(), max_macs=393e6, max_params=3.7e6)
    assert found.optimal
    assert found.spec.macs <= 393e6
    assert found.spec.params <= 3.7e6
    assert found.spec.nn_mass > MobileNetV2().nn_mass
    assert found.best.outside == ()


def test_a_design_prints_and_dumps_what_is_known():
    found = design(MobileNetV2Space(), max_macs=393e6, top=3)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["design"]["nn_mass"] == found.spec.nn_mass
    assert values["certificate"]["optimal"] is True
    assert values["budgets"] == {"max_macs": 393e6}
    assert len(values["alternatives"]) == 2
    assert "proven optimal, of 191,102,976 networks" in str(found)


def relative(a, b):
    return abs(a - b) / max(abs(a), abs(b), 1)


def shape_of(spec):
    if isinstance(spec, DenseCNN):
        return [(cell.width, cell.depth) for cell in spec.cells]
    return [(channels, expansion, blocks) for expansion, channels, blocks, _ in spec.stages]


def alike(a, b, diversity):
    return all(
        relative(x, y) < diversity
        for first, second in zip(shape_of(a), shape_of(b), strict=True)
        for x, y in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("diversity", [0.2, 0.45])
@pytest.mark.parametrize("name", ["cnn", "mobilenet", "tied"])
def test_alternatives_are_each_the_best_of_those_unlike_all_before(small_spaces, members_of, name, diversity):
    space = small_spaces[name]
    specs = members_of(space)
    budget = int(np.quantile([spec.macs for spec in specs], 0.7))
    left = [spec for spec in specs if spec.macs <= budget]
    found = design(space, max_macs=budget, top=6, diversity=diversity, outside_domain=True)
    listed = [found.best, *found.alternatives]
    for candidate in listed:
        assert candidate.spec.nn_mass == pytest.approx(max(spec.nn_mass for spec in left), rel=1e-9)
        left = [spec for spec in left if not alike(spec, candidate.spec, diversity)]
    assert len(listed) == 6 or not left


ORIGIN = Origin(DenseMLP(width=8, depth=16, max_skips=12, in_features=64), "digits (bundled)", {"epochs": 30})
FITTED = compare(
    [
        Network(m, 1_000 * k, 900 * k, 0.8 + 0.02 * k + 0.001 * (k % 3), 5, 0.01, "16", ORIGIN)
        for k, m in enumerate((10, 20, 40, 80), 1)
    ]
)


def test_a_fit_predicts_and_keeps_designs_near_its_networks():
    space = DenseMLPSpace(in_features=64)
    found = design(space, fit=FITTED)
    low, high = FITTED.mass.reach()
    assert low <= found.spec.nn_mass <= high
    assert found.spec.params <= 4_000
    assert set(found.best.accuracy) == {"nn_mass", "params", "macs"}
    assert found.best.outside == ()
    beyond = design(space, fit=FITTED, outside_domain=True)
    assert beyond.spec.nn_mass > high
    assert any("lies too far outside the 4 fitted networks" in reason for reason in beyond.best.outside)
    assert any("params: fitted were" in reason for reason in beyond.best.outside)
    assert "nn_mass" not in beyond.best.accuracy
    assert found.to_dict()["fit"]["holds_for"]["family"] == "DenseMLP"


OTHERS = {
    "width": DenseMLPSpace(width=9, in_features=64),
    "in features": DenseMLPSpace(in_features=65),
    "num classes": DenseMLPSpace(in_features=64, num_classes=3),
    "activation": DenseMLPSpace(in_features=64, activation="tanh"),
    "family DenseCNN": DenseCNNSpace(widths=((8,), (16,)), conv="separable"),
    "family MobileNetV2": MobileNetV2Space(),
    "family ResNet": ResNetSpace(),
    "family CifarResNet": CifarResNetSpace(),
    "family WideResNet": WideResNetSpace(),
}


@pytest.mark.parametrize("outside_domain", [False, True])
@pytest.mark.parametrize("difference", OTHERS)
def test_a_fit_says_nothing_of_a_space_of_another_kind(difference, outside_domain):
    with pytest.raises(DomainError, match=rf"^the fit holds for DenseMLPs .*; this space has {difference} .*, not "):
        design(OTHERS[difference], fit=FITTED, outside_domain=outside_domain)


def test_a_network_of_another_kind_in_a_space_that_holds_several_has_no_prediction():
    space = DenseMLPSpace(width=(8, 16), depth=(12, 16), in_features=64)
    found = design(space, fit=FITTED, outside_domain=True, top=3)
    listed = [found.best, *found.alternatives]
    assert {candidate.spec.width for candidate in listed} == {8, 16}
    for candidate in listed:
        told = any("this network has width 16, not 8" in reason for reason in candidate.outside)
        assert told == (candidate.spec.width == 16)
        assert bool(candidate.accuracy) == (candidate.spec.width == 8)
    with pytest.raises(DomainError, match="this space has width 8 … 16, not 8"):
        design(space, fit=FITTED, outside_domain=True, objective="accuracy")


def test_the_largest_predicted_accuracy_lies_within_the_fit_in_any_case():
    shallow = DenseMLPSpace(depth=(4, 16), in_features=64)
    found = design(shallow, fit=FITTED, objective="accuracy", outside_domain=True)
    assert found.spec.nn_mass <= FITTED.mass.reach()[1]
    assert "nn_mass" in found.best.accuracy


def test_a_fit_of_unknown_networks_is_refused():
    unknown = compare([replace(network, origin=None) for network in FITTED.networks])
    with pytest.raises(FitError, match="do not say what they are"):
        design(DenseMLPSpace(in_features=64), fit=unknown)


def test_a_space_and_its_members_have_the_same_traits(small_space, members_of):
    for spec in members_of(small_space)[:50]:
        assert spec.traits.keys() == small_space.traits.keys()
        network = Network(1.0, 1, 1, 0.5, 1, 0.0, "", Origin(spec, "digits", {}))
        fit = compare(
            [replace(network, nn_mass=m, params=k, macs=k, accuracy=k / 9) for m, k in ((1, 2), (2, 3), (4, 8))]
        )
        require_kind(small_space, fit, every=False)
        for name in spec.traits:
            other = copy.copy(fit.kind.traits)
            for value in (-1, (-1,), (*spec.traits[name], 8) if isinstance(spec.traits[name], tuple) else None):
                other[name] = value
                wrong = replace(fit, kind=replace(fit.kind, traits=other))
                with pytest.raises(DomainError, match=f"this space has {name.replace('_', ' ')} .*, not "):
                    require_kind(small_space, wrong, every=False)
            other[name] = spec.traits[name]


def test_predicted_accuracy_grows_with_mass_or_is_no_objective():
    space = DenseMLPSpace(in_features=64)
    assert design(space, fit=FITTED, objective="accuracy").spec == design(space, fit=FITTED).spec
    falling = compare(
        [Network(m, 1_000 * m, 900 * m, 0.9 - m / 1_000, 5, 0.01, "16", ORIGIN) for m in (10, 20, 41, 80)]
    )
    with pytest.raises(InvalidValueError, match="predicts no more accuracy from more mass"):
        design(space, fit=falling, objective="accuracy")
    with pytest.raises(InvalidValueError, match="objective 'accuracy' needs a fit"):
        design(space, objective="accuracy")


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (DenseCNNSpace(widths=((8, 16), (32,))), "widths vary .8 … 16.: NN-Mass compares networks of equal widths"),
        (DenseCNNSpace(max_density=0.9), "density 0.9: the domain ends at 0.8"),
        (DenseMLPSpace(depth=(4, 16)), "depth 4: cells of fewer than 8 layers were not measured"),
        (
            MobileNetV2Space(stages=[{"expansion": [2, 6], "channels": 16, "repeats": [1, 9]}]),
            "expansions 2 … 6: the domain is 3 … 6; 9 blocks in a stage",
        ),
        (MobileNetV2Space(stages=[{"expansion": 6, "channels": [8, 16], "repeats": 2}]), "channels vary .8 … 16."),
        (ResNetSpace(layers=((1,),), planes=((32, 64),)), "planes vary .32 … 64."),
    ],
)
def test_what_lies_beyond_the_domain_has_to_be_asked_for_and_is_marked(space, reason):
    with pytest.raises(DomainError, match=rf"the space reaches beyond .*{reason}.*--outside-domain"):
        design(space)
    assert design(space, outside_domain=True).spec


def test_a_member_within_the_domain_is_not_marked_for_its_space():
    space = DenseMLPSpace(depth=(4, 16), in_features=64)
    found = design(space, objective="macs", min_mass=60, outside_domain=True)
    assert found.spec.depth == 16
    assert found.best.outside == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_latency_ms": 3.0}, "milliseconds need a latency table: nnmass bench fills one"),
        ({"objective": "latency_ms", "min_mass": 1}, "milliseconds need a latency table"),
        ({"objective": "macs"}, "objective 'macs' needs a min_mass"),
        ({"objective": "beauty", "min_mass": 1}, "objective must be one of"),
        ({"top": 0}, "top must lie in 1 … 100, got 0"),
        ({"diversity": 1}, r"diversity must lie in \[0, 1\), got 1"),
        ({"time_limit": 0}, "time_limit must be positive, got 0"),
        ({"max_macs": 0}, "max_macs must be positive, got 0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InvalidValueError, match=message):
        design(DenseMLPSpace(), **options)


def test_activations_that_fit_nowhere_leave_no_network():
    with pytest.raises(InfeasibleError, match="the space holds no network"):
        design(DenseMLPSpace(), max_activation_bytes=100)


def test_descriptions_are_one_line(small_space, members_of):
    for spec in members_of(small_space)[:3]:
        assert describe(spec).startswith(f"{spec.family}: ")
        assert "\n" not in describe(spec)

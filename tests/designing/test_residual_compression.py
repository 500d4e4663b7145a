import itertools
from functools import cache
from typing import NamedTuple

import pytest

from nnmass import CifarResNet, MobileNetV2, ResNet, WideResNet
from nnmass.architectures import Specification
from nnmass.designing import Domain, compress, structure
from nnmass.errors import InfeasibleError

MOBILE = MobileNetV2(stages=[(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (5, 32, 2, 1)], image_size=64, num_classes=10)
BOTTLENECK = ResNet(block="bottleneck", layers=(2, 3), image_size=64, num_classes=10, width_per_group=64)
BASIC = CifarResNet(layers=(2, 3, 1), image_size=16)
WIDE = WideResNet(depth=22, widen_factor=2, image_size=16, dropout=0.2)


def stage_masses(spec):
    counts = [n for _, _, n, _ in spec.stages] if isinstance(spec, MobileNetV2) else getattr(spec, "layers", None)
    masses = [cell.nn_mass for cell in spec.cells]
    if counts is None:
        return [sum(masses)]
    ends = list(itertools.accumulate(counts))
    return [sum(masses[a:b]) for a, b in zip([0, *ends], ends, strict=False)]


@cache
def stand_ins(reference):
    """Every specification with the reference's widths that the domain's choices allow."""
    values = reference.model_dump(exclude_none=True)
    if isinstance(reference, MobileNetV2):
        each = [
            [
                (e, c, n, s)
                for e in {*(x for x in (3.0, 4.0, 5.0, 6.0) if x < expansion), expansion}
                for n in range(1, 7)
            ]
            for expansion, c, _, s in reference.stages
        ]
        return [type(reference)(**values | {"stages": stages}) for stages in itertools.product(*each)]
    if isinstance(reference, WideResNet):
        return [type(reference)(**values | {"depth": d}) for d in range(10, reference.depth + 1, 6)]
    layers = itertools.product(*(range(1, 2 * n + 1) for n in reference.layers))
    if isinstance(reference, CifarResNet):
        return [type(reference)(**values | {"layers": n}) for n in layers]
    widths = [w for w in (16, 24, 32, 40, 48, 56, 64) if w <= reference.width_per_group]
    return [
        type(reference)(**values | {"layers": n, "width_per_group": w}) for n, w in itertools.product(layers, widths)
    ]


class Weighed(NamedTuple):
    spec: Specification
    nn_mass: float
    params: int
    macs: int
    stages: list[float]


@cache
def weighed(reference):
    return [Weighed(spec, *spec.costs, stage_masses(spec)) for spec in stand_ins(reference)]


@pytest.mark.parametrize("stage_tolerance", [None, 0.3, 0.1])
@pytest.mark.parametrize("objective", ["params", "macs"])
@pytest.mark.parametrize("reference", [MOBILE, BOTTLENECK, BASIC, WIDE], ids=lambda spec: spec.family)
def test_the_cheapest_of_all_is_found(reference, objective, stage_tolerance):
    mass, own = reference.nn_mass, stage_masses(reference)
    right = {
        one.spec: one
        for one in weighed(reference)
        if abs(one.nn_mass / mass - 1) <= 0.02 + 1e-9
        and (
            stage_tolerance is None
            or all(abs(m - o) <= stage_tolerance * o + 1e-9 for m, o in zip(one.stages, own, strict=True))
        )
    }
    domain = Domain(stage_tolerance=stage_tolerance, inner_tolerance=0.75)
    found = compress(reference, objective=objective, domain=domain)
    assert found.optimal
    assert found.spec in right
    other = "macs" if objective == "params" else "params"
    best = min((getattr(one, objective), getattr(one, other)) for one in right.values())
    assert (getattr(found.spec, objective), getattr(found.spec, other)) == best
    assert set(structure(found.spec)) == set(structure(reference))
    with pytest.raises(
        InfeasibleError,
        match=rf"within the domain \(the reference's .*\) has at most .* the cheapest has {found.spec.params:,} params",
    ):
        compress(reference, objective=objective, domain=domain, **{f"max_{objective}": best[0] - 1})


def test_mobilenet_v2_at_two_thirds_of_its_macs():
    reference = MobileNetV2()
    found = compress(reference, max_macs=int(0.66 * reference.macs))
    assert found.optimal
    assert found.table["ratio"]["macs"] <= 0.66
    assert abs(found.table["ratio"]["nn_mass"] - 1) <= 0.02


def test_everything_else_stays():
    found = compress(WIDE, domain=Domain(stage_tolerance=None))
    assert found.spec.dropout == 0.2
    assert "depth" in str(found)


def test_latency_is_an_objective(latency_of):
    reference = BASIC
    from nnmass.designing import space_around

    table = latency_of(space_around(reference, Domain()))
    found = compress(reference, objective="latency_ms", latency=table, domain=Domain(stage_tolerance=None))
    right = [spec for spec in stand_ins(reference) if abs(spec.nn_mass / reference.nn_mass - 1) <= 0.02 + 1e-9]
    assert found.latency_ms == (
        table.predict(reference).latency.ms,
        pytest.approx(min(table.predict(spec).latency.ms for spec in right)),
    )
    with pytest.raises(InfeasibleError, match=r"at most 0\.01 ms; the cheapest has .* ms \(layers"):
        compress(reference, max_latency_ms=0.01, latency=table)

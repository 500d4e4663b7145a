import re

import pytest

from nnmass.architectures import CifarResNet, DenseCNN, DenseMLP, MobileNetV2, ResNet, WideResNet
from nnmass.errors import ExtrapolationError, FitError
from nnmass.prediction import Kind, Network, Origin, compare

SPECS = {
    "DenseMLP": DenseMLP(width=8, depth=16, max_skips=12, in_features=64),
    "DenseCNN": DenseCNN(widths=(8, 16), depth=(5, 6), max_skips=(3, 4)),
    "ResNet": ResNet(block="bottleneck", layers=(1, 2)),
    "CifarResNet": CifarResNet(layers=(1, 2, 3)),
    "WideResNet": WideResNet(depth=16, widen_factor=2),
    "MobileNetV2": MobileNetV2(stages=[(1, 16, 1, 1), (6, 24, 2, 2)]),
}
DEEPER = {
    "DenseMLP": {"depth": 20, "max_skips": 5},
    "DenseCNN": {"depth": 9, "max_skips": (1, 2)},
    "ResNet": {"layers": (3, 1)},
    "CifarResNet": {"layers": (3, 3, 3)},
    "WideResNet": {"depth": 22},
    "MobileNetV2": {"stages": ((1, 16, 2, 1), (6, 24, 4, 2))},
}
FIXED = {
    "DenseMLP": {"width": 9, "in_features": 65, "num_classes": 3, "activation": "relu"},
    "DenseCNN": {"widths": (8, 17), "conv": "separable", "image_size": 16, "in_channels": 1, "num_classes": 3},
    "ResNet": {"block": "basic", "groups": 2, "image_size": 64, "num_classes": 3, "projection": "zero"},
    "CifarResNet": {"shortcut": "B", "image_size": 16, "in_channels": 1, "num_classes": 3, "projection": "zero"},
    "WideResNet": {"dropout": 0.3, "image_size": 16, "in_channels": 1, "num_classes": 3, "projection": "zero"},
    "MobileNetV2": {"stages": ((1, 16, 1, 1), (6, 24, 2, 1)), "image_size": 64, "in_channels": 1, "num_classes": 3},
}
SCALED = {
    "ResNet": {"planes": (64, 96), "width_per_group": 128},
    "CifarResNet": {"widths": (8, 16, 32)},
    "WideResNet": {"widen_factor": 4},
    "MobileNetV2": {"stages": ((1, 16, 1, 1), (5, 32, 2, 2)), "width_mult": 0.5, "last_channels": 640},
}


def changed(spec, changes):
    return type(spec)(**(spec.model_dump() | changes))


def pairs(table):
    return [(family, {name: value}) for family, changes in table.items() for name, value in changes.items()]


def origins(*specs, data="digits (bundled)", **training):
    return [Origin(spec, data, training) for spec in specs]


@pytest.mark.parametrize("family", SPECS)
def test_a_fit_holds_for_other_depths_and_skips(family):
    spec = SPECS[family]
    deeper = changed(spec, DEEPER[family])
    kind = Kind.of(origins(spec, deeper, spec.with_links(0)))
    assert kind.varied == ()
    assert kind.traits == spec.traits == deeper.traits
    kind.require(deeper)


@pytest.mark.parametrize(("family", "changes"), [*pairs(FIXED), *pairs(SCALED)])
def test_a_fit_of_one_kind_holds_for_no_other(family, changes):
    spec = SPECS[family]
    other = changed(spec, changes)
    different = [name.replace("_", " ") for name in spec.traits if spec.traits[name] != other.traits[name]]
    assert different
    with pytest.raises(ExtrapolationError, match=rf"^the fit holds for {family}s of .*; this network has ") as raised:
        Kind.of(origins(spec)).require(other)
    told = str(raised.value).partition("this network has ")[2].split("; ")
    assert [part for part, name in zip(told, different, strict=True) if not part.startswith(f"{name} ")] == []


@pytest.mark.parametrize(("family", "changes"), pairs(FIXED))
def test_networks_of_several_kinds_make_no_fit(family, changes):
    spec = SPECS[family]
    with pytest.raises(FitError, match=r"these networks are not alike: they have .* or .*nnmass fit --only \w+=…"):
        Kind.of(origins(spec, spec, changed(spec, changes)))


@pytest.mark.parametrize(("family", "changes"), pairs(SCALED))
def test_what_varies_among_residual_networks_may_vary(family, changes):
    spec = SPECS[family]
    other = changed(spec, changes)
    kind = Kind.of(origins(spec, other))
    assert set(kind.varied) == {name for name in spec.traits if spec.traits[name] != other.traits[name]}
    kind.require(other)


def test_families_are_not_mixed():
    with pytest.raises(FitError, match=r"they have family DenseCNN or DenseMLP|family DenseMLP or DenseCNN"):
        Kind.of(origins(SPECS["DenseMLP"], SPECS["DenseCNN"]))


@pytest.mark.parametrize("family", SPECS)
@pytest.mark.parametrize("other", SPECS)
def test_a_network_of_another_family_is_refused(family, other):
    kind = Kind.of(origins(SPECS[family]))
    if family == other:
        kind.require(SPECS[other])
        return
    with pytest.raises(ExtrapolationError, match=rf"{family}s of .* on digits; .* family {other} \(.*, not {family}$"):
        kind.require(SPECS[other])


def test_data_and_training_are_not_mixed():
    spec = SPECS["DenseMLP"]
    with pytest.raises(FitError, match=r"they have data digits \(bundled\) or mnist"):
        Kind.of([*origins(spec), *origins(spec, data="mnist")])
    with pytest.raises(FitError, match=r"they have epochs 5 or 30, and optimizer adam or sgd\."):
        Kind.of([*origins(spec, epochs=5, optimizer="adam"), *origins(spec, epochs=30, optimizer="sgd")])


def test_every_difference_is_named():
    with pytest.raises(ExtrapolationError) as raised:
        Kind.of(origins(SPECS["DenseMLP"])).require(DenseMLP(width=9, depth=16, max_skips=3, activation="tanh"))
    assert re.search("width 9, not 8; in features 784, not 64; activation tanh, not elu$", str(raised.value))
    assert "\n" not in str(raised.value)


def test_a_comparison_predicts_its_kind_alone():
    specs = [DenseMLP(width=8, depth=depth, max_skips=skips) for depth in (12, 16) for skips in (5, 10, 30)]
    networks = [
        Network(s.nn_mass, s.params, s.macs, 0.5 + 0.01 * k**1.3, 1, 0.0, str(s.depth), origin)
        for k, (s, origin) in enumerate(zip(specs, origins(*specs, epochs=3), strict=True))
    ]
    comparison = compare(networks)
    assert comparison.predict(specs[1]) == comparison.mass.predict(specs[1].nn_mass)
    assert comparison.predict(specs[1], quantity="macs", level=0.5).mean == comparison.fits["macs"].fit.line(
        specs[1].macs
    )
    with pytest.raises(ExtrapolationError, match="this network has width 9, not 8"):
        comparison.predict(DenseMLP(width=9, depth=16, max_skips=10), extrapolate=True)
    assert comparison.to_dict()["holds_for"]["traits"]["width"] == 8
    assert comparison.to_dict()["holds_for"]["training"] == {"epochs": 3}
    wider = DenseMLP(width=9, depth=9, max_skips=1)
    with pytest.raises(FitError, match=r"they have width 8 or 9\."):
        compare([*networks, Network(9.0, 9, 9, 0.5, 1, 0.0, "3", *origins(wider, epochs=3))])

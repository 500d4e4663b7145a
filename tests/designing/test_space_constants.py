"""Sizes and classes of a space, and spaces as files that people change."""

import json

import pytest

import nnmass
from nnmass.designing import default_space, load_space, with_constants
from nnmass.designing.spaces.files import SPACES
from nnmass.errors import SpaceError, WrongTypeError

CONSTANTS = {"image_size": 48, "num_classes": 7, "in_features": 30}


@pytest.mark.parametrize("family", SPACES)
@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_is_set_or_refused(family, name):
    space = default_space(family)
    if name not in type(space).model_fields:
        with pytest.raises(SpaceError, match=f"a {family} has no {name}, got {CONSTANTS[name]}"):
            with_constants(space, **{name: CONSTANTS[name]})
        return
    changed = with_constants(space, **{name: CONSTANTS[name]})
    assert changed.model_dump() == space.model_dump() | {name: CONSTANTS[name]}
    assert with_constants(changed, **{name: CONSTANTS[name]}) == changed
    with pytest.raises(SpaceError, match=f"the space states {name} {CONSTANTS[name]}, and 3 is asked for: change one"):
        with_constants(changed, **{name: 3})
    with pytest.raises(SpaceError, match=name):
        with_constants(space, **{name: 0})


@pytest.mark.parametrize("family", SPACES)
def test_a_written_space_is_read_back_and_is_short(family, tmp_path):
    space = default_space(family)
    path = space.to_json(tmp_path / "space.json")
    assert load_space(path) == space
    assert len(path.read_text().splitlines()) < 150
    values = json.loads(path.read_text())
    assert values["family"] == family


def test_ranges_are_written_as_ranges(tmp_path):
    space = nnmass.DenseMLPSpace(width=(8, 16), depth=range(8, 41, 4), max_skips=(1, 2, 4, 8))
    values = json.loads(space.to_text())
    assert values["depth"] == {"min": 8, "max": 40, "step": 4}
    assert (values["width"], values["max_skips"]) == ([8, 16], [1, 2, 4, 8])


@pytest.mark.parametrize("name", ["mobilenetv2", "MOBILENET_V2", "mobilenet-v2"])
@pytest.mark.parametrize("ask", [nnmass.design, nnmass.pareto_front])
def test_families_are_found_however_they_are_written(ask, name):
    found = ask(name, max_macs=393e6)
    spec = found[0].spec if isinstance(found, list) else found.spec
    assert spec.family == "MobileNetV2"


@pytest.mark.parametrize(
    "value", [None, 3, {}, [1], nnmass.DenseMLP(width=4, depth=4, max_skips=2), nnmass.DenseMLPSpace]
)
@pytest.mark.parametrize("ask", [nnmass.design, nnmass.pareto_front])
def test_what_is_no_space_is_one_line(ask, value):
    with pytest.raises(WrongTypeError, match=r"space must be a design space or a family's name .*, got ") as caught:
        ask(value)
    assert "\n" not in str(caught.value)

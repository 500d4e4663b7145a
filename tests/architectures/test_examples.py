"""Specifications that come with nnmass, and what is said where a file is another thing."""

from pathlib import Path

import pytest

import nnmass
from nnmass.architectures.examples import example_names, example_specifications
from nnmass.errors import SpaceError, SpecificationError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", example_names())
def test_examples_are_read_by_name_and_are_those_of_the_repository(name):
    read = nnmass.load_spec if name in example_specifications() else nnmass.load_space
    assert read(f"example:{name}") == read(ROOT / "examples" / f"{name}.json")
    assert (ROOT / "examples" / f"{name}.json").resolve() == Path(nnmass.__file__).parent / "examples" / f"{name}.json"


def test_every_example_of_the_repository_is_in_the_package():
    assert sorted(path.stem for path in (ROOT / "examples").glob("*.json")) == example_names()


@pytest.mark.parametrize("name", ["", "referenz", "../reference", "reference.json", "\n"])
def test_unknown_examples_name_the_others(name):
    with pytest.raises(
        SpecificationError, match=r"no such example; there are .*digits_cnn, reference, space"
    ) as caught:
        nnmass.load_spec(f"example:{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["m.py:Net", "m.py", "timm:resnet18", "torchvision:x", "a/b.onnx", "a.pt2"])
def test_a_model_is_no_specification(source):
    with pytest.raises(
        SpecificationError, match=r"names a PyTorch model, and a specification is needed here: FILE\.json"
    ):
        nnmass.load_spec(source)
    with pytest.raises(SpaceError, match=r"names a PyTorch model, and a design space is needed here: FILE\.json"):
        nnmass.load_space(source)

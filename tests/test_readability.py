"""What a person sees of public classes: help texts, signatures and representations."""

import dataclasses
import inspect
import pkgutil
import pydoc
import re
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import nnmass
from nnmass.prediction import Network, compare
from nnmass.representation import brief
from nnmass.sweeps import Run, stored_run
from nnmass.timing import conditions

CLASSES = {name: value for name in nnmass.__all__ if isinstance(value := getattr(nnmass, name), type)}
MODELS = {name: value for name, value in CLASSES.items() if issubclass(value, BaseModel)}
MOST = 400  # characters of a representation


def exported():
    """Dataclasses in the faces of all rooms."""
    for module in pkgutil.iter_modules(nnmass.__path__, "nnmass."):
        if module.ispkg and module.name not in ("nnmass.cli", "nnmass.reporting"):
            room = import_module(module.name)
            for name in room.__all__:
                value = getattr(room, name)
                if isinstance(value, type) and dataclasses.is_dataclass(value):
                    yield value


MUCH = re.compile(r"ndarray|Tensor|Module|Network\b|tuple\[nnmass|tuple\[.*\.\.\.|(dict|Mapping)\[str, nnmass")
"""Types of values of any length."""
GREAT = [value for value in exported() if any(MUCH.search(str(field.type)) for field in dataclasses.fields(value))]


@pytest.mark.parametrize("name", CLASSES)
def test_help_is_about_the_class(name):
    text = pydoc.render_doc(CLASSES[name], renderer=pydoc.plaintext)
    assert len(text) <= 6_000
    assert not re.search(r"model_|__pydantic|BeforeValidator|FieldInfo|PydanticUndefined|Optional|<function", text)
    assert text.index(inspect.getdoc(CLASSES[name]).splitlines()[0]) < 1_500


@pytest.mark.parametrize("name", MODELS)
def test_every_field_is_described_and_shown_with_its_range(name):
    model = MODELS[name]
    described = "\n".join(inspect.getdoc(base) or "" for base in model.__mro__ if issubclass(base, BaseModel))
    shown = str(inspect.signature(model))
    for field, info in model.model_fields.items():
        if field == "family":
            continue
        assert re.search(rf"^    {field}: ", described, re.MULTILINE), field
        assert f"{field}: " in shown
        for limit in [value for one in info.metadata for key in ("ge", "gt") if (value := getattr(one, key, None))]:
            assert re.search(rf"\b{field}: \w+ [\[(]{limit:,}…", shown) or limit == 1
    if name != "Specification":
        assert ">>> " in described


def test_signatures_of_networks():
    assert str(inspect.signature(nnmass.DenseMLP)) == (
        "(*, width: int [1…1,000,000], depth: int [2…1,000,000], max_skips: int [0…), "
        "in_features: int [1…1,000,000] = 784, num_classes: int [1…1,000,000] = 10, "
        "activation: Literal['elu', 'relu', 'selu', 'tanh', 'linear'] = 'elu', "
        "links: tuple[tuple[tuple[int, ...], ...], ...] | None = None)"
    )


SPEC = nnmass.DenseMLP(width=8, depth=32, max_skips=20, in_features=64)


def results(tmp_path):
    """One of each result."""
    from nnmass.data import load_data
    from nnmass.tracing import load_model, measure

    data, model = load_data("digits"), load_model("torchvision:densenet121")
    report = nnmass.analyze(model.module, input_size=(1, 3, 224, 224))
    measured = nnmass.isometry(SPEC, 4, initialisations=2)
    expected = nnmass.expected_isometry(SPEC)
    trained = nnmass.train(SPEC, data, nnmass.TrainingConfig(epochs=1), device="cpu")
    found = nnmass.design(nnmass.MobileNetV2Space(), max_macs=393e6, top=3)
    networks = [Network(10.0 * k, 100 * k, 1_000 * k, 0.7 + k / 100, 3, 0.01, str(k % 3)) for k in range(1, 9)]
    run = Run(SPEC.with_links(0), 0, "digits", nnmass.TrainingConfig())
    yield from (SPEC, SPEC.with_links(0), nnmass.ResNet.of_depth(50), nnmass.MobileNetV2Space(), nnmass.DenseMLPSpace())
    yield from (nnmass.compress(SPEC, max_macs=4_000), found, found.best, found.certificate)
    yield from (report, report.graph, report.graph.nodes[5], report.cells[0], model, measure("torchvision:resnet18"))
    yield from (measured, measured.layers[3], expected, expected.layers[3], nnmass.Initialisation.parse("he"))
    yield from (data, data.train, trained, trained.config, compare(networks), networks[0], run)
    yield stored_run(run, [0.1] * 1_000, 0.5, 0.5)
    yield nnmass.MassPredictor.fit([10.0, 20.0, 40.0, 80.0], [0.7, 0.75, 0.8, 0.85])
    yield nnmass.RunStore(tmp_path / "runs.sqlite")
    yield nnmass.LatencyTable(tmp_path / "latency.sqlite", conditions(), create=True)


def test_results_are_shown_in_a_few_lines(tmp_path):
    for result in results(tmp_path):
        shown = repr(result)
        assert len(shown) <= MOST, shown
        assert shown.startswith(f"{type(result).__name__}("), shown
        assert "\n" not in shown
        assert " object at 0x" not in shown


@pytest.mark.parametrize("result", sorted(set(GREAT), key=str), ids=lambda result: result.__qualname__)
def test_every_public_result_that_holds_much_is_shown_briefly(result):
    assert result.__repr__ is brief


def test_a_representation_of_a_network_makes_it_again():
    assert eval(repr(SPEC), {"DenseMLP": nnmass.DenseMLP}) == SPEC


ARRAYS = st.sampled_from([np.zeros((3, 4)), torch.ones(5)])
VALUES = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.binary() | ARRAYS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@dataclasses.dataclass
class Anything:
    first: object
    second_of_them: object
    third: object

    __repr__ = brief


@given(VALUES, VALUES, VALUES)
def test_whatever_a_result_holds_its_representation_is_short(first, second, third):
    inner = Anything(first, second, third)
    for shown in (repr(inner), repr(Anything(inner, [inner] * 3, {"a": inner}))):
        assert len(shown) <= MOST
        assert "\n" not in shown
        assert shown.endswith(")")

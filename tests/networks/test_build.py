import copy
import io
import random

import numpy as np
import pytest
import torch
from torch import nn

from nnmass import DenseCNN, DenseMLP, Specification
from nnmass.errors import CheckpointError, InvalidValueError, ResourceError
from nnmass.networks import Network, build
from nnmass.topology import Cell

SPECS = [
    DenseMLP(width=3, depth=6, max_skips=4, in_features=7),
    DenseCNN(widths=(3, 2), depth=(5, 4), max_skips=(4, 3), image_size=8),
    DenseCNN(widths=(2, 3), depth=4, max_skips=2, image_size=7, conv="separable"),
]
every_spec = pytest.mark.parametrize("spec", SPECS, ids=["mlp", "regular", "separable"])


def outputs(model: nn.Module, spec: Specification) -> torch.Tensor:
    x = torch.randn(4, *spec.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.eval()(x)


def same_weights(a: Network, b: Network) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@every_spec
def test_the_same_seed_gives_the_same_network(spec):
    first, again = spec.build(seed=5), build(spec, seed=5)
    assert first.spec == again.spec == spec.with_links(5)
    assert same_weights(first, again)
    assert torch.equal(outputs(first, spec), outputs(again, spec))


@every_spec
def test_another_seed_gives_another_network(spec):
    first, other = spec.build(seed=5), spec.build(seed=6)
    assert first.spec != other.spec
    assert not same_weights(first, other)


@every_spec
def test_given_links_are_kept_and_do_not_change_the_weights(spec):
    linked = spec.with_links(9)
    assert linked.build(seed=5).spec == linked
    assert same_weights(linked.build(seed=5), spec.build(seed=5))


@every_spec
def test_the_random_states_of_the_caller_stay(spec):
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    spec.build(seed=1)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy_state, strict=True))  # noqa: NPY002
    assert random.getstate() == python_state


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU, whose random state could change")
def test_the_random_state_of_the_gpu_stays():
    state = torch.cuda.get_rng_state()
    SPECS[0].build(seed=1)
    assert torch.equal(torch.cuda.get_rng_state(), state)


@every_spec
def test_the_caller_s_random_state_has_no_influence(spec):
    torch.manual_seed(1)
    first = spec.build(seed=3)
    torch.manual_seed(2)
    assert same_weights(first, spec.build(seed=3))


@every_spec
def test_a_state_dict_carries_the_whole_function(spec):
    model, other = spec.build(seed=1), spec.build(seed=2)
    assert not torch.equal(outputs(model, spec), outputs(other, spec))
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert torch.equal(outputs(model, spec), outputs(other, spec))
    assert other.spec == model.spec != spec.with_links(2)


@every_spec
def test_a_network_reloaded_from_its_specification_and_state_is_the_same(spec, tmp_path):
    model = spec.build(seed=1)
    rebuilt = type(spec).model_validate_json(model.spec.to_json(tmp_path / "spec.json").read_text()).build(seed=2)
    rebuilt.load_state_dict(model.state_dict())
    assert torch.equal(outputs(model, spec), outputs(rebuilt, spec))


@every_spec
@pytest.mark.parametrize("damage", [lambda c: c + 1000, lambda c: -1 - c, lambda c: c.flip(0), lambda c: c * 0])
def test_damaged_links_are_refused(spec, damage):
    state = spec.build(seed=1).state_dict()
    name = [key for key in state if "skips.layer_" in key][-1]
    state[name] = damage(state[name])
    with pytest.raises(CheckpointError, match="holds links that do not fit this network"):
        spec.build(seed=1).load_state_dict(state)


@every_spec
def test_copies_are_the_same_network_and_independent(spec):
    model = spec.build(seed=1)
    before = outputs(model, spec)
    copied = copy.deepcopy(model)
    assert torch.equal(outputs(copied, spec), before)
    assert copied.spec == model.spec
    copied.load_state_dict(spec.build(seed=2).state_dict())
    assert torch.equal(outputs(model, spec), before)
    assert model.spec == spec.with_links(1)


@every_spec
def test_double_precision_computes_the_same_function(spec):
    model = spec.build(seed=1).eval()
    x = torch.randn(4, *spec.input_shape, dtype=torch.float64)
    single = model(x.float())
    torch.testing.assert_close(model.double()(x).float(), single, rtol=1e-3, atol=1e-4)


def test_weights_are_pytorch_s_defaults():
    model = DenseMLP(width=50, depth=3, max_skips=0, in_features=400).build()
    bound = 1 / 400**0.5
    assert 0.98 * bound < model.layers[0].weight.abs().max() <= bound


@pytest.mark.parametrize("seed", [-1, 2**63, 10**100])
def test_seeds_that_not_every_generator_takes_are_refused(seed):
    with pytest.raises(InvalidValueError, match="seed must lie in 0 … 2⁶³ - 1, got "):
        SPECS[0].build(seed=seed)


@pytest.mark.parametrize(
    "spec",
    [
        DenseMLP(width=10**6, depth=100, max_skips=0, in_features=8),
        DenseMLP(width=100, depth=20_000, max_skips=10**6, in_features=8),
        DenseCNN(widths=(10**6,), depth=20, max_skips=3),
    ],
    ids=["wide", "linked", "channels"],
)
def test_what_no_machine_can_hold_is_refused_at_once(spec):
    with pytest.raises(ResourceError, match=r"a \w+ of [\d,]+ parameters: needs .* of memory; this machine has"):
        spec.build()


def test_families_without_a_builder_are_refused():
    class Other(Specification):
        family: str = "Other"

        @property
        def cells(self) -> tuple[Cell, ...]:
            return ()

        @property
        def costs(self):
            return SPECS[0].costs

        @property
        def input_shape(self):
            return ()

        def _live_values(self):
            return ()

    with pytest.raises(InvalidValueError, match="no builder for the family 'Other'"):
        Other().build()

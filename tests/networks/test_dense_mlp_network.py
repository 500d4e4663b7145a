import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from nnmass import DenseMLP
from nnmass.networks import DenseMLPNetwork

ACTIVATIONS = {
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1),
    "relu": lambda x: x.clamp(min=0),
    "selu": lambda x: 1.0507009873554805 * torch.where(x > 0, x, 1.6732632423543772 * (x.exp() - 1)),
    "tanh": torch.tanh,
    "linear": lambda x: x,
}

specs = st.builds(
    DenseMLP,
    width=st.integers(1, 5),
    depth=st.integers(2, 8),
    max_skips=st.integers(0, 25),
    in_features=st.integers(1, 6),
    num_classes=st.integers(1, 4),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
)


def reference(model: DenseMLPNetwork, x: Tensor) -> Tensor:
    """The definition, literally: every layer concatenates all earlier outputs and takes its links."""
    spec = model.spec
    outputs: list[Tensor] = []
    for i, layer in enumerate(model.layers):
        if i == 1:
            x = outputs[0]
        elif i > 1:
            x = torch.cat([outputs[i - 1], torch.cat(outputs[: i - 1], 1)[:, list(spec.links[0][i])]], 1)
        x = x @ layer.weight.T + layer.bias
        outputs.append(ACTIVATIONS[spec.activation](x))
    return x


@given(specs, st.integers(0, 1000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_outputs_and_gradients_are_those_of_the_definition(spec, seed, training):
    model = spec.build(seed).double().train(training)
    x = torch.randn(3, spec.in_features, dtype=torch.float64, requires_grad=True)
    leaves = [x, *model.parameters()]
    outputs = [network(x) for network in (model, lambda x: reference(model, x))]
    weights = torch.randn_like(outputs[0])
    gradients = [torch.autograd.grad((output * weights).sum(), leaves) for output in outputs]
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


def test_layers_are_those_of_the_specification():
    spec = DenseMLP(width=3, depth=5, max_skips=4, in_features=7, num_classes=2)
    shapes = [(layer.in_features, layer.out_features) for layer in spec.build().layers]
    assert shapes == [(7, 3), (3, 3), (3 + 3, 3), (3 + 4, 3), (3 + 4, 2)]


def test_inputs_of_any_shape_are_flattened():
    model = DenseMLP(width=3, depth=4, max_skips=4, in_features=12).build()
    x = torch.randn(5, 3, 2, 2)
    assert torch.equal(model(x), model(x.reshape(5, 12)))


def test_the_input_layer_is_activated_once():
    model = DenseMLP(width=1, depth=2, max_skips=0, in_features=1, num_classes=1).build().double()
    with torch.no_grad():
        for layer in model.layers:
            layer.weight.fill_(1)
            layer.bias.zero_()
    x = torch.tensor([[-1.0], [2.0]], dtype=torch.float64)
    torch.testing.assert_close(model(x), F.elu(x))


def test_gradients_pass_the_numerical_check():
    model = DenseMLP(width=2, depth=5, max_skips=3, in_features=3, num_classes=2).build(1).double()
    x = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(model, (x,))


def test_a_network_needs_links():
    with pytest.raises(ValueError, match=r"made of a specification with links: spec\.build\(seed\)"):
        DenseMLPNetwork(DenseMLP(width=2, depth=5, max_skips=3))

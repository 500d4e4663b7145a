import copy

import pytest
import torch
from torch import Tensor, nn

from nnmass import DenseCNN, DenseMLP, Specification

MLP = DenseMLP(width=3, depth=5, max_skips=4, in_features=6, num_classes=3)
CNN = DenseCNN(widths=(3, 2), depth=(4, 3), max_skips=4, image_size=6, num_classes=3)
SEPARABLE = DenseCNN(widths=(3, 2), depth=(4, 3), max_skips=4, image_size=6, num_classes=3, conv="separable")

# Raised inside PyTorch's own tracing of any autograd function.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def batch(spec: Specification) -> Tensor:
    return torch.randn(4, *spec.input_shape, generator=torch.Generator().manual_seed(0))


def trained(model: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    output = model(x)
    output.square().sum().backward()
    return output, [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("spec", [MLP, CNN, SEPARABLE], ids=["mlp", "regular", "separable"])
def test_exported_networks_compute_the_same(spec):
    model, x = spec.build(seed=1).eval(), batch(spec)
    exported = torch.export.export(model, (x,)).module()
    torch.testing.assert_close(exported(x), model(x))


@pytest.mark.parametrize("spec", [MLP, CNN], ids=["mlp", "cnn"])
def test_compiled_networks_train_alike(spec):
    model, x = spec.build(seed=1).train(), batch(spec)
    other = copy.deepcopy(model)
    compiled = torch.compile(other, backend="aot_eager")
    (output, gradients), (expected, expected_gradients) = trained(compiled, x), trained(model, x)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(gradients, expected_gradients)
    torch.testing.assert_close(other.state_dict(), model.state_dict())

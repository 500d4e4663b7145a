import copy
from collections.abc import Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from nnmass import DenseCNN
from nnmass.networks import DenseCNNNetwork

CLOSE = {"rtol": 1e-8, "atol": 1e-9}


@st.composite
def specs(draw) -> DenseCNN:
    cells = draw(st.integers(1, 3))
    return DenseCNN(
        widths=draw(st.tuples(*[st.integers(1, 4)] * cells)),
        depth=draw(st.tuples(*[st.integers(1, 6)] * cells)),
        max_skips=draw(st.integers(0, 12)),
        conv=draw(st.sampled_from(["regular", "separable"])),
        image_size=draw(st.integers(5, 9)),
        in_channels=draw(st.integers(1, 3)),
        num_classes=draw(st.integers(1, 3)),
    )


def normed(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    moments = norm.running_mean, norm.running_var
    return F.batch_norm(x, *moments, norm.weight, norm.bias, training=norm.training, momentum=0.1, eps=1e-5)


def convolved(x: Tensor, modules: Iterable[nn.Module], *, regular: bool, stride: int) -> Tensor:
    """A 3x3 convolution, or 1x1, norm, ReLU, depthwise 3x3, norm, ReLU, 1x1, norm."""
    if regular:
        (conv,) = modules
        return F.conv2d(x, conv.weight, stride=stride, padding=1)
    enter, norm, _, depthwise, second_norm, _, leave, last_norm = modules
    x = normed(F.conv2d(x, enter.weight), norm).relu()
    x = F.conv2d(x, depthwise.weight, stride=stride, padding=1, groups=x.shape[1])
    return normed(F.conv2d(normed(x, second_norm).relu(), leave.weight), last_norm)


def reference_cell(layers: nn.ModuleList, x: Tensor, links: tuple, *, conv: str, first: bool) -> Tensor:
    outputs: list[Tensor] = []
    for i, layer in enumerate(layers):
        options = {"regular": conv == "regular" or (first and i == 0), "stride": 2 if i == 0 and not first else 1}
        if i == 0:
            *modules, norm = layer
            outputs.append(normed(convolved(x, modules, **options), norm))
        elif i == 1:
            _, *modules, norm = layer
            outputs.append(normed(convolved(outputs[0].relu(), modules, **options), norm))
        else:
            skips = torch.cat(outputs[: i - 1], 1)[:, list(links[i])]
            joined = torch.cat([outputs[i - 1], skips], 1)
            outputs.append(convolved(normed(joined, layer.norm).relu(), [layer.conv, *layer.rest], **options))
    return outputs[-1]


def reference(model: DenseCNNNetwork, x: Tensor) -> Tensor:
    """The definition, literally: every layer concatenates all earlier outputs and takes its links."""
    spec = model.spec
    for k, cell in enumerate(model.cells):
        x = reference_cell(cell.layers, x, spec.links[k], conv=spec.conv, first=k == 0)
    pooled = F.adaptive_avg_pool2d(x, 4).flatten(1)
    return pooled @ model.classifier.weight.T + model.classifier.bias


def randomised(model: nn.Module, seed: int) -> nn.Module:
    """In double precision, with parameters and moments as training might leave them."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.double().modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                tensor.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return model


def smallest_variance(model: DenseCNNNetwork, x: Tensor) -> float:
    """Smallest variance of a channel that a norm in training mode sees; infinity where none is training."""
    watched, seen = copy.deepcopy(model), [float("inf")]

    def watch(_: nn.Module, inputs: tuple[Tensor]) -> None:
        seen.append(float(inputs[0].var((0, 2, 3), correction=0).min()))

    for module in watched.modules():
        if isinstance(module, nn.BatchNorm2d) and module.training:
            module.register_forward_pre_hook(watch)
    with torch.no_grad():
        watched(x)
    return min(seen)


def compare(model: DenseCNNNetwork, x: Tensor) -> None:
    copied = copy.deepcopy(model)
    outputs = model(x), reference(copied, x)
    weights = torch.randn_like(outputs[0])
    gradients = [
        torch.autograd.grad((output * weights).sum(), [x, *network.parameters()])
        for output, network in zip(outputs, (model, copied), strict=True)
    ]
    torch.testing.assert_close(*outputs, **CLOSE)
    # a norm that sees a nearly constant channel (its ReLU is off) multiplies by up to 1 / √eps, and so do those after
    # it: what cancels to a gradient of 0 behind it is good to far fewer digits
    constant = smallest_variance(copied, x) < 1e-6
    torch.testing.assert_close(*gradients, **(CLOSE | {"atol": 1e-5} if constant else CLOSE))
    for (name, buffer), other in zip(model.named_buffers(), copied.buffers(), strict=True):
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(buffer, other, **CLOSE, msg=name)


@given(specs(), st.integers(0, 1000), st.sampled_from(["train", "eval", "partly frozen"]))
@settings(max_examples=40, deadline=None)
def test_outputs_gradients_and_moments_are_those_of_the_definition(spec, seed, mode):
    model = randomised(spec.build(seed), seed).train(mode != "eval")
    if mode == "partly frozen":
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms[seed % 2 :: 2]:
            norm.eval()
    x = torch.randn(4, *spec.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    compare(model, x.requires_grad_())


@pytest.mark.parametrize("conv", ["regular", "separable"])
def test_frozen_norms_keep_their_moments_while_the_rest_trains(conv):
    spec = DenseCNN(widths=(3, 2), depth=5, max_skips=4, conv=conv, image_size=8)
    model = randomised(spec.build(0), 0).train()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.eval()
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    output = model(x)
    output.sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    torch.testing.assert_close(output, model.eval()(x), **CLOSE)


def test_shapes_and_strides_are_those_of_the_specification():
    model = DenseCNN(widths=(3, 5), depth=(4, 3), max_skips=(4, 2), image_size=9, in_channels=2).build()
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convs] == [
        (2, 3, 1),
        (3, 3, 1),
        (3 + 3, 3, 1),
        (3 + 4, 3, 1),
        (3, 5, 2),
        (5, 5, 1),
        (5 + 2, 5, 1),
    ]
    assert {(c.kernel_size, c.padding, c.bias) for c in convs} == {((3, 3), (1, 1), None)}
    assert model.classifier.weight.shape == (10, 16 * 5)


def test_cells_halve_odd_maps_rounded_up():
    spec = DenseCNN(widths=(2, 2, 2), depth=3, max_skips=1, image_size=13)
    maps = []
    x = torch.randn(1, 3, 13, 13)
    for cell in spec.build().eval().cells:
        x = cell(x)
        maps.append(x.shape[-1])
    assert maps == [13, 7, 4] == list(spec.resolutions)


def test_a_network_needs_links():
    with pytest.raises(ValueError, match=r"made of a specification with links: spec\.build\(seed\)"):
        DenseCNNNetwork(DenseCNN(widths=(2,), depth=5, max_skips=3))

"""Jacobians as autograd forms them: the reference for every estimator."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nnmass.networks import ACTIVATIONS


def dense_singular_values(function, x):
    """Singular values of ∂function/∂x for each sample: (samples, k), descending."""
    values = []
    for k in range(len(x)):
        jacobian = torch.autograd.functional.jacobian(lambda v: function(v[None])[0], x[k])
        size = function(x[k : k + 1])[0].numel()
        values.append(torch.linalg.svdvals(jacobian.reshape(size, -1)))
    return torch.stack(values).numpy()


def frozen(norm, x):
    """Batch norm with the statistics of this batch, as a function of one sample."""
    axes = [0, *range(2, x.dim())]
    shape = [1, -1, *[1] * (x.dim() - 2)]
    mean, variance = x.mean(axes), x.var(axes, correction=0)
    scale = norm.weight.detach() / torch.sqrt(variance + norm.eps)
    shift = norm.bias.detach() - mean * scale
    return lambda v: v * scale.reshape(shape) + shift.reshape(shape)


def frozen_chain(modules, x):
    """The modules one after the other, norms frozen at what they see of ``x``: a function, and its value."""
    functions = []
    with torch.no_grad():
        for module in modules:
            function = frozen(module, x) if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) else module
            functions.append(function)
            x = function(x.clone())

    def run(v):
        for function in functions:
            v = function(v.clone())  # in-place modules must not touch what autograd keeps
        return v

    return run, x


def naive_mlp(model, x):
    """A DenseMLP, layer by layer, as its specification defines it: singular values of every layer."""
    spec, phi = model.spec, ACTIVATIONS[model.spec.activation]
    outputs, found = [], []
    with torch.no_grad():
        for i, layer in enumerate(model.layers):
            if i == 0:
                read, function = x.flatten(1), layer
            else:
                earlier = torch.cat(outputs[: i - 1], 1)[:, list(spec.links[0][i])] if spec.links[0][i] else None
                read = outputs[-1] if earlier is None else torch.cat([outputs[-1], earlier], 1)

                def function(v, layer=layer):
                    return layer(phi(v))

            outputs.append(function(read))
            found.append((function, read))
    return [dense_singular_values(function, read) for function, read in found]


def naive_cnn(model, x):
    """A DenseCNN, layer by layer, as its specification defines it: singular values of every layer, then the head."""
    found = []
    for cell in model.cells:
        outputs = []
        for i, layer in enumerate(cell.layers):
            read = x
            if i >= 2:
                links = list(cell.skips.links[i])
                read = torch.cat([outputs[-1], torch.cat(outputs[: i - 1], 1)[:, links]], 1)
            modules = list(layer) if i < 2 else [layer.norm, nn.ReLU(), layer.conv, *layer.rest]
            function, x = frozen_chain(modules, read)
            outputs.append(x)
            found.append(dense_singular_values(function, read))
    pooled = F.adaptive_avg_pool2d(x, 4).flatten(1)
    return [*found, dense_singular_values(model.classifier, pooled)]


@pytest.fixture
def close():
    """Compare singular values: to a relative 1e-6 of the largest."""

    def check(measured, expected, tolerance=1e-6):
        assert measured.shape == expected.shape
        np.testing.assert_allclose(measured, expected, rtol=tolerance, atol=tolerance * expected.max())

    return check


@pytest.fixture
def reference():
    """The reference computations."""

    class Reference:
        mlp = staticmethod(naive_mlp)
        cnn = staticmethod(naive_cnn)
        chain = staticmethod(frozen_chain)
        singular_values = staticmethod(dense_singular_values)

    return Reference

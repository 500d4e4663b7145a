"""Singular values without estimation: Gram matrices, dense Jacobians, and the Fourier transform of a convolution."""

import torch
from torch import Tensor

from nnmass.propagation.measurement.linear_maps import Convolution, LayerJacobian, Linear

_ELEMENTS = 2**24
"""Largest number of elements of a stack of matrices that is made at once."""
_PAIRS = 2**22
"""Largest number of products of weights that is made to save work later."""


def is_linear(jacobian: LayerJacobian) -> bool:
    """Whether it is one linear layer, with or without derivatives."""
    return len(jacobian.factors) == 1 and isinstance(jacobian.factors[0].linear, Linear)


def gram(jacobian: LayerJacobian, samples: int) -> Tensor:
    """Singular values of P W D of one linear layer, by the eigenvalues of the smaller Gram matrix.

    Squaring halves the digits: values below 1e-8 of the largest come out as anything down to 0.

    Args:
        jacobian: of one linear layer.
        samples: inputs.

    Returns:
        (samples, min(rows, columns)), float64, descending.
    """
    factor = jacobian.factors[0]
    assert isinstance(factor.linear, Linear)
    weight = factor.linear.weight
    if factor.constant:
        return _of_linear(weight, factor.inner, factor.outer).expand(samples, -1)
    step = max(_ELEMENTS // max(weight.numel(), min(weight.shape) ** 2), 1)
    parts = (factor.at(slice(start, start + step)) for start in range(0, samples, step))
    return torch.cat([_of_linear(weight, part.inner, part.outer) for part in parts])


def singular_values(weight: Tensor, derivatives: Tensor) -> Tensor:
    """Singular values of W · diag(g) for every row g of ``derivatives``.

    Args:
        weight: (rows, columns).
        derivatives: (samples, columns).

    Returns:
        (samples, min(rows, columns)), float64, descending.
    """
    return _of_linear(weight.detach().double(), derivatives.detach().double(), None)


def dense(jacobian: LayerJacobian, samples: int) -> Tensor:
    """Singular values of any Jacobian, formed row by row (or column by column) on the smaller side.

    Returns:
        (samples, min(rows, columns)), descending, in the Jacobian's precision.
    """
    if jacobian.constant:
        return _dense_one(jacobian)[None].expand(samples, -1)
    return torch.stack([_dense_one(jacobian.at(slice(k, k + 1))) for k in range(samples)])


def is_fourier(jacobian: LayerJacobian) -> bool:
    """Whether the Fourier transform diagonalises it: periodic, stride 1, nothing that varies in space."""
    if len(jacobian.factors) != 1 or not jacobian.constant:
        return False
    factor = jacobian.factors[0]
    conv = factor.linear
    if not isinstance(conv, Convolution) or set(conv.stride) | set(conv.dilation) != {1} or any(conv.zeros):
        return False
    if any(scale is not None and scale.numel() not in (1, scale.shape[1]) for scale in (factor.inner, factor.outer)):
        return False
    kernel = tuple(conv.weight.shape[2:])
    if conv.padding is None:
        return set(kernel) == {1}
    periodic = conv.padding.mode == "circular" and factor.in_shape[1:] == factor.out_shape[1:]
    return periodic and all(k <= size for k, size in zip(kernel, conv.shape[1:], strict=True))


def fourier(jacobian: LayerJacobian, samples: int) -> Tensor:
    """Singular values of a periodic convolution: those of its out × in matrix at every frequency.

    Sedghi, Gupta and Long, "The singular values of convolutional layers" (arXiv:1805.10408).

    Returns:
        (samples, min(rows, columns)), descending.
    """
    factor = jacobian.factors[0]
    conv = factor.linear
    assert isinstance(conv, Convolution)
    weight = _ungrouped(conv)
    for scale, axis in ((factor.inner, 1), (factor.outer, 0)):
        if scale is not None:
            weight = weight * scale.reshape([-1 if k == axis else 1 for k in range(weight.dim())])
    space = list(range(2, weight.dim()))
    transfer = torch.fft.fftn(weight, s=list(conv.shape[1:]), dim=space)
    matrices = transfer.flatten(2).permute(2, 0, 1)
    return _by_gram(matrices).flatten().sort(descending=True).values[None].expand(samples, -1)


def _of_linear(weight: Tensor, inner: Tensor | None, outer: Tensor | None) -> Tensor:
    """Singular values of diag(outer) W diag(inner), sample by sample."""
    rows, columns = weight.shape
    if rows > columns:
        return _of_linear(weight.mT, outer, inner)
    if inner is None:
        squared = (weight @ weight.mT)[None]
    elif rows * weight.numel() <= _PAIRS:  # all products of two rows, once: then every Gram matrix is one product
        pairs = (weight[:, None] * weight).flatten(0, 1)
        squared = (inner.square() @ pairs.mT).unflatten(1, (rows, rows))
    else:
        scaled = weight * inner[:, None]
        squared = scaled @ scaled.mT
    if outer is not None:
        squared = squared * outer[:, None] * outer[:, :, None]
    return _roots(squared)


def _by_gram(matrices: Tensor) -> Tensor:
    """Singular values of a stack of matrices, descending."""
    rows, columns = matrices.shape[-2:]
    return _roots(matrices @ matrices.mH if rows <= columns else matrices.mH @ matrices)


def _roots(squared: Tensor) -> Tensor:
    values: Tensor = torch.linalg.eigvalsh(squared)
    return values.clamp_min(0).sqrt().flip(-1)


def _dense_one(jacobian: LayerJacobian) -> Tensor:
    """Singular values at one input."""
    weight = jacobian.factors[0].linear.weight
    by_rows = jacobian.rows <= jacobian.columns
    size = min(jacobian.rows, jacobian.columns)
    shape = jacobian.factors[-1].out_shape if by_rows else jacobian.factors[0].in_shape
    apply = jacobian.adjoint if by_rows else jacobian.forward
    basis = torch.eye(size, dtype=weight.dtype, device=weight.device).reshape(size, *shape)
    step = max(_ELEMENTS // max(jacobian.rows, jacobian.columns), 1)
    matrix = torch.cat([apply(part).flatten(1) for part in basis.split(step)])
    return _by_gram(matrix[None])[0]


def _ungrouped(conv: Convolution) -> Tensor:
    """Return the weight of the same convolution in one group: zeros between groups."""
    if conv.groups == 1:
        return conv.weight
    out, per_group = conv.weight.shape[0] // conv.groups, conv.weight.shape[1]
    weight = conv.weight.new_zeros(conv.weight.shape[0], per_group * conv.groups, *conv.weight.shape[2:])
    for k in range(conv.groups):
        rows, columns = slice(k * out, (k + 1) * out), slice(k * per_group, (k + 1) * per_group)
        weight[rows, columns] = conv.weight[rows]
    return weight

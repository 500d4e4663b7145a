"""Stochastic Lanczos quadrature: the spectrum of a Jacobian from products with it.

Ubaru, Chen and Saad, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature" (SIAM J. Matrix Anal. 2017).  A
random vector and k steps of Lanczos on J Jᵀ (or Jᵀ J, whichever is smaller) give k nodes and weights that integrate the
spectrum.  Since the derivatives of √λ alternate in sign, Gauss quadrature lies above the mean singular value that this
vector sees, and Gauss-Radau quadrature with a node at 0 below (Golub and Meurant 1994).  The latter is taken, since it
sees dead directions; their difference bounds what the steps miss.  A rule with a node at x bounds the share of the
spectrum up to x: it is at least the weight of the nodes below, at most that and the weight of x (Chebyshev, Markov and
Stieltjes).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nnmass.propagation.measurement.linear_maps import LayerJacobian

DEAD = 0.01
"""A direction is dead where its singular value is at most this share of the layer's mean."""
_AT_LIMIT = 1e-3  # relative distance of a node that was put at a limit, by rounding
_BASIS_ELEMENTS = 2**26
"""Largest number of elements of the Lanczos vectors that are kept at once."""


@dataclass(frozen=True)
class Quadrature:
    """Quadrature of the singular values, one row per probe.

    Attributes:
        nodes: (probes, steps + 1) singular values, descending, float64; the last is 0.
        weights: the same shape, non-negative, each row sums to 1.
        gap: (probes,) how far the mean singular value that the vector sees may lie above that of the nodes.
        dead: (probes, 2) least and largest share of its singular values up to `DEAD` of their mean.
    """

    nodes: Tensor
    weights: Tensor
    gap: Tensor
    dead: Tensor


def quadrature(jacobian: LayerJacobian, probes: Tensor, *, steps: int, generator: torch.Generator) -> Quadrature:
    """Run Lanczos with random vectors, each at one of the inputs.

    Args:
        jacobian: at some inputs, or constant.
        probes: for every random vector the place of its input among those.
        steps: of Lanczos; no more than min(rows, columns) are made.
        generator: of the random vectors, on the CPU.
    """
    by_rows = jacobian.rows <= jacobian.columns
    shape = jacobian.factors[-1].out_shape if by_rows else jacobian.factors[0].in_shape
    size = min(jacobian.rows, jacobian.columns)
    steps = min(steps, size)
    group = max(_BASIS_ELEMENTS // (size * (steps + 1)), 1)
    weight = jacobian.factors[0].linear.weight
    parts = []
    for places in probes.split(group):
        vectors = torch.randn(len(places), size, generator=generator).to(weight)
        part = jacobian if jacobian.constant else jacobian.at(places)
        alpha, beta = _tridiagonal(part, vectors, shape, steps, by_rows)
        parts.append(_nodes(alpha.double().cpu(), beta.double().cpu()))
    return Quadrature(
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("nodes", "weights", "gap", "dead"))
    )


def _tridiagonal(
    jacobian: LayerJacobian, vectors: Tensor, shape: tuple[int, ...], steps: int, by_rows: bool
) -> tuple[Tensor, Tensor]:
    """Lanczos with full re-orthogonalisation, all probes at once.

    Returns:
        Diagonal (probes, steps) and off-diagonal (probes, steps); the last off-diagonal leads out of the matrix.
    """
    count, size = vectors.shape
    basis = vectors.new_zeros(count, steps + 1, size)
    basis[:, 0] = vectors / vectors.norm(dim=1, keepdim=True)
    alpha, beta = vectors.new_zeros(count, steps), vectors.new_zeros(count, steps)
    for k in range(steps):
        v = basis[:, k].reshape(count, *shape)
        w = jacobian.forward(jacobian.adjoint(v)) if by_rows else jacobian.adjoint(jacobian.forward(v))
        w = w.reshape(count, size)
        alpha[:, k] = (w * basis[:, k]).sum(1)
        known = basis[:, : k + 1]
        for _ in range(2):  # twice is enough (Kahan, Parlett)
            w = torch.baddbmm(w[:, None], w[:, None] @ known.mT, known, alpha=-1)[:, 0]
        beta[:, k] = w.norm(dim=1)
        floor = 10 * torch.finfo(w.dtype).eps * alpha[:, : k + 1].abs().amax(1)
        ended = beta[:, k] <= floor  # the probe lies in a subspace that is exhausted
        beta[ended, k] = 0
        basis[:, k + 1] = torch.where(ended[:, None], 0, w / beta[:, k, None].clamp_min(torch.finfo(w.dtype).tiny))
    return alpha, beta


def _nodes(alpha: Tensor, beta: Tensor) -> Quadrature:
    matrices = torch.diag_embed(alpha) + torch.diag_embed(beta[:, :-1], 1) + torch.diag_embed(beta[:, :-1], -1)
    above = _mean(*_rule(matrices))
    nodes, weights = _rule(_with_node_at(torch.zeros_like(above), matrices, beta[:, -1]))
    mean = _mean(nodes, weights)
    return Quadrature(nodes, weights, (above - mean).clamp_min(0), _share_up_to(DEAD * mean, matrices, beta[:, -1]))


def _share_up_to(limit: Tensor, matrices: Tensor, last: Tensor) -> Tensor:
    """Bounds of the share of singular values up to each probe's limit."""
    nodes, weights = _rule(_with_node_at(limit.square(), matrices, last))
    at = nodes / limit[:, None].clamp_min(torch.finfo(limit.dtype).tiny)
    below, up_to = (torch.where(at < bound, weights, 0).sum(1) for bound in (1 - _AT_LIMIT, 1 + _AT_LIMIT))
    return torch.stack([below, up_to], dim=1)


def _mean(nodes: Tensor, weights: Tensor) -> Tensor:
    return (nodes * weights).sum(1)


def _rule(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes √λ and weights of the rule that belongs to a tridiagonal matrix (Golub and Welsch)."""
    values, vectors = torch.linalg.eigh(matrices)
    return values.clamp_min(0).sqrt().flip(1), vectors[:, 0].square().flip(1)


def _with_node_at(place: Tensor, matrices: Tensor, last: Tensor) -> Tensor:
    """Grow each matrix by a row whose diagonal makes a place an eigenvalue."""
    count, steps, _ = matrices.shape
    grown = matrices.new_zeros(count, steps + 1, steps + 1)
    grown[:, :steps, :steps] = matrices
    grown[:, steps - 1, steps] = grown[:, steps, steps - 1] = last
    tail = torch.zeros_like(matrices[:, 0])
    tail[:, -1] = last.square()
    shifted = matrices - place[:, None, None] * torch.eye(steps, dtype=matrices.dtype)
    grown[:, steps, steps] = place + torch.linalg.lstsq(shifted, tail[:, :, None]).solution[:, -1, 0]
    return grown

"""The singular values of one layer of one network, by the best method for it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nnmass.propagation import exact
from nnmass.propagation.lanczos import quadrature
from nnmass.propagation.linear_maps import LayerJacobian

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimation:
    """How to measure what cannot be measured exactly at little cost.

    Attributes:
        dense_limit: Jacobians with no more singular values are formed as matrices.
        probes: random vectors per layer of Lanczos quadrature.
        steps: of Lanczos.
    """

    dense_limit: int
    probes: int
    steps: int


@dataclass(frozen=True)
class Spectrum:
    """Singular values of one layer's Jacobians.

    Attributes:
        method: ``"gram"``, ``"dense"``, ``"fourier"`` or ``"lanczos"``.
        values: (inputs, min(rows, columns)), or (probes, nodes) of a quadrature.
        weights: of the nodes; None where every singular value is there.
        gap: (probes,) bound of what the steps miss of each probe's mean; None as above.
        forwards: applications of the layer, or of its transpose, to one input.
    """

    method: str
    values: FloatArray
    weights: FloatArray | None
    gap: FloatArray | None
    forwards: int


def spectrum(
    jacobian: LayerJacobian, samples: int, estimation: Estimation, generator: torch.Generator, probed: torch.Tensor
) -> Spectrum:
    """Measure one layer.

    Args:
        jacobian: of the layer, at all inputs or at the probed ones.
        samples: how many inputs there are.
        estimation: where Lanczos begins, and how long it goes on.
        generator: of the probes.
        probed: the inputs that the probes are for.
    """
    held = samples if jacobian.samples is None else len(probed)
    size = min(jacobian.rows, jacobian.columns)
    if exact.is_linear(jacobian):
        return _exact("gram", exact.gram(jacobian.to(torch.float64), held), 0)
    if exact.is_fourier(jacobian):
        return _exact("fourier", exact.fourier(jacobian.to(torch.float64), held), 0)
    if size <= estimation.dense_limit:
        whole = jacobian.kept(probed) if jacobian.samples is not None else jacobian
        values = exact.dense(whole.to(torch.float64), held)
        return _exact("dense", values, size * (1 if jacobian.constant else held))
    found = quadrature(jacobian.kept(probed), len(probed), steps=estimation.steps, generator=generator)
    return Spectrum(
        "lanczos", found.nodes.numpy(), found.weights.numpy(), found.gap.numpy(), 2 * estimation.steps * len(probed)
    )


def _exact(method: str, values: torch.Tensor, forwards: int) -> Spectrum:
    return Spectrum(method, values.cpu().numpy(), None, None, forwards)

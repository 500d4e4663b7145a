"""The singular values of one layer of one network, by the best method for it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from nnmass.errors import InvalidValueError
from nnmass.propagation.measurement import exact
from nnmass.propagation.measurement.lanczos import quadrature
from nnmass.propagation.measurement.linear_maps import LayerJacobian

FloatArray = npt.NDArray[np.float64]

GRAM_LIMIT = 1_024
"""Linear layers with more singular values than this are estimated."""

LARGEST = 1e150
"""Singular values and their squares must be finite in double precision, and not 0 unless they are."""


@dataclass(frozen=True)
class Estimation:
    """How to measure what cannot be measured exactly at little cost.

    Attributes:
        dense_limit: Jacobians with no more singular values are formed as matrices.
        probes: random vectors per layer of Lanczos quadrature, each for one of the inputs.
        steps: of Lanczos.
        every_input: whether matrices are formed at every input, not only where Lanczos would have been used.
    """

    dense_limit: int
    probes: int
    steps: int
    every_input: bool


@dataclass(frozen=True)
class Spectrum:
    """Singular values of one layer's Jacobians.

    Attributes:
        method: ``"gram"``, ``"dense"``, ``"fourier"`` or ``"lanczos"``.
        values: (inputs, min(rows, columns)), or (probes, nodes) of a quadrature.
        weights: of the nodes; None where every singular value is there.
        gap: (probes,) bound of what the steps miss of each probe's mean; None as above.
        dead: (probes, 2) bounds of the share of dead directions; None as above.
        forwards: applications of the layer, or of its transpose, to one input.
    """

    method: str
    values: FloatArray
    weights: FloatArray | None
    gap: FloatArray | None
    dead: FloatArray | None
    forwards: int


def probed_inputs(inputs: int, probes: int) -> int:
    """Inputs that the probes are for."""
    return min(inputs, probes)


def method_of(jacobian: LayerJacobian, estimation: Estimation) -> str:
    """Return the best method for a layer: ``"gram"``, ``"fourier"``, ``"dense"`` or ``"lanczos"``."""
    size = min(jacobian.rows, jacobian.columns)
    if exact.is_linear(jacobian) and size <= GRAM_LIMIT:
        return "gram"
    if exact.is_fourier(jacobian):
        return "fourier"
    return "dense" if size <= estimation.dense_limit else "lanczos"


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

    Raises:
        InvalidValueError: singular values that are too large or too small for double precision.
    """
    scaled, power = jacobian.scaled()
    found = _spectrum(scaled, samples, estimation, generator, probed)
    with np.errstate(over="ignore", under="ignore"):
        values = np.ldexp(found.values, power)
        gap = None if found.gap is None else np.ldexp(found.gap, power)
    largest = values.max()
    if not np.isfinite(values).all() or not (largest <= LARGEST and (largest >= 1 / LARGEST or not found.values.any())):
        raise InvalidValueError(
            f"the singular values of {jacobian.name} must lie between {1 / LARGEST:.0e} and {LARGEST:.0e}, "
            f"got a largest one of {largest:.3g}"
        )
    return replace(found, values=values, gap=gap)


def _spectrum(
    jacobian: LayerJacobian, samples: int, estimation: Estimation, generator: torch.Generator, probed: torch.Tensor
) -> Spectrum:
    method = method_of(jacobian, estimation)
    size = min(jacobian.rows, jacobian.columns)
    at_probes = jacobian.kept(probed)
    if method == "gram":
        held = samples if jacobian.samples is None else len(probed)
        return _exact("gram", exact.gram(jacobian.to(torch.float64), held), 0)
    if method == "fourier":
        return _exact("fourier", exact.fourier(jacobian.to(torch.float64), samples), 0)
    if method == "dense":
        everywhere = estimation.every_input and jacobian.samples is None
        count = samples if everywhere else len(probed)
        values = exact.dense((jacobian if everywhere else at_probes).to(torch.float64), count)
        return _exact("dense", values, size * (1 if jacobian.constant else count))
    precision = torch.float64 if at_probes.factors[0].linear.weight.dtype == torch.float64 else torch.float32
    probes = torch.arange(estimation.probes, device=probed.device) % len(probed)
    found = quadrature(at_probes.to(precision), probes, steps=estimation.steps, generator=generator)
    forwards = 2 * min(estimation.steps, size) * estimation.probes
    gap, dead = found.gap.numpy(), found.dead.numpy()
    return Spectrum("lanczos", found.nodes.numpy(), found.weights.numpy(), gap, dead, forwards)


def _exact(method: str, values: torch.Tensor, forwards: int) -> Spectrum:
    return Spectrum(method, values.cpu().numpy(), None, None, None, forwards)

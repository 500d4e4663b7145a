"""What a measurement needs of memory and time, asked before it begins."""

import math
from collections.abc import Sequence

from nnmass.errors import ResourceError
from nnmass.memory import require_memory
from nnmass.propagation.measurement.linear_maps import Convolution, LayerJacobian
from nnmass.propagation.measurement.spectrum import Estimation, method_of, probed_inputs

LONGEST = 86_400
"""Seconds that a measurement may take: a day."""
_SPEED = 1e10  # operations a second, more than most layers reach: no work is refused that a day would do
_EIGENVALUES = 10  # operations per n³ for all eigenvalues of an n × n matrix


def require_day(seconds: float, what: str) -> None:
    """Refuse what takes more than a day.

    Raises:
        ResourceError: it does; with the estimate.
    """
    if seconds > LONGEST:
        raise ResourceError(f"{what}: needs about {seconds / LONGEST:,.3g} days; at most one day is allowed")


def require(layers: Sequence[LayerJacobian], networks: int, inputs: int, estimation: Estimation) -> None:
    """Refuse a measurement that needs more memory than there is, or more than a day.

    Args:
        layers: of one network.
        networks: how many there are.
        inputs: how many there are.
        estimation: how its layers are measured.

    Raises:
        ResourceError: it does; with the estimate.
    """
    effort = f"{inputs:,} inputs, {estimation.probes:,} probes and {estimation.steps:,} steps"
    what = f"{networks:,} networks of {len(layers)} layers with {effort}"
    needs = [_needs(layer, inputs, estimation) for layer in layers]
    require_memory(networks * sum(kept for _, kept, _ in needs) + max(room for _, _, room in needs), what)
    require_day(networks * sum(operations for operations, _, _ in needs) / _SPEED, what)


def _needs(layer: LayerJacobian, inputs: int, estimation: Estimation) -> tuple[float, float, float]:
    """Operations, bytes that are kept, and bytes in between, for one layer."""
    size, longer = sorted((layer.rows, layer.columns))
    method = method_of(layer, estimation)
    if method == "lanczos":
        steps, probes = min(estimation.steps, size), estimation.probes
        each = 2 * steps * _applied(layer) + 8 * steps**2 * size + _EIGENVALUES * steps**3
        return float(probes * each), 16.0 * probes * (steps + 1), 8.0 * (steps + 1) * (size + 4 * steps)
    matrices = 1 if layer.constant else inputs if estimation.every_input else probed_inputs(inputs, estimation.probes)
    if method == "fourier":
        return 0.0, 8.0 * inputs * size, 16.0 * size * longer / math.prod(layer.factors[0].in_shape[1:])
    applied = size * _applied(layer) if method == "dense" else 0.0
    each = applied + 2 * size**2 * longer + _EIGENVALUES * size**3
    return float(matrices * each), 8.0 * inputs * size, 16.0 * size * longer


def _applied(layer: LayerJacobian) -> float:
    """Operations of one product with the Jacobian."""
    positions = [
        math.prod(factor.out_shape[1:]) if isinstance(factor.linear, Convolution) else 1 for factor in layer.factors
    ]
    return float(
        sum(2 * factor.linear.weight.numel() * count for factor, count in zip(layer.factors, positions, strict=True))
    )

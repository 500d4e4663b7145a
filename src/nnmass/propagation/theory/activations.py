"""The activations and their derivatives, in NumPy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # arXiv:1706.02515


@dataclass(frozen=True)
class Activation:
    """φ and φ′; at the kink φ′ is PyTorch's: 0 for ReLU, the left limit for ELU and SELU.

    Examples:
        >>> ACTIVATIONS["relu"].slope(np.array([-1.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 1.0]
    """

    value: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]


def _exponential_below_zero(scale: float, alpha: float) -> Activation:
    def value(z: FloatArray) -> FloatArray:
        return np.where(z > 0, scale * z, scale * alpha * np.expm1(np.minimum(z, 0)))

    def slope(z: FloatArray) -> FloatArray:
        return np.where(z > 0, scale, scale * alpha * np.exp(np.minimum(z, 0)))

    return Activation(value, slope)


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda z: z, np.ones_like),
    "elu": _exponential_below_zero(1.0, 1.0),
    "relu": Activation(lambda z: np.maximum(z, 0.0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "selu": _exponential_below_zero(_SELU_SCALE, _SELU_ALPHA),
    "tanh": Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
}

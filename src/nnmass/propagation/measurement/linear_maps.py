"""The Jacobian of one layer as a product of linear maps, applied without ever forming a matrix."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

_SAFE = 24  # a power of two whose square, times that of a norm, is far within single precision


@dataclass(frozen=True)
class Linear:
    """x → W x.

    Attributes:
        weight: (rows, columns).
    """

    weight: Tensor

    def forward(self, v: Tensor) -> Tensor:
        """(batch, columns) → (batch, rows)."""
        return v @ self.weight.mT

    def adjoint(self, u: Tensor) -> Tensor:
        """(batch, rows) → (batch, columns)."""
        return u @ self.weight


@dataclass(frozen=True)
class Padding:
    """What stands before a convolution: the arguments of `torch.nn.functional.pad`.

    Attributes:
        widths: before and after, last axis first.
        mode: ``"constant"`` (zeros), ``"circular"``, ``"reflect"`` or ``"replicate"``.
    """

    widths: tuple[int, ...]
    mode: str = "constant"

    def forward(self, v: Tensor) -> Tensor:
        """Pad."""
        return F.pad(v, self.widths, mode=self.mode)

    def adjoint(self, u: Tensor, shape: Sequence[int]) -> Tensor:
        """Fold what the padding copied back to where it came from; ``shape`` is that of one unpadded input."""
        with torch.enable_grad():
            v = u.new_zeros(u.shape[0], *shape, requires_grad=True)
            (folded,) = torch.autograd.grad(self.forward(v), v, u)
        return folded


@dataclass(frozen=True)
class Convolution:
    """x → W * pad(x), in one to three spatial dimensions.

    Attributes:
        weight: (out channels, in channels / groups, kernel...).
        shape: of one input, (in channels, space...).
        stride: per spatial dimension.
        zeros: zero padding on both sides, per spatial dimension.
        dilation: per spatial dimension.
        groups: of channels.
        padding: what comes before.
    """

    weight: Tensor
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    zeros: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    padding: Padding | None = None

    @property
    def space(self) -> int:
        """Spatial dimensions."""
        return len(self.shape) - 1

    def forward(self, v: Tensor) -> Tensor:
        """(batch, in channels, space...) → (batch, out channels, space...)."""
        padded = self.padding.forward(v) if self.padding else v
        convolve: Any = _CONVOLVE[self.space]
        result: Tensor = convolve(padded, self.weight, None, self.stride, self.zeros, self.dilation, self.groups)
        return result

    def adjoint(self, u: Tensor) -> Tensor:
        """(batch, out channels, space...) → (batch, in channels, space...)."""
        sizes = self._padded_sizes()
        missing = [
            size - ((out - 1) * s - 2 * p + d * (k - 1) + 1)
            for size, out, s, p, d, k in zip(
                sizes, u.shape[2:], self.stride, self.zeros, self.dilation, self.weight.shape[2:], strict=True
            )
        ]
        transposed: Any = _TRANSPOSED[self.space]
        result: Tensor = transposed(u, self.weight, None, self.stride, self.zeros, missing, self.groups, self.dilation)
        return self.padding.adjoint(result, self.shape) if self.padding else result

    def _padded_sizes(self) -> list[int]:
        sizes = list(self.shape[1:])
        if self.padding:
            for axis in range(len(self.padding.widths) // 2):
                sizes[-1 - axis] += sum(self.padding.widths[2 * axis : 2 * axis + 2])
        return sizes


@dataclass(frozen=True)
class Factor:
    """P · W · D: one weighted layer with what scales its input and its output element by element.

    Attributes:
        linear: W.
        inner: D, the product of all derivatives and frozen scales between the last node and the layer: broadcasts to
            (samples, in...); None where it is 1.
        outer: P, the scale of a batch norm that follows: broadcasts to (samples, out...); None where it is 1.
        in_shape: of one input.
        out_shape: of one output.
        samples: the inputs that it was recorded at; None for all.
    """

    linear: Linear | Convolution
    inner: Tensor | None
    outer: Tensor | None
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    samples: Tensor | None = None

    @property
    def constant(self) -> bool:
        """Whether it is the same for every input."""
        return all(scale is None or scale.shape[0] == 1 for scale in (self.inner, self.outer))

    def at(self, samples: Tensor | slice) -> Self:
        """Return the factor at some of the inputs that it holds."""
        return self._scaled(lambda scale: scale if len(scale) == 1 else scale[samples])

    def to(self, dtype: torch.dtype) -> Self:
        """Return the factor in another precision."""
        linear = replace(self.linear, weight=self.linear.weight.to(dtype))
        return replace(self._scaled(lambda scale: scale.to(dtype)), linear=linear)

    def scaled(self) -> tuple[Self, int]:
        """Return the factor divided by a power of two, so that squares of its numbers are safe, and the exponent."""
        weight, power = _scaled(self.linear.weight)
        scales = []
        for scale in (self.inner, self.outer):
            changed, exponent = (None, 0) if scale is None else _scaled(scale)
            scales.append(changed)
            power += exponent
        return replace(self, linear=replace(self.linear, weight=weight), inner=scales[0], outer=scales[1]), power

    def forward(self, v: Tensor) -> Tensor:
        """J v, sample by sample."""
        result = self.linear.forward(v if self.inner is None else v * self.inner)
        return result if self.outer is None else result * self.outer

    def adjoint(self, u: Tensor) -> Tensor:
        """Jᵀ u, sample by sample."""
        result = self.linear.adjoint(u if self.outer is None else u * self.outer)
        return result if self.inner is None else result * self.inner

    def _scaled(self, change: Callable[[Tensor], Tensor]) -> Self:
        inner, outer = (scale if scale is None else change(scale) for scale in (self.inner, self.outer))
        return replace(self, inner=inner, outer=outer)


@dataclass(frozen=True)
class LayerJacobian:
    """∂(layer's output)/∂(layer's input) at every recorded input, as a product of factors.

    Attributes:
        name: module path of the layer.
        factors: in the order in which they are applied.
        reads: what lies between the last node and the layer, in words; ``"layer"`` where it reads one directly.
    """

    name: str
    factors: tuple[Factor, ...]
    reads: str = ""

    @property
    def rows(self) -> int:
        """Size of one output."""
        return math.prod(self.factors[-1].out_shape)

    @property
    def columns(self) -> int:
        """Size of one input."""
        return math.prod(self.factors[0].in_shape)

    @property
    def constant(self) -> bool:
        """Whether it is the same for every input."""
        return all(factor.constant for factor in self.factors)

    @property
    def samples(self) -> Tensor | None:
        """The inputs that it was recorded at; None for all."""
        return next((factor.samples for factor in self.factors if factor.samples is not None), None)

    def kept(self, samples: Tensor) -> Self:
        """Return the Jacobians at these inputs, of which some factors hold no others."""
        factors = (f if f.samples is not None else replace(f.at(samples), samples=samples) for f in self.factors)
        return replace(self, factors=tuple(factors))

    def at(self, samples: Tensor | slice) -> Self:
        """Return the Jacobians at some of the inputs that it holds."""
        return replace(self, factors=tuple(factor.at(samples) for factor in self.factors))

    def to(self, dtype: torch.dtype) -> Self:
        """Return the Jacobians in another precision."""
        return replace(self, factors=tuple(factor.to(dtype) for factor in self.factors))

    def scaled(self) -> tuple[Self, int]:
        """Return the Jacobians divided by a power of two, so that squares are safe, and the exponent."""
        parts = [factor.scaled() for factor in self.factors]
        return replace(self, factors=tuple(factor for factor, _ in parts)), sum(power for _, power in parts)

    def forward(self, v: Tensor) -> Tensor:
        """J v: (samples, in...) → (samples, out...)."""
        for factor in self.factors:
            v = factor.forward(v)
        return v

    def adjoint(self, u: Tensor) -> Tensor:
        """Jᵀ u: (samples, out...) → (samples, in...)."""
        for factor in reversed(self.factors):
            u = factor.adjoint(u)
        return u


def _scaled(numbers: Tensor) -> tuple[Tensor, int]:
    """Divide by a power of two, which changes no digit, where the numbers are very large or very small."""
    largest = float(numbers.abs().max())
    exponent = max(-1_000, min(math.frexp(largest)[1], 1_000))
    if largest == 0 or abs(exponent) < _SAFE:
        return numbers, 0
    return (numbers.double() * 2.0**-exponent).to(numbers.dtype), exponent

"""Calls of `torch.nn.functional` turned into linear maps; the signatures are PyTorch's."""

from collections.abc import Sequence

from torch import Tensor

from nnmass.propagation.measurement.linear_maps import Convolution, Linear, Padding


def as_linear(x: Tensor, padding: Padding | None, weight: Tensor, bias: Tensor | None = None) -> Linear:
    """Of `torch.nn.functional.linear`."""
    return Linear(weight.detach())


def as_convolution(
    x: Tensor,
    padding_before: Padding | None,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Convolution:
    """Of `torch.nn.functional.conv1d`, ``conv2d`` or ``conv3d`` on ``x`` before it was padded by ``padding_before``."""
    space = x.dim() - 2
    dilations = _per_axis(dilation, space)
    before = padding_before
    if isinstance(padding, str):
        if padding == "same" and before is None:
            before = _same(weight.shape[2:], dilations)
        padding = 0
    return Convolution(
        weight=weight.detach(),
        shape=tuple(x.shape[1:]),
        stride=_per_axis(stride, space),
        zeros=_per_axis(padding, space),
        dilation=dilations,
        groups=groups,
        padding=before,
    )


def as_padding(pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Padding | None:
    """Of `torch.nn.functional.pad`; None where it is not linear (a constant other than 0)."""
    return None if value else Padding(tuple(pad), mode)


def _per_axis(value: int | Sequence[int], space: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * space if len(values) == 1 else values


def _same(kernel: Sequence[int], dilation: Sequence[int]) -> Padding:
    """PyTorch's ``padding="same"``: where the total is odd, one more after."""
    widths: list[int] = []
    for size, step in zip(reversed(kernel), reversed(dilation), strict=True):
        total = step * (size - 1)
        widths += [total // 2, total - total // 2]
    return Padding(tuple(widths))

"""Multiply-accumulates of single operators, by their names in PyTorch."""

import re
from collections.abc import Callable
from math import prod

from torch import Tensor

from nnmass.tracing.call import Call

_LIBRARIES = {"aten", "prim", "prims", "profiler"}
"""Where an operator's name tells what it does; anybody may call one of his own as he likes."""


def macs_of(call: Call) -> int | None:
    """Multiply-accumulates of an operator that has run; 0 where it sums no products; None where that is not known.

    Products of matrices, convolutions and attention count, whatever they are products of: data, parameters or
    constants.  Norms, activations, pools and sums do not.
    """
    name = call.name.removesuffix("_") if call.name.removesuffix("_") in _COSTS else call.name
    if name in _COSTS:
        return _COSTS[name](call)
    library, _, plain = name.partition("::")
    return 0 if library in _LIBRARIES and not _multiplies(plain) else None


def _convolution(call: Call) -> int:
    source, weight = call["input"], call["weight"]
    out: Tensor = call.out
    transposed = call.has("transposed") and bool(call["transposed"])
    larger = source if transposed else out  # every number of it meets one kernel
    return int(larger.numel() // larger.shape[1] * weight.numel())


def _over_time(call: Call) -> int:
    """``conv_tbc``: time, samples, channels."""
    out, weight = call.out, call["weight"]
    return int(out.numel() // out.shape[-1] * weight.numel())


def _of_factors(left: str, right: str) -> Callable[[Call], int]:
    """Matrix products: every number of the result sums as many products as the factors share."""

    def cost(call: Call) -> int:
        a, b = call[left], call[right]
        rows = a.numel() // max(a.shape[-1], 1)
        columns = b.shape[-1] if b.ndim > 1 else 1
        return int(rows * a.shape[-1] * columns)

    return cost


def _attention(call: Call) -> int:
    query, key, value = call.given[:3]
    rows, length = query.numel() // max(query.shape[-1], 1), key.shape[-2]
    return int(rows * length * (query.shape[-1] + value.shape[-1]))


def _trilinear(call: Call) -> int:
    """``nn.Bilinear``: for every output, the matrix once, and its result with the other input."""
    left, matrices, right = call["i1"], call["i2"], call["i3"]
    samples = left.shape[0]
    return int(samples * (matrices.numel() + prod(matrices.shape[:1]) * right.shape[-1]))


def _recurrent(call: Call) -> int:
    steps = prod(call["input"].shape[:-1])
    return int(steps * (call["weight0"].numel() + call["weight1"].numel()))


_NAMES: dict[Callable[[Call], int], tuple[str, ...]] = {
    _convolution: ("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution"),
    _over_time: ("conv_tbc",),
    _of_factors("self", "mat2"): ("mm", "bmm", "_int_mm"),
    _of_factors("mat1", "mat2"): ("addmm", "_addmm_activation"),
    _of_factors("batch1", "batch2"): ("baddbmm", "addbmm"),
    _of_factors("self", "vec"): ("mv",),
    _of_factors("mat", "vec"): ("addmv",),
    _of_factors("self", "tensor"): ("dot",),
    _of_factors("self", "other"): ("vdot",),
    _trilinear: ("_trilinear",),
    _recurrent: ("mkldnn_rnn_layer",),
    _attention: (
        *("scaled_dot_product_attention", "_scaled_dot_product_attention_math"),
        *("_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu"),
        *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
        "_scaled_dot_product_fused_attention_overrideable",
    ),
}
_COSTS = {f"aten::{name}": cost for cost, names in _NAMES.items() for name in names}
_PRODUCTS = {
    "mm",
    "bmm",
    "addmm",
    "matmul",
    "conv",
    "convolution",
    "attention",
    "rnn",
    "lstm",
    "gru",
    "linear",
    "encoder",
}
_FREE = {"cell", "upsample"}
"""Parts of names: what follows the products of a recurrent cell, and interpolation."""


def _multiplies(name: str) -> bool:
    """Whether the name of one of PyTorch's operators speaks of products that no formula above is for.

    Examples:
        >>> _multiplies("_weight_int8pack_mm"), _multiplies("upsample_linear1d"), _multiplies("hamming_window")
        (True, False, False)
    """
    parts = {re.sub(r"\dd$", "", part) for part in name.split("_")}
    products = parts & _PRODUCTS or any(part.endswith("mm") for part in parts)
    return bool(products) and not parts & _FREE

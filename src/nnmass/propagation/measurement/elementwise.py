"""The derivative of whatever lies between two layers, where each number that is read follows from one number before.

Let u be what a layer reads, and z the nodes that u was computed from.  With J = ∂u/∂z from autograd, u is element-wise
in z, up to an order of its own, where no row of J has two entries.  Three products tell: with positive random r, a row
with the single entry d at position p gives J·1 = d, J·r = d r_p and J·r² = d r_p², so that (J r)² = (J 1)(J r²); for
any other row the difference is Σ_{p<q} d_p d_q (r_p - r_q)², which is almost surely not 0.  Then φ′ = J·1.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from nnmass.errors import first_line

_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4}
_STEADY = 0.05
"""Share of the numbers whose products may disagree by more than 1 %: there the derivative is about to change sign."""

_MIXES = "there a number depends on several channels or positions, so that J is not W·diag(φ′)"
_SEVERAL = "there a number depends on several of these, and is element-wise in none of them alone"
_COPIES = "it repeats numbers"
_UNKNOWN = "there a number depends on several before, or is repeated"


@dataclass(frozen=True)
class Derivative:
    """What autograd says of a layer's input.

    Attributes:
        slope: φ′, of the shape of the input; None where the reason stands.
        reason: why there is no such φ′; empty where there is one.
    """

    slope: Tensor | None
    reason: str = ""


def local_derivative(result: Tensor, x: Tensor) -> Tensor:
    """Derivative of a function that is known to be element-wise, from what it gave."""
    (slope,) = torch.autograd.grad(result, x, torch.ones_like(result), retain_graph=True)
    return slope.detach()


def leaves_of(read: Tensor) -> list[Tensor]:
    """Return the leaves of the autograd graph that a tensor was computed from."""
    if read.grad_fn is None:
        return [read] if read.requires_grad else []
    found: dict[int, Tensor] = {}
    seen, pending = {read.grad_fn}, [read.grad_fn]
    while pending:
        function: Any = pending.pop()
        if hasattr(function, "variable"):
            found[id(function.variable)] = function.variable
        for following, _ in function.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                pending.append(following)
    return list(found.values())


def derivative(read: Tensor, leaves: Sequence[Tensor], *, named: bool, moved: bool, joined: bool) -> Derivative:
    """Return φ′ of what a layer reads.

    Args:
        read: the layer's input.
        leaves: the nodes that it was computed from.
        named: whether all that was done is known to be element-wise, or to move numbers only.
        moved: whether numbers may have been moved.
        joined: whether parts were laid side by side; then a number before may be read several times.
    """
    try:
        if len(leaves) == 1 and leaves[0].shape == read.shape:
            slope = _in_place(read, leaves[0], check=not named) if not (named and moved) else None
            if slope is not None:
                return _finite(slope)
        try:
            return _moved(read, leaves, check=not named, joined=joined)
        except (RuntimeError, NotImplementedError):  # something on the way is differentiable once only
            return _put_in_order(read, leaves)
    except (RuntimeError, NotImplementedError) as error:  # autograd cannot go back through it
        return Derivative(None, f"autograd has no derivative of what it reads: {first_line(error)}")


def _in_place(read: Tensor, leaf: Tensor, *, check: bool) -> Tensor | None:
    """φ′ where number i depends on number i: the diagonal; None where something stands beside it."""
    (slope,) = torch.autograd.grad(read, leaf, torch.ones_like(read), retain_graph=True)
    if check:
        weights = _positive(read, 1)
        (seen,) = torch.autograd.grad(read, leaf, weights, retain_graph=True)
        if not _agree(seen, slope * weights, slope):
            return None
    return slope.detach()


def _moved(read: Tensor, leaves: Sequence[Tensor], *, check: bool, joined: bool) -> Derivative:
    weights = torch.ones_like(read).requires_grad_()
    with torch.enable_grad():
        pulled = torch.autograd.grad(read, leaves, weights, create_graph=True, allow_unused=True)
    backs = [(leaf, back) for leaf, back in zip(leaves, pulled, strict=True) if back is not None and bool(back.any())]
    used = [(leaf, back) for leaf, back in backs if back.requires_grad]
    products = _Products(read, weights, used)
    slope = products.of([torch.ones_like(leaf) for leaf, _ in used])
    total = sum(float(back.detach().sum()) for _, back in backs)
    if abs(float(slope.sum()) - total) > _STEADY * float(slope.abs().sum()):
        raise NotImplementedError("a backward pass that cannot be differentiated")
    if not check or not bool(torch.isfinite(slope).all()):
        return _finite(slope)
    if not products.single_entries(range(len(used))):
        alone = all(products.single_entries([k]) for k in range(len(used)))
        return Derivative(None, _SEVERAL if alone and len(used) > 1 else _MIXES)
    if not joined and _copied(read, [leaf for leaf, _ in used], slope):
        return Derivative(None, _COPIES)
    return Derivative(slope)


def _put_in_order(read: Tensor, leaves: Sequence[Tensor]) -> Derivative:
    """φ′ from first derivatives alone: weights that count the numbers of u tell where each node's number went."""
    count = read[:1].numel()
    base = math.isqrt(count) + 1
    places = torch.arange(count, device=read.device).reshape(read[:1].shape).expand_as(read)
    weights = [torch.ones_like(read), 1.0 + places // base, 1.0 + places % base, _positive(read, 1)]
    slope, taken = torch.zeros_like(read).flatten(1), torch.zeros_like(read).flatten(1)
    for leaf in leaves:
        pulled = [torch.autograd.grad(read, leaf, w.to(read), retain_graph=True, allow_unused=True)[0] for w in weights]
        if pulled[0] is None:
            continue
        sizes, high, low, seen = (back.flatten(1) for back in pulled)
        place = torch.where(sizes != 0, ((high / sizes).round() - 1) * base + (low / sizes).round() - 1, 0).nan_to_num(
            0
        )
        place = place.clamp(0, count - 1).long()
        if not _agree(seen, sizes * weights[3].flatten(1).gather(1, place), sizes):
            return Derivative(None, _UNKNOWN)
        slope.scatter_add_(1, place, sizes)
        taken.scatter_add_(1, place, (sizes != 0).to(taken))
    return Derivative(None, _UNKNOWN) if bool((taken > 1).any()) else _finite(slope.reshape(read.shape))


@dataclass(frozen=True)
class _Products:
    """Products J v, from the derivative of Jᵀ w with respect to w.

    Attributes:
        read: u.
        weights: w, which Jᵀ w is linear in.
        used: every node, and Jᵀ w there.
    """

    read: Tensor
    weights: Tensor
    used: Sequence[tuple[Tensor, Tensor]]

    def of(self, vectors: Sequence[Tensor]) -> Tensor:
        """J v for one vector per node."""
        if not self.used:
            return torch.zeros_like(self.weights)
        backs = [back for _, back in self.used]
        (result,) = torch.autograd.grad(backs, self.weights, list(vectors), retain_graph=True, allow_unused=True)
        return torch.zeros_like(self.weights) if result is None else result.detach()

    def single_entries(self, nodes: Sequence[int] | range) -> bool:
        """Whether no row of J has two entries in the columns of these nodes."""
        chosen = [_positive(leaf, k) if k in nodes else torch.zeros_like(leaf) for k, (leaf, _) in enumerate(self.used)]
        ones = [(vector > 0).to(vector.dtype) for vector in chosen]
        first, second, third = (self.of(v) for v in (ones, chosen, [vector.square() for vector in chosen]))
        return _agree(second.square(), first * third, torch.maximum(first.square(), second.square()))


def _positive(like: Tensor, seed: int) -> Tensor:
    """Random numbers between 1 and 2, always the same ones."""
    generator = torch.Generator().manual_seed(seed)
    return (1 + torch.rand(like.shape, generator=generator)).to(like)


def _agree(one: Tensor, other: Tensor, scale: Tensor) -> bool:
    """Whether two tensors are equal: to rounding, relative to the largest of the scale, and nearly everywhere to 1 %.

    A little more than rounding is let pass, since terms of a derivative may cancel.
    """
    off = (one - other).abs()
    if off.numel() == 0 or not bool(torch.isfinite(off).all()):
        return off.numel() == 0
    tolerance = _ROUNDING.get(off.dtype, 0.05)
    if bool((off > tolerance * scale.abs().max()).any()):
        return False
    sizes = torch.maximum(one.abs(), other.abs())
    apart = (off > max(0.01, 4 * tolerance) * sizes).sum()
    return bool(apart <= _STEADY * (sizes > 0).sum())


def _copied(read: Tensor, leaves: Sequence[Tensor], slope: Tensor) -> bool:
    """Whether some number before is read more than once."""
    inverse = torch.where(slope != 0, 1 / slope, 0)
    counts = torch.autograd.grad(read, leaves, inverse, retain_graph=True, allow_unused=True)
    return any(bool((count > 1.5).any()) for count in counts if count is not None)


def _finite(slope: Tensor) -> Derivative:
    if not bool(torch.isfinite(slope).all()):
        return Derivative(None, "its derivative is not finite at every input")
    return Derivative(slope.detach())


def compact(slope: Tensor) -> Tensor | None:
    """Return a slope that broadcasts to the same: one number for all samples, or positions, where it does not change.

    None where it is 1 everywhere.
    """
    for axis in (0, *range(2, slope.dim())):
        first = slope.narrow(axis, 0, 1)
        if bool((slope == first).all()):
            slope = first
    return None if bool((slope == 1).all()) else slope


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor within arguments or results."""
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))

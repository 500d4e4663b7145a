"""How a tensor of a forward pass came about since the last nodes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from nnmass.propagation.measurement import calls
from nnmass.propagation.measurement.linear_maps import Padding


@dataclass(frozen=True)
class Trail:
    """How a tensor came about since the last nodes.

    Attributes:
        words: what was done, and what the nodes are.
        named: whether all that was done is known to be element-wise, or to move numbers only.
        moved: whether numbers may have been moved.
        joined: whether parts were laid side by side.
        slope: derivative so far, which broadcasts to the tensor; None where it is 1.
        known: whether the slope was followed; else autograd is asked.
        steady: whether the derivative may be the same at every input.
        layer: made by this layer, and nothing since.
        source: padded from this tensor.
        version: of the tensor, which rises with every change in place, also through a view.
    """

    words: tuple[str, ...] = ()
    named: bool = True
    moved: bool = False
    joined: bool = False
    slope: Tensor | None = field(default=None, compare=False)
    known: bool = True
    steady: bool = True
    layer: int | None = None
    source: tuple[Tensor, Padding] | None = field(default=None, compare=False)
    version: int = 0


UNSEEN = Trail(named=False, moved=True, known=False, steady=False)


def joined(name: str, trails: Sequence[Trail]) -> Trail:
    """What is known of the result of a function of these tensors, but for its slope."""
    silent = name in calls.MOVEMENTS | calls.COPIES | calls.DROPOUTS or name == "__get__"
    one = (len(trails) == 1 and name in calls.ACTIVATIONS) or name in calls.MOVEMENTS | calls.COPIES | calls.DROPOUTS
    words = tuple(dict.fromkeys(word for trail in trails for word in trail.words))
    still = calls.ACTIVATIONS | calls.COPIES | calls.DROPOUTS
    return Trail(
        words=words if silent else (*words, name.strip("_")),
        named=one and all(trail.named for trail in trails),
        moved=name not in still or any(trail.moved for trail in trails),
        joined=name in calls.JOINTS or any(trail.joined for trail in trails),
        steady=(silent or name in calls.AFFINE) and all(trail.steady for trail in trails),
    )

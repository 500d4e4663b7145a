"""Tables of vectors that integers choose from."""

from collections.abc import Sequence

from torch import Tensor

from nnmass.tracing.call import Call
from nnmass.tracing.layout import Axis, MixedError, Value, fresh, placed, without_channels
from nnmass.tracing.tracer import Tracer, operand


def embedding(tracer: Tracer, call: Call) -> Value:
    """``aten::embedding``: a linear layer of one-hot vectors, which multiplies nothing; a vector per position."""
    value = _chosen(tracer, call)
    out: Tensor = call.out
    width = out.shape[-1]
    around = (tuple(a for a in without_channels(axes) if a.kind != "channel") for axes in value.dims)
    dims = (*around, (Axis("channel", width),))
    found = placed(0, dims)
    costs = {"params": tracer.new_params(call["weight"]), "resolution": found.positions, "grid": found.grids}
    node = tracer.node("linear", width, [operand(value)], **costs)
    return placed(node, dims)


def embedding_bag(tracer: Tracer, call: Call) -> Sequence[Value | None]:
    """``aten::_embedding_bag``: sums, means or maxima of the vectors; the other results are for the gradient."""
    out: Tensor = call.out[0]
    params = tracer.new_params(call["weight"])
    node = tracer.node("linear", out.shape[1], [operand(_chosen(tracer, call))], params=params)
    return [fresh(node, out.shape, 1), *([None] * (len(call.out) - 1))]


def _chosen(tracer: Tracer, call: Call) -> Value:
    value = tracer.value(call["indices"])
    if value is None or tracer.value(call["weight"]) is not None:
        raise MixedError("of a table that depends on the input")
    return value

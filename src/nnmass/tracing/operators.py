"""What each operator does, by name."""

import torch

from nnmass.tracing import embeddings, merges, movements, products
from nnmass.tracing.call import Call
from nnmass.tracing.tracer import Handler

_ATTENTION = (
    *("scaled_dot_product_attention", "_scaled_dot_product_attention_math", "_scaled_dot_product_flash_attention"),
    *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention"),
    "_scaled_dot_product_fused_attention_overrideable",
)
_NAMES: dict[Handler, tuple[str, ...]] = {
    products.convolution: ("convolution", "_convolution"),
    products.product_with_matrix: ("mm", "addmm"),
    products.batched_product: ("bmm", "baddbmm"),
    products.product: ("mul", "div"),
    products.gated_unit: ("glu",),
    products.attention: _ATTENTION,
    embeddings.embedding: ("embedding",),
    embeddings.embedding_bag: ("_embedding_bag", "_embedding_bag_forward_only"),
    merges.addition: ("add", "sub", "rsub", "maximum", "minimum"),
    merges.concatenation: ("cat",),
    merges.stack: ("stack",),
    merges.reduction: ("sum", "mean", "amax", "amin", "linalg_vector_norm", "norm", "std", "var"),
    merges.pixel_shuffle: ("pixel_shuffle",),
    merges.extremum: ("max", "min"),
    **movements.MOVEMENTS,
}
_HANDLERS = {f"aten::{name}": handler for handler, names in _NAMES.items() for name in names}


def handler_of(call: Call) -> Handler | None:
    """What to do with an operator; None for one that cannot be described.

    In-place forms are handled as the others; any operator that works on each number alone is an activation.
    """
    known = _HANDLERS.get(call.name) or _HANDLERS.get(call.name.removesuffix("_"))
    if known is None and torch.Tag.pointwise in call.func.tags:
        return movements.activation
    return known

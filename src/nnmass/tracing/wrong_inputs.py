"""What layers want of a model's inputs, said before PyTorch says it in other words."""

from torch import Tensor

from nnmass.errors import ModelError, ResourceError
from nnmass.tracing.call import Call
from nnmass.tracing.tracer import Tracer, operand

_MOST_PARTS = 2**15
_DIVISIONS = {f"aten::{name}" for name in ("unbind", "split", "unsafe_split", "chunk", "unsafe_chunk")}
_EMBEDDINGS = {"aten::embedding", "aten::_embedding_bag", "aten::_embedding_bag_forward_only"}


class IntegersWanted(Exception):  # noqa: N818 (no error: the model is run again)
    """An embedding reads floating-point numbers of inputs whose type was not said.

    Attributes:
        module: where the embedding is.
        inputs: the inputs, as nodes.
    """

    def __init__(self, module: str, inputs: frozenset[int]) -> None:
        super().__init__("an embedding reads floating-point numbers")
        self.module, self.inputs = module, inputs


class ChannelsError(ModelError):
    """A layer reads another number of channels than it is given."""


def check_inputs(tracer: Tracer, call: Call) -> None:
    """Look at what an operator is given, before it runs.

    Raises:
        IntegersWanted: an embedding is to choose by inputs that hold floating-point numbers.
        ChannelsError: a convolution has other channels than its kernel.
        ResourceError: a tensor is divided into a great many.
    """
    if call.name in _EMBEDDINGS:
        _check_indices(tracer, call["indices"])
    elif call.name == "aten::convolution":
        _check_channels(call)
    elif call.name in _DIVISIONS:
        _check_parts(call)


def _check_indices(tracer: Tracer, indices: Tensor) -> None:
    value = tracer.value(indices)
    if value is None or not indices.is_floating_point():
        return
    sources = frozenset(operand(value).channels.sources.tolist())
    if all(tracer.drafts.nodes[source].kind == "input" for source in sources):
        raise IntegersWanted(tracer.path.name, sources)


def _check_channels(call: Call) -> None:
    source, weight = call["input"], call["weight"]
    if source.ndim != weight.ndim:
        return  # PyTorch says so
    wanted = weight.shape[0] if call["transposed"] else weight.shape[1] * call["groups"]
    if source.shape[1] != wanted:
        channels = f"{wanted:,} channel{'s' * (wanted != 1)}"
        raise ChannelsError(f"a convolution of {channels} is given {source.shape[1]:,}")


def _check_parts(call: Call) -> None:
    tensor = call["self"]
    length = tensor.shape[call["dim"]] if tensor.ndim else 1
    size, chunks = (call[name] if call.has(name) else None for name in ("split_size", "chunks"))
    parts = length if size is None and chunks is None else min(length, chunks or length)
    if isinstance(size, int):
        parts = -(-length // max(size, 1))
    elif size is not None:
        parts = len(size)
    if parts > _MOST_PARTS:
        raise ResourceError(f"a tensor in {parts:,} parts, or steps; at most {_MOST_PARTS:,} are followed")

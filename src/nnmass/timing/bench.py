"""One network on this machine: latency as a whole and block by block, and memory."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from nnmass.architectures import Specification
from nnmass.errors import InvalidValueError, ModelError
from nnmass.latency import Conditions, LatencyTable, Prediction, Timing, blocks_of
from nnmass.timing.measure import SECONDS, Progress, fill_table, measure_latency, settled, yardstick_of
from nnmass.timing.memory import peak_bytes
from nnmass.tracing import load_model, recognise
from nnmass.tracing.from_source import is_specification, read_specification


@dataclass(frozen=True)
class Bench:
    """What was measured of one network.

    Attributes:
        name: of the network.
        conditions: device, engine, threads and batch.
        latency: of the whole network.
        prediction: from its blocks; None where no table was given, or the network is of no family.
        peak_bytes: that PyTorch's allocator held at once during a forward pass of one input, parameters and input
            aside; None with another engine.
        activation_bytes: the same in closed form (`Specification.activation_bytes`); None for a network of no family.
    """

    name: str
    conditions: Conditions
    latency: Timing
    prediction: Prediction | None
    peak_bytes: int | None
    activation_bytes: int | None

    @property
    def relative_error(self) -> float | None:
        """How far the prediction is off, relative to the measurement."""
        return None if self.prediction is None else self.prediction.total_ms / self.latency.median_ms - 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        blocks = None
        if self.prediction is not None:
            blocks = [
                {"kind": block.kind, "sizes": list(block.sizes), "latency_ms": ms}
                for block, ms in self.prediction.blocks
            ]
        return {
            "model": self.name,
            "conditions": asdict(self.conditions),
            "latency": self.latency._asdict(),
            "predicted_ms": None if self.prediction is None else self.prediction.total_ms,
            "relative_error": self.relative_error,
            "blocks": blocks,
            "peak_bytes": self.peak_bytes,
            "activation_bytes": self.activation_bytes,
        }


def bench_source(
    source: str,
    where: Conditions,
    *,
    table: LatencyTable | None = None,
    seconds: float = SECONDS,
    image_size: int | None = None,
    progress: Progress | None = None,
) -> Bench:
    """Measure what a user names: a specification's JSON file, or any source of `load_model`.

    Weights are drawn at random where the source has none.

    Args:
        source: the name.
        where: engine, threads and batch.
        table: takes the blocks, and predicts from them.
        seconds: to spend on the repeats of each block and of the network.
        image_size: height and width of the images, instead of what the source knows.
        progress: told of measured blocks.

    Raises:
        InvalidValueError: the source does not say the size of its input.
        ModelError: the source names no model, or its forward pass fails.
    """
    if is_specification(source):
        spec: Specification | None = read_specification(source, image_size=image_size)
        assert spec is not None
        module: nn.Module = spec.build()
        shapes: tuple[tuple[int, ...], ...] = (spec.input_shape,)
    else:
        with redirect_stdout(sys.stderr):
            loaded = load_model(source, image_size=image_size)
        if loaded.input_sizes is None:
            raise InvalidValueError(f"{source} does not say the size of its input: give --image-size")
        module, shapes = loaded.module, tuple(size[1:] for size in loaded.input_sizes)
        spec = _family(module, loaded.input_sizes, source)
        _materialise(module)
    module = settled(module, shapes)
    prediction = None
    if table is not None and spec is not None:
        fill_table(table, blocks_of(spec), seconds=seconds, progress=progress)
        prediction = table.predict(spec)
    yardstick = None if table is None else yardstick_of(table)
    latency = measure_latency(module, where, shapes, seconds=seconds, yardstick=yardstick)
    held = peak_activations(module, shapes) if where.engine == "eager" else None
    return Bench(source, where, latency, prediction, held, None if spec is None else spec.activation_bytes)


def peak_activations(module: nn.Module, shapes: Sequence[tuple[int, ...]]) -> int:
    """Bytes that PyTorch's allocator holds at most, beyond parameters and inputs, in a forward pass of one input.

    Args:
        module: in evaluation mode.
        shapes: of its inputs, without the batch.
    """
    inputs = [torch.zeros((1, *shape)) for shape in shapes]

    def forward() -> None:
        with torch.inference_mode():
            module(*inputs)

    forward()
    return peak_bytes(forward)


def _family(module: nn.Module, sizes: Sequence[Sequence[int]], name: str) -> Specification | None:
    try:
        return recognise(module, sizes, name=name)
    except ModelError:
        return None


def _materialise(module: nn.Module) -> None:
    """Give meta parameters and buffers memory and random values: the weights do not matter for latency."""
    tensors = [*module.parameters(), *module.buffers()]
    if not any(tensor.is_meta for tensor in tensors):
        return
    meta = [name for name, tensor in [*module.named_parameters(), *module.named_buffers()] if tensor.is_meta]
    values = {
        name: torch.empty_like(tensor, device="cpu").normal_(0, 0.05) if name in meta else tensor
        for name, tensor in module.state_dict(keep_vars=True).items()
        if tensor.is_floating_point() or not tensor.is_meta
    }
    module.load_state_dict(values, strict=False, assign=True)

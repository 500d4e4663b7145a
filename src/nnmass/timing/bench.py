"""One network on this machine: latency as a whole and block by block, and memory."""

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nnmass.architectures import Specification
from nnmass.architectures.files import is_specification, read_specification
from nnmass.errors import InvalidValueError, ModelError
from nnmass.latency import Conditions, LatencyTable, Prediction, Timing, blocks_of
from nnmass.memory import require_memory
from nnmass.representation import brief
from nnmass.timing.engines import evaluation
from nnmass.timing.inputs import random_inputs
from nnmass.timing.measure import SECONDS, Progress, fill_table, measure_latency, yardstick_of
from nnmass.timing.memory import peak_bytes
from nnmass.timing.norms import settled
from nnmass.tracing import load_model, recognise
from nnmass.tracing.input_types import InputType

Shapes: TypeAlias = Sequence[tuple[int, ...]]
_HINT = "give --image-size or --input-size"
_SETTLING = 4  # inputs whose statistics an untrained network's norms get


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

    __repr__ = brief

    name: str
    conditions: Conditions
    latency: Timing
    prediction: Prediction | None
    peak_bytes: int | None
    activation_bytes: int | None

    @property
    def relative_error(self) -> float | None:
        """How far the prediction is off, relative to the measurement."""
        return None if self.prediction is None else self.prediction.latency.ms / self.latency.median_ms - 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        blocks = None
        if self.prediction is not None:
            unstable = set(self.prediction.unstable)
            blocks = [
                {"kind": block.kind, "sizes": list(block.sizes), **latency.to_dict(), "unstable": block in unstable}
                for block, latency in self.prediction.blocks
            ]
        return {
            "model": self.name,
            "conditions": asdict(self.conditions),
            "latency": {**self.latency._asdict(), "unstable": self.latency.unstable or None},
            "predicted_ms": None if self.prediction is None else self.prediction.latency.ms,
            "predicted_bounds_ms": None if self.prediction is None else list(self.prediction.latency[1:]),
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
    input_sizes: Sequence[Sequence[int]] = (),
    dtypes: Sequence[InputType | str] = (),
    progress: Progress | None = None,
) -> Bench:
    """Measure what a user names: a specification's JSON file, or any source of `load_model`.

    Weights are drawn at random where the source has none.  What the model prints while it runs is dropped.

    Args:
        source: the name.
        where: engine, threads and batch.
        table: takes the blocks, and predicts from them.
        seconds: to spend on the repeats of each block and of the network.
        image_size: height and width of the images, instead of what the source knows.
        input_sizes: of all inputs, the batch first, likewise.
        dtypes: of the inputs: ``"int"`` for tokens; by default the model's precision, or integers where an
            embedding reads them.
        progress: told of measured blocks.

    Raises:
        InvalidValueError: the source does not say the size of its input, or sizes that do not fit.
        ModelError: the source names no model, or its forward pass fails.
        ResourceError: the batch does not fit into memory.
    """
    if input_sizes and image_size is not None:
        raise InvalidValueError("give sizes of the inputs or an image size, not both")
    if is_specification(source):
        if input_sizes:
            raise InvalidValueError(f"{source}: a specification knows the size of its input; give no other")
        spec: Specification | None = read_specification(source, image_size=image_size)
        assert spec is not None
        module: nn.Module = spec.build()
        shapes: Shapes = (spec.input_shape,)
    else:
        with redirect_stdout(sys.stderr):
            loaded = load_model(source, image_size=image_size)
            module = loaded.module
            sizes = tuple(map(tuple, input_sizes)) or loaded.input_sizes
            if sizes is None:
                raise InvalidValueError(
                    f"{source} does not say the size of its input: give --image-size or --input-size"
                )
            shapes = _shapes(sizes, where.batch if input_sizes else None)
        _materialise(module)
        spec = None
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        dtypes = dtypes or _types_of(module, shapes)
        held = _held(source, module, shapes, dtypes, where.batch)
        if spec is None and not dtypes:
            spec = _family(module, [(1, *shape) for shape in shapes], source)
        batch = max(where.batch, _SETTLING) if spec is not None else where.batch
        module = settled(module, shapes, batch=batch, types=dtypes)
        prediction = None
        if table is not None and spec is not None:
            fill_table(table, blocks_of(spec), seconds=seconds, progress=progress)
            prediction = table.predict(spec)
        yardstick = None if table is None else yardstick_of(table)
        latency = measure_latency(module, where, shapes, dtypes=dtypes, seconds=seconds, yardstick=yardstick)
    shown = held if where.engine == "eager" else None
    return Bench(source, where, latency, prediction, shown, None if spec is None else spec.activation_bytes)


def _types_of(module: nn.Module, shapes: Shapes) -> tuple[InputType | str, ...]:
    """Integers for a model with an embedding that reads them and no other numbers; else what is read by default."""
    if not any(isinstance(part, nn.Embedding) for part in module.modules()):
        return ()
    types = ("int",) * len(shapes)
    try:
        evaluation(module.eval(), random_inputs(module, shapes, 1, types))()
    except ModelError:
        return ()
    return types


def _held(source: str, module: nn.Module, shapes: Shapes, types: Sequence[InputType | str], batch: int) -> int | None:
    """Peak activations of one input, by which a batch is refused that does not fit; None where there is one batch only.

    The random inputs are made first, since a batch may be too large by itself.
    """
    random_inputs(module, shapes, batch, types)
    try:
        held = peak_activations(module, shapes, types)
    except ModelError:
        if batch == 1:
            raise
        return None  # a model made for this batch: whether it runs is seen when it is timed
    require_memory(held * batch, f"{source} with a batch of {batch}")
    return held


def peak_activations(module: nn.Module, shapes: Shapes, types: Sequence[InputType | str] = ()) -> int:
    """Bytes that PyTorch's allocator holds at most, beyond parameters and inputs, in a forward pass of one input.

    Args:
        module: put into evaluation mode.
        shapes: of its inputs, without the batch.
        types: of its inputs; by default floating point, in its precision.

    Raises:
        ModelError: the forward pass fails.
    """
    forward = evaluation(module.eval(), random_inputs(module, shapes, 1, types))
    forward()
    return peak_bytes(forward)


def _shapes(sizes: Sequence[Sequence[int]], batch: int | None) -> tuple[tuple[int, ...], ...]:
    """Sizes without the batch, which is one for all inputs."""
    batches = {size[0] for size in sizes}
    if batch is not None and batches != {batch}:
        given = ", ".join(map(str, sizes))
        raise InvalidValueError(f"the first number of every input's size must be the batch, {batch}, got {given}")
    return tuple(tuple(size[1:]) for size in sizes)


def _family(module: nn.Module, sizes: Sequence[Sequence[int]], name: str) -> Specification | None:
    try:
        return recognise(module, sizes, name=name)
    except ModelError:
        return None


def _materialise(module: nn.Module) -> None:
    """Give meta parameters and buffers memory and random values: the weights do not matter for latency."""
    meta = [name for name, tensor in [*module.named_parameters(), *module.named_buffers()] if tensor.is_meta]
    if not meta:
        return
    values = {
        name: torch.empty_like(tensor, device="cpu").normal_(0, 0.05) if name in meta else tensor
        for name, tensor in module.state_dict(keep_vars=True).items()
        if tensor.is_floating_point() or not tensor.is_meta
    }
    module.load_state_dict(values, strict=False, assign=True)
    for norm in module.modules():
        if isinstance(norm, _BatchNorm):
            norm.reset_running_stats()

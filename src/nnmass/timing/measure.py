"""Latency of modules on this machine, and tables of it."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from torch import nn

from nnmass.architectures import Specification
from nnmass.errors import InvalidValueError
from nnmass.latency import Block, Conditions, LatencyTable, Timing
from nnmass.timing.engines import Call, prepared, threads_set
from nnmass.timing.modules import module_of
from nnmass.timing.norms import settled
from nnmass.timing.yardstick import Yardstick, in_turn
from nnmass.tracing.input_types import InputType

Progress = Callable[[int, int], None]
"""Told of what is done and of all there is to do."""

_GROUP, _PASSES = 24, 2
SECONDS = 0.25
"""Time for the repeats of one block or network; at least five are timed, however long they take."""


def measure_latency(
    model: nn.Module | Specification,
    where: Conditions,
    input_shapes: Sequence[tuple[int, ...]] | None = None,
    *,
    dtypes: Sequence[InputType | str] = (),
    seconds: float = SECONDS,
    yardstick: Yardstick | None = None,
) -> Timing:
    """Time forward passes of a whole network.

    Args:
        model: a module in evaluation mode, or a specification, which is built for it.
        where: engine, threads and batch (`conditions`).
        input_shapes: of the inputs, without the batch; a specification knows its own.
        dtypes: of the inputs: ``"int"`` for tokens, ``"bool"`` for masks; by default the module's precision.
        seconds: to spend on repeats; some times as long where the machine is not steady.
        yardstick: says for which speed of the machine the result is stated; None: that of now, as it was measured.

    Returns:
        Its ``unstable`` says why the times cannot be trusted, where they cannot.

    Raises:
        InvalidValueError: no shapes for a module, no time, or more than an hour.
        ModelError: the forward pass fails.
    """
    if isinstance(model, Specification):
        input_shapes = [model.input_shape]
        model = settled(model.build(), [model.input_shape])
    if input_shapes is None:
        raise InvalidValueError("input_shapes are missing: the shapes of the inputs, such as [(3, 224, 224)]")
    with threads_set(where.threads):
        call = prepared(model, input_shapes, where, dtypes)
        return yardstick.time(call, seconds) if yardstick else in_turn([call], seconds)[0]


def fill_table(
    table: LatencyTable, blocks: Iterable[Block], *, seconds: float = SECONDS, progress: Progress | None = None
) -> int:
    """Measure what a table lacks.

    In PyTorch blocks are run one after the other, some at a time and over and over, so that each finds the caches about
    as it would in a network.  ONNX Runtime gives every block memory of its own, which such rounds would find colder
    than a network's: there each is repeated by itself.  There are two passes, and the faster result counts: whatever
    else the machine does only slows.  Every group is kept as soon as it is measured, and marked where its times cannot
    be trusted.

    Args:
        table: its conditions say how.
        blocks: of a network or a space; layers with skips between the narrowest and the widest are added.
        seconds: to spend on the repeats of each block, in each pass.
        progress: told of measured blocks, each counted once a pass.

    Returns:
        How many were measured; those that were there already are measured again only where they were unstable.
    """
    wanted = [block for block in _with_between(blocks) if (known := table.timing(block)) is None or known.unstable]
    groups = [wanted[start : start + _GROUP] for start in range(0, len(wanted), _GROUP)]
    done = 0
    with threads_set(table.conditions.threads):
        yardstick = yardstick_of(table)
        kept: dict[int, list[Call]] = {}
        for k, group in [*enumerate(groups)] * _PASSES:
            if progress is not None:
                progress(done, len(wanted) * _PASSES)
            calls = kept.get(k) or [prepared(*module_of(block), table.conditions) for block in group]
            if table.conditions.engine != "eager":  # compiling and exporting take long
                kept[k] = calls
            if table.conditions.engine == "onnxruntime":
                timings = [yardstick.time(call, seconds) for call in calls]
            else:
                timings = yardstick.time_in_turn(calls, seconds * len(calls))
            for block, timing in zip(group, timings, strict=True):
                known = table.timing(block)
                if known is None or _trust(timing) < _trust(known):
                    table.add(block, timing)
            done += len(group)
    if progress is not None:
        progress(done, done)
    return len(wanted)


def _trust(timing: Timing) -> tuple[bool, float]:
    return bool(timing.unstable), timing.median_ms


def yardstick_of(table: LatencyTable) -> Yardstick:
    """The speed that a table's milliseconds are stated for; of a new table, that of now."""
    with threads_set(table.conditions.threads):
        yardstick = Yardstick(table.usual_ms)
        if table.usual_ms is None:
            table.set_usual_ms(yardstick.settle())
    return yardstick


def _with_between(blocks: Iterable[Block]) -> list[Block]:
    """Blocks, each once, and layers with skips on a grid of input channels between the narrowest and widest."""
    found: dict[Block, None] = {}
    curves: dict[tuple[int, ...], list[int]] = {}
    for block in blocks:
        if block.kind == "dense_layer":
            curves.setdefault(block.sizes[:-1], []).append(block.sizes[-1])
        else:
            found[block] = None
    for sizes, inputs in curves.items():
        for channels in inputs_grid(min(inputs), max(inputs)):
            found[Block("dense_layer", (*sizes, channels))] = None
    return list(found)


def inputs_grid(low: int, high: int, *, points: int = 9) -> list[int]:
    """Numbers of input channels between which latency is interpolated: closer together where there are few.

    Examples:
        >>> inputs_grid(32, 96, points=3)
        [32, 55, 96]
    """
    return sorted({round(value) for value in np.geomspace(low, high, points)}) if high > low else [low]

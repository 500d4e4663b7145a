"""Latency of modules on this machine, and tables of it."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from torch import nn

from nnmass.architectures import Specification
from nnmass.errors import InvalidValueError
from nnmass.latency import PASSES, Block, Conditions, LatencyTable, Timing
from nnmass.timing.engines import Call, prepared, threads_set
from nnmass.timing.modules import module_of
from nnmass.timing.norms import settled
from nnmass.timing.yardstick import Yardstick, in_turn
from nnmass.tracing.input_types import InputType

Progress = Callable[[int, int], None]
"""Told of what is done and of all there is to do."""

_GROUP, _MOST_PASSES = 24, 2 * PASSES
SECONDS = 0.25
"""Time for the repeats of one block or network, of a block in all passes; at least six of a pass are timed."""


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
    """Measure what a table lacks, until its bounds on every block are near to each other.

    In PyTorch blocks are run one after the other, some at a time and over and over, so that each finds the caches about
    as it would in a network.  ONNX Runtime gives every block memory of its own, which such rounds would find colder
    than a network's: there each is repeated by itself.  There are `PASSES` passes, apart in time, and up to twice as
    many over blocks that they leave open (`Latency.is_wide`).  Every group is kept as soon as it is measured.

    Args:
        table: its conditions say how.
        blocks: of a network or a space; layers with skips between the narrowest and the widest are added.
        seconds: to spend on the repeats of each block, in all passes together.
        progress: told of passes over blocks that are done, and of all that there are.

    Returns:
        How many were measured; those that were there already are measured again only where passes were missing, or
        left them open.
    """
    wanted = [block for block in _with_between(blocks) if _passes_left(table, block)]
    kept: dict[Block, Call] = {}
    done = 0
    with threads_set(table.conditions.threads):
        yardstick = yardstick_of(table)
        for _ in range(_MOST_PASSES):
            left = {block: passes for block in wanted if (passes := _passes_left(table, block))}
            for start in range(0, len(left), _GROUP):
                group = list(left)[start : start + _GROUP]
                if progress is not None:
                    progress(done, done + sum(left.values()) - start)
                for block, timing in zip(group, _pass(table, group, yardstick, seconds / PASSES, kept), strict=True):
                    table.add(block, timing)
                done += len(group)
    if progress is not None:
        progress(done, done)
    return len(wanted)


def _pass(
    table: LatencyTable, group: Sequence[Block], yardstick: Yardstick, seconds: float, kept: dict[Block, Call]
) -> list[Timing]:
    """One pass over some blocks; what an engine prepared is kept, since compiling and exporting take long."""
    engine = table.conditions.engine
    calls = [kept.get(block) or prepared(*module_of(block), table.conditions) for block in group]
    if engine != "eager":
        kept |= zip(group, calls, strict=True)
    if engine == "onnxruntime":
        return [yardstick.time(call, seconds) for call in calls]
    return yardstick.time_in_turn(calls, seconds * len(calls))


def _passes_left(table: LatencyTable, block: Block) -> int:
    """How many passes a block needs at least: one more where all that there are leave its latency open."""
    done = len(table.passes(block))
    return max(PASSES - done, int(done > 0 and table.measured(block).is_wide))


def yardstick_of(table: LatencyTable) -> Yardstick:
    """The speed that a table's milliseconds are stated for; of a new table, that of now."""
    with threads_set(table.conditions.threads):
        yardstick = Yardstick(table.usual_ms)
        yardstick.settle()
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

"""NN-Mass of any model."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from nnmass.architectures import Specification
from nnmass.errors import InvalidValueError, RefusedError
from nnmass.topology import Projection, search_cells
from nnmass.tracing import reasons
from nnmass.tracing.report import Report, Skipped
from nnmass.tracing.trace import Trace, checked_size, trace


def analyze(
    model: nn.Module | Specification,
    input_size: Sequence[int] | Sequence[Sequence[int]] | None = None,
    *,
    projection: Projection = "count",
    name: str | None = None,
) -> Report:
    """Find the cells of a model, their density and NN-Mass, and its parameters and MACs.

    The model runs once in evaluation mode on tensors without memory; it, its mode and the random states are as before,
    and so is what its code keeps in objects, classes, variables and caches.  Mass and cells depend on no size, no batch
    and no random state, and auxiliary outputs do not change them (see `find_cells`).

    Source: arXiv:1910.00780, Defs. 1-2, for general graphs: possible skips into node i >= 2 of a cell are
    Σ_{j<=i-2} w_j; the mass is the density times the widths that make up the cell (see `GraphCell`).

    Args:
        model: any module, or a specification, which is built for it.
        input_size: size of the input, the samples first, such as (1, 3, 224, 224); a list of sizes for several
            inputs; a specification knows its own.
        projection: whether shortcuts that are projections count as skips (the published ResNets) or not.
        name: of the model in the report; its class if not given.

    Returns:
        The report; its ``outcome`` is ``"uninformative"`` where no cell holds a skip.

    Raises:
        InvalidValueError: a size or ``projection`` is not valid.
        ModelError: the forward pass fails.
        RefusedError: attention, gated products, mixers, recurrent layers, control flow or weights that depend on
            data or on random numbers, merges across resolutions.

    Examples:
        >>> import nnmass
        >>> report = nnmass.analyze(nnmass.DenseMLP(width=8, depth=16, max_skips=20))
        >>> round(report.nn_mass, 4)
        40.2286
    """
    if projection not in ("count", "zero"):
        raise InvalidValueError(f'projection must be "count" or "zero", got {projection!r}')
    title = name or (model.family if isinstance(model, Specification) else type(model).__name__)
    if isinstance(model, Specification):
        input_size = input_size or (1, *model.input_shape)
        model = model.build()
    sizes = checked_sizes(input_size)
    traced = trace(model, *sizes)
    cells, left_out = search_cells(traced.graph, projection=projection)
    for cell in cells:
        if cell.enlarged is not None:
            raise RefusedError(cell.enlarged, reasons.RESOLUTIONS, params=traced.params, macs=traced.macs)
    return Report(title, sizes, traced.graph, cells, traced.params, traced.macs, _skipped(traced, left_out), projection)


def checked_sizes(input_size: Sequence[int] | Sequence[Sequence[int]] | None) -> tuple[tuple[int, ...], ...]:
    """Sizes of all inputs, from one size or several.

    Raises:
        InvalidValueError: none, or one that is not valid.
    """
    if input_size is None:
        raise InvalidValueError("input_size is missing: the size of the input, such as (1, 3, 224, 224)")
    if not isinstance(input_size, Iterable) or isinstance(input_size, str):
        raise InvalidValueError(f"input_size must be a size such as (1, 3, 224, 224), or several, got {input_size!r}")
    sizes: tuple[Any, ...] = tuple(input_size)
    several = sizes and isinstance(sizes[0], Sequence) and not isinstance(sizes[0], str)
    return tuple(checked_size(size) for size in (sizes if several else (sizes,)))


def _skipped(traced: Trace, left_out: Sequence[str]) -> tuple[Skipped, ...]:
    gates = [Skipped(module, "gate: scales a tensor by another") for module in traced.gates]
    layers = [Skipped(node.name, "layer that leads to a gate only") for node in traced.dropped]
    outputs = [Skipped(module, "output that merges across resolutions: its cells are left out") for module in left_out]
    return (*gates, *layers, *outputs)

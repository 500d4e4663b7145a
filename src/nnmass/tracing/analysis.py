"""NN-Mass of any model."""

from collections.abc import Sequence

from torch import nn

from nnmass.architectures import Specification
from nnmass.errors import InvalidValueError, RefusedError
from nnmass.topology import Projection, search_cells
from nnmass.tracing import reasons
from nnmass.tracing.input_types import InputType, checked_sizes
from nnmass.tracing.report import Report, Skipped
from nnmass.tracing.trace import UNCOUNTED, Trace, trace, uncounted_text


def analyze(
    model: nn.Module | Specification,
    input_size: Sequence[int] | Sequence[Sequence[int]] | None = None,
    *,
    dtypes: Sequence[InputType | str] | None = None,
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
        dtypes: types of the inputs, one each: ``[torch.long]`` for token ids, ``torch.bool`` for masks; by default, or
            where one is None, that of the model's parameters, or ``torch.long`` where an embedding reads the input.
        projection: whether shortcuts that are projections count as skips (the published ResNets) or not.
        name: of the model in the report; its class if not given.

    Returns:
        The report; its ``outcome`` is ``"uninformative"`` where no cell holds a skip.

    Raises:
        InvalidValueError: a size, a type or ``projection`` is not valid.
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
    traced = trace(model, *sizes, dtypes=dtypes)
    cells, left_out = search_cells(traced.graph, projection=projection)
    for cell in cells:
        if cell.enlarged is not None:
            why = uncounted_text(traced.uncounted)
            raise RefusedError(
                cell.enlarged, reasons.RESOLUTIONS, params=traced.params, macs=traced.macs, uncounted=why
            )
    types = tuple(str(dtype).removeprefix("torch.") for dtype in traced.input_types)
    skipped = _skipped(traced, left_out)
    return Report(title, sizes, traced.graph, cells, traced.params, traced.macs, skipped, projection, types)


def _skipped(traced: Trace, left_out: Sequence[str]) -> tuple[Skipped, ...]:
    gates = [Skipped(module, "gate: scales a tensor by another") for module in traced.gates]
    layers = [Skipped(node.name, "layer that leads to a gate only") for node in traced.dropped]
    outputs = [Skipped(module, "output that merges across resolutions: its cells are left out") for module in left_out]
    uncounted = [Skipped(module, UNCOUNTED.format(operator)) for module, operator in traced.uncounted.items()]
    return (*gates, *layers, *outputs, *uncounted)

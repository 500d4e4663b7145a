"""NN-Mass and costs of many models."""

import warnings
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal, TypeAlias

from nnmass.errors import NNMassError, RefusedError, first_line
from nnmass.plain_text import plain
from nnmass.processes import Died, cores, in_processes, number_of_workers
from nnmass.representation import brief
from nnmass.topology import Projection
from nnmass.tracing.from_source import analyze_source
from nnmass.tracing.input_types import InputType
from nnmass.tracing.published import PublishedAccuracies
from nnmass.tracing.report import Report

Outcome: TypeAlias = Literal["answered", "uninformative", "refused", "failed"]
Quantity: TypeAlias = Literal["nn_mass", "density", "params", "macs", "top1"]

CAVEAT = "NN-Mass was not shown to predict published ImageNet accuracy better than MACs do."

_WORTH_A_PROCESS = 16  # models: starting one takes as long as measuring them
_LONGEST = 500  # characters of a reason
_LARGEST_FIRST = {"nn_mass", "density", "top1"}


@dataclass(frozen=True)
class RankedModel:
    """What is known of one model; what is not is None.

    Attributes:
        model: its source.
        outcome: ``"uninformative"`` without a cell; ``"refused"`` where NN-Mass is not defined; ``"failed"``.
        image_size: height of the input, of images.
        nn_mass: NN-Mass, chains of layers between concatenations taken as one node.
        nn_mass_every_layer: the other reading, in which every layer is a node.
        density: share of the possible skips of all cells.
        average_degree: channels read per channel of the cells' nodes.
        cells: number of cells.
        macs_outside: share of the MACs outside every cell.
        params: parameters.
        macs: multiply-accumulates; None also where the forward pass could not be followed to its end.
        reason: why it was refused, or failed.
        top1: published top-1 accuracy on ImageNet, in percent.
        weights: whose accuracy that is.
        top1_image_size: height of the images on which it was measured.
    """

    __repr__ = brief

    model: str
    outcome: Outcome
    image_size: int | None = None
    nn_mass: float | None = None
    nn_mass_every_layer: float | None = None
    density: float | None = None
    average_degree: float | None = None
    cells: int | None = None
    macs_outside: float | None = None
    params: int | None = None
    macs: int | None = None
    reason: str = ""
    top1: float | None = None
    weights: str = ""
    top1_image_size: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, FLOPs included."""
        return asdict(self) | {"flops": None if self.macs is None else 2 * self.macs}


def measure(
    source: str,
    *,
    image_size: int | None = None,
    projection: Projection | None = None,
    input_sizes: Sequence[Sequence[int]] = (),
    dtypes: Sequence[InputType | str] | None = None,
) -> RankedModel:
    """Measure one model; whatever goes wrong with it is in the result.

    Args:
        source: see `analyze_source`.
        image_size: height and width of the images; by default the model's own.
        projection: whether shortcuts that are projections count as skips.
        input_sizes: of the inputs, likewise; see `analyze_source`.
        dtypes: of the inputs, likewise.

    Examples:
        >>> measure("nothing").outcome
        'failed'
    """
    try:
        options: dict[str, Any] = {"input_sizes": input_sizes, "dtypes": dtypes, "image_size": image_size}
        return _answered(analyze_source(source, projection=projection, **options))
    except RefusedError as error:
        reason = f"{error.module}: {error.reason}" + (f"; MACs unknown: {error.uncounted}" if error.uncounted else "")
        reason = plain(reason, limit=_LONGEST)
        return RankedModel(source, "refused", image_size, params=error.params, macs=error.macs, reason=reason)
    except NNMassError as error:
        return RankedModel(source, "failed", image_size, reason=plain(first_line(error), limit=_LONGEST))
    except (Exception, SystemExit) as error:  # somebody else's model; the other models are to be measured all the same
        reason = plain(f"{type(error).__name__}: {first_line(error)}", limit=_LONGEST)
        return RankedModel(source, "failed", image_size, reason=reason)


def _answered(report: Report) -> RankedModel:
    size = report.input_sizes[0]
    return RankedModel(
        report.name,
        report.outcome,
        image_size=size[2] if len(size) == 4 else None,
        nn_mass=report.nn_mass,
        nn_mass_every_layer=report.nn_mass_every_layer,
        density=report.density,
        average_degree=report.average_degree,
        cells=len(report.cells),
        macs_outside=report.outside.macs,
        params=report.params,
        macs=report.macs,
    )


def measure_all(
    sources: Sequence[str],
    *,
    image_size: int | None = None,
    projection: Projection | None = None,
    input_sizes: Sequence[Sequence[int]] = (),
    dtypes: Sequence[InputType | str] | None = None,
    workers: int | None = None,
) -> Generator[RankedModel]:
    """Measure models side by side; results come as they are finished, failures among them.

    Args:
        sources: see `analyze_source`.
        image_size: height and width of the images; by default each model's own.
        projection: whether shortcuts that are projections count as skips.
        input_sizes: of the inputs, likewise.
        dtypes: of the inputs, likewise.
        workers: processes, or 1 to measure in this one; by default one per core, for few models fewer.

    Raises:
        InvalidValueError: fewer than one worker, or far more than cores.
    """
    if workers is None:
        workers = min(cores(), 1 + len(sources) // _WORTH_A_PROCESS)
    workers = number_of_workers(workers)
    options: dict[str, Any] = {"input_sizes": input_sizes, "dtypes": dtypes, "image_size": image_size}
    return _measured(sources, partial(measure, projection=projection, **options), workers)


def _measured(sources: Sequence[str], work: "partial[RankedModel]", workers: int) -> Generator[RankedModel]:
    if workers == 1:
        yield from map(work, sources)
        return
    for source, result in in_processes(partial(_quietly, work), sources, workers):
        yield RankedModel(source, "failed", reason=result.reason) if isinstance(result, Died) else result


def _quietly(work: "partial[RankedModel]", source: str) -> RankedModel:
    warnings.simplefilter("ignore")  # of other people's models: there may be hundreds
    return work(source)


def with_published(rows: Iterable[RankedModel], published: PublishedAccuracies) -> list[RankedModel]:
    """Add the published accuracies of those models that have one."""
    found = [(row, published.of(row.model, image_size=row.image_size)) for row in rows]
    return [
        row if known is None else replace(row, top1=known.top1, weights=known.weights, top1_image_size=known.image_size)
        for row, known in found
    ]


def within(rows: Iterable[RankedModel], *, max_macs: int | None, max_params: int | None) -> list[RankedModel]:
    """Keep what is known to be within budgets."""
    return [
        row
        for row in rows
        if (max_macs is None or (row.macs is not None and row.macs <= max_macs))
        and (max_params is None or (row.params is not None and row.params <= max_params))
    ]


def of_unknown_cost(rows: Iterable[RankedModel], *, max_macs: int | None, max_params: int | None) -> list[RankedModel]:
    """Models that no budget can be compared with, since what it limits is not known of them."""
    return [
        row
        for row in rows
        if (max_macs is not None and row.macs is None) or (max_params is not None and row.params is None)
    ]


def ranked(rows: Iterable[RankedModel], by: Quantity) -> list[RankedModel]:
    """Sort: the largest mass, density or accuracy first, or the fewest parameters or MACs; the unknown last.

    A mass of 0 for want of cells says nothing, and is unknown here.
    """

    def place(row: RankedModel) -> tuple[bool, float, str]:
        value = getattr(row, by)
        if by == "nn_mass" and row.outcome == "uninformative":
            value = None
        return value is None, 0.0 if value is None else -value if by in _LARGEST_FIRST else value, row.model

    return sorted(rows, key=place)

"""Options that several commands share, and the reading of numbers as people write them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nnmass.cli.input_sizes import input_size_and_type
from nnmass.cli.ranges import count, real, whole
from nnmass.files import read_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from nnmass.architectures import Specification
    from nnmass.data import Data, Dataset, ImageStream
    from nnmass.latency import Block, LatencyTable
    from nnmass.training import TrainingConfig


LARGEST_SEED = 2**63 - 1
_SEGMENTED = ("linear", "circle")
_MADE = ("digits", *_SEGMENTED)
MODEL_HELP = (
    "timm:NAME or torchvision:NAME; FILE.py:NAME, a module or a function without arguments (runs the code of that "
    "file); FILE.pt2, a torch.export program; FILE.onnx; or FILE.json or example:NAME, a specification."
)
MaxParamsOption = Annotated[
    int | None, typer.Option("--max-params", parser=count, metavar="COUNT", help="Budget: 250k, 1.5M, …")
]
MaxMacsOption = Annotated[
    int | None, typer.Option("--max-macs", parser=count, metavar="COUNT", help="Budget: 80M, 1.2G, …")
]
MaxLatencyOption = Annotated[
    float | None,
    real("--max-latency-ms", open_low=True, high=10**9, help="Budget of milliseconds; needs --latency."),
]
LatencyOption = Annotated[
    Path | None,
    typer.Option("--latency", metavar="TABLE", help="Latency table of nnmass bench; what it lacks is measured."),
]
EngineOption = Annotated[
    Literal["eager", "compile", "onnxruntime"] | None,
    typer.Option("--engine", help="Which latencies of the table; needed where it holds several."),
]
OtherDeviceOption = Annotated[
    bool, typer.Option("--other-device", help="Use the latency table of another device, as far as it reaches.")
]
TimeLimitOption = Annotated[
    float | None,
    real("--time-limit", open_low=True, high=10**6, help="Seconds; then stop with the best so far and its bound."),
]
InputSizeOption = Annotated[
    list[Any] | None,
    typer.Option(
        "--input-size",
        parser=input_size_and_type,
        metavar="SIZE[:TYPE]",
        help="1,3,224,224: samples first; once per input of the model. 1,128:int for token ids, :bool for masks.",
    ),
]
ImageSizeOption = Annotated[
    int | None, whole("--image-size", high=65_536, help="Height and width of the images; default: the model's own.")
]
ProjectionOption = Annotated[
    Literal["count", "zero"] | None,
    typer.Option(
        "--projection",
        help="Whether shortcuts that are projections count as skips; default: count, or as a specification says.",
    ),
]
SpecArgument = Annotated[
    Path,
    typer.Argument(
        help="JSON file of a specification, or example:NAME such as example:reference.", metavar="SPEC.json"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
_DATA = typer.Option(
    "--data",
    help="digits, linear, circle, mnist, fashion-mnist, cifar10, cifar100; or a folder of images or Parquet files; or "
    "an .npz file with x and y.",
)
DataOption = Annotated[str, _DATA]
OptionalDataOption = Annotated[str | None, _DATA]
RootOption = Annotated[
    Path | None, typer.Option("--data-root", help="Folder of the named data sets; default: $NNMASS_DATA.")
]
SegmentsOption = Annotated[int, whole("--segments", low=2, high=10_000, help="Segments of linear and circle.")]
SeedOption = Annotated[int, whole("--seed", low=0, high=LARGEST_SEED, help="Draws links, weights and batches.")]
SeedsOption = Annotated[int, whole("--seeds", high=10_000, help="Networks of each specification, seeds 0, 1, …")]
WorkersOption = Annotated[int | None, whole("--workers", high=1_024, help="Processes; default: one per core.")]
EpochsOption = Annotated[int | None, whole("--epochs", high=10**6, help="Passes over the training data.")]
BatchOption = Annotated[int | None, whole("--batch-size", high=2**20, help="Samples per step.")]
RateOption = Annotated[float | None, real("--learning-rate", open_low=True, high=10**3, help="At the start.")]
ToleranceOption = Annotated[
    float, real("--tolerance", high=1, open_high=True, help="Relative tolerance of the NN-Mass.")
]
OptimizerOption = Annotated[str | None, typer.Option("--optimizer", help="adam, sgd, or timm's: timm:lamb, …")]
ScheduleOption = Annotated[str | None, typer.Option("--schedule", help="constant or cosine.")]
RecipeOption = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="FILE.json",
        help="How to train, as JSON: warmup_epochs, label_smoothing, cutout, mixup, ema, precision, …; single options "
        "come before it.",
    ),
]
AugmentOption = Annotated[str | None, typer.Option("--augment", help="none or crop-flip.")]


def sizes_and_types(given: "list[Any] | None") -> dict[str, Any]:
    """Sizes and types of inputs, as functions that read models take them."""
    sizes, types = [size for size, _ in given or ()], [kind for _, kind in given or ()]
    return {"input_sizes": sizes, "dtypes": types if any(types) else None}


def require_size(sizes: "list[tuple[int, ...]]", shape: tuple[int, ...], data: str) -> None:
    """Refuse a size of inputs that is not that of the data.

    Raises:
        BadParameter: it is another.
    """
    if sizes and [size[1:] for size in sizes] != [shape]:
        has = ",".join(map(str, shape))
        raise typer.BadParameter(f"the inputs of {data} are {has}: leave it out", param_hint="--input-size")


def refuse(context: typer.Context, names: "Collection[str]", because: str) -> None:
    """Refuse options that stand on the command line, but that this call does not use.

    Args:
        context: of the command.
        names: parameters of the command's function.
        because: follows the option's name: "only works with --stream".

    Raises:
        BadParameter: one of them was given.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise UnusedOption(f"{parameter.opts[0]} {because}", context)


def refuse_of_data(context: typer.Context, data: str | None) -> None:
    """Refuse the options of other data than this, or of any where there is none.

    Raises:
        BadParameter: ``--segments`` without segments, or ``--data-root`` of data that is in no folder.
    """
    if data is None:
        refuse(context, {"segments", "data_root"}, "needs --data")
    if data not in _SEGMENTED:
        refuse(context, {"segments"}, f"is for linear and circle, not for {data}")
    if data in _MADE:
        refuse(context, {"data_root"}, f"is for data in files; {data} needs none")


class UnusedOption(typer.BadParameter):
    """An option was given that the call does not use."""

    def format_message(self) -> str:
        """Say it without the name of the error."""
        return self.message


def latency_table(path: Path | None, engine: str | None, *, other_device: bool) -> "LatencyTable | None":
    """Open a latency table; one of another device only on demand."""
    if path is None:
        return None
    from nnmass.errors import LatencyError
    from nnmass.latency import LatencyTable
    from nnmass.timing import conditions

    here = conditions().device
    held = [
        found
        for found in LatencyTable.held_by(path)
        if (engine is None or found.engine == engine) and (other_device or found.device == here)
    ]
    if not held and not other_device:
        others = "; ".join(map(str, LatencyTable.held_by(path))) or "nothing"
        raise LatencyError(f"{path}: holds no such latencies of this machine ({here}), but {others}; --other-device")
    if len(held) != 1:
        raise LatencyError(f"{path}: holds {len(held)} such sets of latencies; --engine chooses one")
    return LatencyTable(path, held[0])


def fill_missing(table: "LatencyTable | None", blocks: "Iterable[Block]") -> None:
    """Measure the blocks that a table of this machine lacks."""
    from nnmass.cli.interruption import keeps
    from nnmass.cli.output import note, progress_bar

    if table is None:
        return
    from nnmass.timing import conditions, fill_table

    wanted = list(blocks)
    if table.conditions.device != conditions().device or not (missing := table.missing(wanted)):
        return
    keeps(lambda: f"{table.path} keeps the blocks that are measured, and the same command goes on from there")
    note(f"{table.path}: {len(missing):,} blocks are not in it, and are measured now; that can take minutes")
    with progress_bar("latencies", unit="blocks") as progress:
        fill_table(table, wanted, progress=progress)


def read_data(
    name: str,
    root: Path | None,
    segments: int,
    spec: "Specification | None" = None,
    *,
    image_size: int | None = None,
) -> "Dataset":
    """Load the data of a command; a folder of images is resized to what the specification reads, or to a size."""
    from nnmass.cli.output import saying_what_is_left_out
    from nnmass.data import load_data

    size = getattr(spec, "image_size", image_size)
    with saying_what_is_left_out():
        return load_data(name, root=root, num_segments=segments, image_size=size)


def open_images(name: str, root: Path | None, image_size: int, workers: int) -> "ImageStream":
    """Open a folder of images as a stream; it may lie below that of the named data sets."""
    from nnmass.cli.output import saying_what_is_left_out
    from nnmass.data import open_stream

    below = Path(root or os.environ.get("NNMASS_DATA") or ".") / name
    with saying_what_is_left_out():
        return open_stream(below if below.is_dir() else name, image_size=image_size, workers=workers)


def training_config(
    spec: "Specification", data: "Data", *, recipe: Path | None = None, **given: Any
) -> "TrainingConfig":
    """Return the default configuration for this network and data, with a recipe's and what was given in its place."""
    from nnmass.training import TrainingConfig, default_config

    changes = {name: value for name, value in given.items() if value is not None}
    return TrainingConfig(**(default_config(spec, data).model_dump() | _recipe(recipe) | changes))


def _recipe(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = read_json(path, what="a recipe")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise typer.BadParameter(f"{path}: cannot be read as JSON ({reason})", param_hint="--recipe") from None
    if not isinstance(values, dict):
        raise typer.BadParameter(f"{path}: must hold an object, got {type(values).__name__}", param_hint="--recipe")
    return values

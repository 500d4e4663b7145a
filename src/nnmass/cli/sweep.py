"""``nnmass sweep``: many networks into one store."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.durations import note_long_training
from nnmass.cli.interruption import keeps
from nnmass.cli.output import print_json, progress_bar, say
from nnmass.errors import first_line


class SweepEngine(StrEnum):
    """Where trials run."""

    PROCESSES = "processes"
    RAY = "ray"


def sweep(
    context: typer.Context,
    base: Annotated[Path, typer.Option(help="JSON file of the specification that is varied.")],
    store: Annotated[Path, destinations.database(help="SQLite file of the runs; made, or added to.")],
    vary: Annotated[
        list[str] | None,
        typer.Option(help="KEY=VALUE,VALUE,… as often as there are keys; values are JSON: max_skips=[10,20],[20,40]"),
    ] = None,
    data: o.DataOption = "digits",
    seeds: o.SeedsOption = 5,
    epochs: o.EpochsOption = None,
    batch_size: o.BatchOption = None,
    optimizer: o.OptimizerOption = None,
    learning_rate: o.RateOption = None,
    schedule: o.ScheduleOption = None,
    augment: o.AugmentOption = None,
    recipe: o.RecipeOption = None,
    workers: o.WorkersOption = None,
    engine: Annotated[SweepEngine, typer.Option(help="Where trials run: processes of this machine, or Ray.")] = (
        SweepEngine.PROCESSES
    ),
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Of a Ray cluster; default: Ray is started on this machine.")
    ] = None,
    cpus_per_trial: Annotated[int | None, o.whole(high=1_024, help="Cores of each trial on Ray; default: 1.")] = None,
    gpus_per_trial: Annotated[
        float | None, o.real(high=1_024, help="GPUs of each trial on Ray, or a share of one.")
    ] = None,
    export: Annotated[
        Path | None,
        destinations.file(endings=(".csv", ".parquet"), help="Write all runs of the store to this .csv or .parquet."),
    ] = None,
    data_root: o.RootOption = None,
    segments: o.SegmentsOption = 20,
    as_json: o.JsonOption = False,
) -> None:
    """Train a grid of specifications with several seeds; what the store already has is not trained again.

    More seeds or networks are added to a store.  Runs of other --epochs are other runs, trained from the start, since
    a store keeps no weights.

    Example: nnmass sweep --base examples/reference.json --vary depth=16,20 --vary max_skips=5,20,80 --store s.sqlite
    """
    from nnmass.architectures import load_spec
    from nnmass.sweeps import RayOptions, RunStore, grid, run_sweep

    if engine is not SweepEngine.RAY:
        o.refuse(context, {"address", "cpus_per_trial", "gpus_per_trial"}, "only works with --engine ray")
    o.refuse_of_data(context, data)
    asked = {"address": address, "cpus_per_trial": cpus_per_trial, "gpus_per_trial": gpus_per_trial}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    on_ray = RayOptions(**given) if engine is SweepEngine.RAY else None
    reference = load_spec(base)
    specs = grid(reference, dict(_values(text) for text in vary or []))
    dataset = o.read_data(data, data_root, segments, reference)
    config = o.training_config(
        reference,
        dataset,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        augment=augment,
        recipe=recipe,
    )
    opened = RunStore(store)
    note_long_training(specs, dataset, config, seeds=seeds)
    keeps(lambda: f"{store} keeps the runs that are finished, and the same command goes on from there")
    with progress_bar(f"{len(specs)} networks × {seeds} seeds on {dataset.name}") as progress:
        runs = run_sweep(
            specs,
            dataset,
            opened,
            config,
            seeds=range(seeds),
            workers=workers,
            on_ray=on_ray,
            progress=progress,
        )
    if export is not None:
        opened.export(export)
    keys = {run.key for run in runs}
    rows = [row for row in opened.runs() if row.key in keys]
    diverged = sum(row.status == "diverged" for row in rows)
    if as_json:
        print_json({"store": str(store), "runs": len(rows), "diverged": diverged, "keys": sorted(keys)})
        return
    say(f"{store}: {len(rows)} runs of this sweep, {diverged} diverged")


def _values(text: str) -> tuple[str, list[Any]]:
    """Read ``key=1,2,3``.

    Examples:
        >>> _values("max_skips=[1,2],[3,4]")
        ('max_skips', [[1, 2], [3, 4]])
        >>> _values("activation=elu,relu")
        ('activation', ['elu', 'relu'])
    """
    key, equals, values = text.partition("=")
    if not equals or not values:
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE,VALUE,…", param_hint="--vary")
    try:
        return key, json.loads(f"[{values}]")
    except json.JSONDecodeError:
        return key, values.split(",")
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, or lists in lists in lists
        raise typer.BadParameter(f"{key}: cannot be read ({first_line(error)})", param_hint="--vary") from None

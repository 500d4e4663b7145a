"""``nnmass compress``: the main job."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.durations import note_long_training
from nnmass.cli.interruption import keeps
from nnmass.cli.output import note, print_json, print_table, progress_bar, say
from nnmass.cli.unused import Given, Unused, refuse_unused

if TYPE_CHECKING:
    from nnmass.architectures import Specification

_TRAINING = frozenset(
    {"seeds", "epochs", "batch_size", "optimizer", "learning_rate", "schedule", "augment", "recipe", "workers"}
)
_READING = frozenset({"data_root", "segments"})
UNUSED = (
    Unused(
        lambda given: given["data"] is None,
        frozenset({"verify", "calibrate"}) | _TRAINING | _READING,
        "needs --data",
    ),
    Unused(lambda given: given["latency"] is None, frozenset({"engine", "other_device"}), "needs --latency"),
)
"""Options of this command that some calls do not use, whatever the network."""
UNUSED_BY_NETWORK = (
    Unused(
        lambda given: not _trains(given),
        frozenset({"data"}) | _TRAINING | _READING,
        "needs --verify or --calibrate: without them nothing is trained",
    ),
    Unused(
        lambda given: not given["has_cells"],
        frozenset({"min_depth", "max_density", "cell_tolerance"}),
        "is of DenseMLPs and DenseCNNs; --stage-tolerance bounds a residual network",
    ),
    Unused(
        lambda given: given["has_cells"],
        frozenset({"stage_tolerance"}),
        "is of residual networks; --cell-tolerance bounds a network of cells",
    ),
    Unused(
        lambda given: not given["has_bottlenecks"],
        frozenset({"inner_tolerance"}),
        "is of ResNets with bottlenecks, which alone have a width per group",
    ),
)
"""The same, once it is known what network is compressed."""


def _trains(given: Given) -> bool:
    calibrates = given["calibrates_by_default"] if given["calibrate"] is None else given["calibrate"]
    return bool(given["verify"] or calibrates)


def _facts(spec: "Specification") -> dict[str, bool]:
    """What of a network decides which options it uses."""
    from nnmass.architectures import DenseMLP, LinkedSpecification
    from nnmass.designing import has_bottlenecks

    return {
        "has_cells": isinstance(spec, LinkedSpecification),
        "has_bottlenecks": has_bottlenecks(spec),
        "calibrates_by_default": isinstance(spec, DenseMLP),
    }


class Objective(StrEnum):
    """What is minimised."""

    PARAMS = "params"
    MACS = "macs"
    LATENCY_MS = "latency_ms"


def compress(
    context: typer.Context,
    big: Annotated[
        str | None, typer.Argument(metavar="MODEL", help=f"The network that is too big. {o.MODEL_HELP}")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="The same, as the JSON file of a specification.")] = None,
    data: o.OptionalDataOption = None,
    max_params: o.MaxParamsOption = None,
    max_macs: o.MaxMacsOption = None,
    max_latency_ms: o.MaxLatencyOption = None,
    keep_macs: Annotated[
        float | None,
        o.real("--keep-macs", "--keep", open_low=True, high=1, help="About this share of the reference's MACs."),
    ] = None,
    keep_params: Annotated[
        float | None, o.real(open_low=True, high=1, help="About this share of the reference's parameters.")
    ] = None,
    objective: Annotated[
        Objective | None,
        typer.Option(help="What to minimise; default: with a share to keep nothing, else what has a budget."),
    ] = None,
    between: Annotated[
        int, o.whole(low=0, high=100, help="Networks to list between the budget, or the reference, and the cheapest.")
    ] = 4,
    tolerance: o.ToleranceOption = 0.02,
    min_depth: Annotated[
        int | None, o.whole(high=10_000, help="Fewest layers of a cell; default: half the reference's.")
    ] = None,
    max_density: Annotated[float, o.real(open_low=True, high=1, help="Largest density of a cell.")] = 0.8,
    cell_tolerance: Annotated[
        float, o.real(high=1, open_high=True, help="How far the mass of a single cell may move, relatively.")
    ] = 0.1,
    stage_tolerance: Annotated[
        float,
        o.real(
            high=1, open_high=True, help="The same for a stage of a residual network, whose mass moves by whole blocks."
        ),
    ] = 0.3,
    inner_tolerance: Annotated[
        float | None,
        o.real(
            high=1,
            open_high=True,
            help="How far the width per group of bottlenecks may fall; default: 0.25, where a budget needs it 0.5.",
        ),
    ] = None,
    latency: o.LatencyOption = None,
    engine: o.EngineOption = None,
    other_device: o.OtherDeviceOption = False,
    input_size: o.InputSizeOption = None,
    image_size: o.ImageSizeOption = None,
    time_limit: o.TimeLimitOption = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Train reference and compressed alike and compare; a verdict needs 3 seeds."),
    ] = False,
    calibrate: Annotated[
        bool | None,
        typer.Option(help="Train small networks to predict from; default: yes for a DenseMLP with data, else no."),
    ] = None,
    out: Annotated[Path, destinations.folder(help="Folder of specification, weights, report and JSON.")] = Path(
        "compressed"
    ),
    seeds: o.SeedsOption = 5,
    epochs: o.EpochsOption = None,
    batch_size: o.BatchOption = None,
    optimizer: o.OptimizerOption = None,
    learning_rate: o.RateOption = None,
    schedule: o.ScheduleOption = None,
    augment: o.AugmentOption = None,
    recipe: o.RecipeOption = None,
    workers: o.WorkersOption = None,
    data_root: o.RootOption = None,
    segments: o.SegmentsOption = 20,
    as_json: o.JsonOption = False,
) -> None:
    """Find a cheaper specification of the same NN-Mass, predict its accuracy and, with --verify, measure it.

    With --keep-macs it is the one that comes nearest to that share of the reference's MACs; with a largest number, or
    with --objective, the cheapest.

    With --data small networks are trained to predict from; everything that is trained lands in OUT/runs.sqlite, so that
    a call that was interrupted goes on where it was.

    Example: nnmass compress timm:mobilenetv2_100 --keep-macs 0.66 --out small
    """
    from nnmass.designing import Domain, blocks_around
    from nnmass.designing import compress as find_cheaper
    from nnmass.networks import build
    from nnmass.provenance import provenance
    from nnmass.reporting import compression_rows, cost_notes, front_between, summary, write_compression
    from nnmass.sweeps import RunStore
    from nnmass.tracing import specification_of
    from nnmass.verification import FEWEST_SEEDS, CompressionOutcome, measure_compression, train_compressed

    refuse_unused(context, UNUSED)
    o.refuse_of_data(context, data)
    if (big is None) == (reference is None):
        raise typer.BadParameter("give MODEL or --reference, one of them", param_hint="MODEL")
    for name, most, keep in (("macs", max_macs, keep_macs), ("params", max_params, keep_params)):
        if most is not None and keep is not None:
            raise typer.BadParameter(f"give --keep-{name} or --max-{name}, not both", param_hint=f"--keep-{name}")
    if any(kind for _, kind in input_size or ()):
        raise typer.BadParameter("networks of these families read numbers: give no type", param_hint="--input-size")
    source = big or str(reference)
    spec = specification_of(source, input_sizes=[size for size, _ in input_size or ()], image_size=image_size)
    refuse_unused(context, UNUSED_BY_NETWORK, **_facts(spec))
    domain = Domain(min_depth, max_density, cell_tolerance, stage_tolerance, inner_tolerance)
    table = o.latency_table(latency, engine, other_device=other_device)
    if table is not None:
        o.fill_missing(table, blocks_around(spec, domain))
    compression = find_cheaper(
        spec,
        max_params=max_params,
        max_macs=max_macs,
        max_latency_ms=max_latency_ms,
        keep_params=keep_params,
        keep_macs=keep_macs,
        objective=objective.value if objective else None,
        tolerance=tolerance,
        domain=domain,
        latency=table,
        between=between,
        time_limit=time_limit,
    )
    outcome = CompressionOutcome(compression)
    model, weights = build(compression.spec, seed=0), "initial, seed 0"
    if data is not None:
        dataset = o.read_data(data, data_root, segments, spec)
        config = o.training_config(
            spec,
            dataset,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            schedule=schedule,
            augment=augment,
            recipe=recipe,
        )
        store = RunStore(out / "runs.sqlite")
        keeps(lambda: f"{store.path} keeps the runs that are finished, and the same command goes on from there")
        if verify:
            if seeds < FEWEST_SEEDS:
                note(f"--seeds {seeds} gives means only: an interval and a verdict need {FEWEST_SEEDS} seeds")
            note_long_training([spec, compression.spec], dataset, config, seeds=seeds)
            model = train_compressed(compression, dataset, store, config, progress_bar, checkpoints=out)
            weights = f"trained on {dataset.name}, seed 0"
        outcome = measure_compression(
            compression,
            dataset,
            store,
            config,
            progress_bar,
            calibrate=calibrate,
            verify=verify,
            seeds=seeds,
            workers=workers,
        )
    values = write_compression(outcome, model, out, {"weights": weights, "provenance": provenance(seed=0)})
    if as_json:
        print_json(values)
        return
    print_table(f"{source} compressed", *compression_rows(outcome))
    say(summary(outcome))
    for sentence in cost_notes(outcome):
        say(sentence)
    if compression.front:
        print_table("Of the same NN-Mass, in between", *front_between(outcome), wrapped=["network"])
    say(f"Written to {out}: compressed.json, weights.safetensors ({weights}), report.html, result.json")

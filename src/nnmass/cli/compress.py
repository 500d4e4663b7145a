"""``nnmass compress``: the main job."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nnmass.cli import options as o
from nnmass.cli.output import print_json, print_table, progress_bar, say


class Objective(StrEnum):
    """What is minimised."""

    PARAMS = "params"
    MACS = "macs"
    LATENCY_MS = "latency_ms"


def compress(
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
        o.real("--keep-macs", "--keep", open_low=True, high=1, help="Budget: this share of the reference's MACs."),
    ] = None,
    keep_params: Annotated[
        float | None, o.real(open_low=True, high=1, help="Budget: this share of the reference's parameters.")
    ] = None,
    objective: Annotated[Objective | None, typer.Option(help="What to minimise; default: what has a budget.")] = None,
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
    latency: o.LatencyOption = None,
    engine: o.EngineOption = None,
    other_device: o.OtherDeviceOption = False,
    image_size: o.ImageSizeOption = None,
    time_limit: o.TimeLimitOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="Train reference and compressed alike and compare.")] = False,
    calibrate: Annotated[
        bool | None,
        typer.Option(help="Train small networks to predict from; default: yes for a DenseMLP with data, else no."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of specification, weights, report and JSON.")] = Path("compressed"),
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
    """Find the cheapest specification of the same NN-Mass, predict its accuracy and, with --verify, measure it.

    With --data small networks are trained to predict from; everything that is trained lands in OUT/runs.sqlite, so that
    a call that was interrupted goes on where it was.

    Example: nnmass compress timm:mobilenetv2_100 --keep-macs 0.66 --out small
    """
    from nnmass.designing import Domain, space_around
    from nnmass.designing import compress as find_cheapest
    from nnmass.experiments import CompressionOutcome, measure_compression, train_compressed
    from nnmass.latency import blocks_of
    from nnmass.networks import build
    from nnmass.provenance import provenance
    from nnmass.reporting import compression_rows, summary, write_compression
    from nnmass.sweeps import RunStore
    from nnmass.tracing import specification_of

    if data is None and (verify or calibrate):
        raise typer.BadParameter("--verify and --calibrate need --data", param_hint="--data")
    if verify and seeds < 2:
        raise typer.BadParameter("--verify needs at least 2 seeds for an interval", param_hint="--seeds")
    if (big is None) == (reference is None):
        raise typer.BadParameter("name the network that is too big, once", param_hint="MODEL")
    source = big or str(reference)
    spec = specification_of(source, image_size=image_size)
    domain = Domain(min_depth, max_density, cell_tolerance, stage_tolerance)
    table = o.latency_table(latency, engine, other_device=other_device)
    if table is not None:
        o.fill_missing(table, (*blocks_of(spec), *space_around(spec, domain).blocks()))
    compression = find_cheapest(
        spec,
        max_params=_budget(spec.params, max_params, keep_params, "params"),
        max_macs=_budget(spec.macs, max_macs, keep_macs, "macs"),
        max_latency_ms=max_latency_ms,
        objective=objective.value if objective else None,
        tolerance=tolerance,
        domain=domain,
        latency=table,
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
        if verify:
            checkpoint = out / "checkpoint.safetensors"
            model = train_compressed(compression, dataset, store, config, progress_bar, checkpoint=checkpoint)
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
    if outcome.not_predicted and data is not None:
        say(f"No prediction: {outcome.not_predicted}")
    say(f"Written to {out}: compressed.json, weights.safetensors ({weights}), report.html, result.json")


def _budget(cost: int, most: int | None, keep: float | None, name: str) -> int | None:
    if keep is None:
        return most
    if most is not None:
        raise typer.BadParameter(f"give --keep-{name} or --max-{name}, not both", param_hint=f"--keep-{name}")
    return int(keep * cost)

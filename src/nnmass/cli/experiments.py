"""What ``nnmass reproduce`` does for each experiment: run it, draw it, print it, and say what it found."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nnmass.cli import options as o
from nnmass.cli.image_experiments import show_convergence
from nnmass.cli.output import print_table, progress_bar, say
from nnmass.cli.request import Request

if TYPE_CHECKING:
    from nnmass.data import Dataset
    from nnmass.experiments import IsometryExperiment
    from nnmass.sweeps import RunStore
    from nnmass.training import TrainingConfig


@dataclass(frozen=True)
class Bench:
    """What an experiment that trains works with."""

    data: "Dataset"
    store: "RunStore"
    config: "TrainingConfig"
    request: Request


Experiment: TypeAlias = Callable[[Request], dict[str, Any]]
"""Writes its pictures to the request's folder, prints tables unless asked to be quiet, and returns its summary."""


def _trained(measure: Callable[[Bench], dict[str, Any]]) -> Experiment:
    """Give an experiment data, configuration and a store, whose runs are exported when it is done."""

    def run(request: Request) -> dict[str, Any]:
        from nnmass.experiments import mlp_references
        from nnmass.sweeps import RunStore

        data = o.read_data(request.data, request.data_root, request.segments)
        config = o.training_config(mlp_references(data)[0], data, epochs=request.epochs)
        bench = Bench(data, RunStore(request.folder / "runs.sqlite"), config, request)
        outcome = measure(bench)
        bench.store.export(request.folder / "runs.csv")
        training = config.model_dump(mode="json")
        return {"data": f"{data.name} ({data.source})", "training": training, **outcome}

    return run


@_trained
def mlp_accuracy(bench: Bench) -> dict[str, Any]:
    """Accuracy against mass, parameters and MACs."""
    from nnmass import experiments, reporting

    data, request, seeds = bench.data, bench.request, bench.request.seeds or 5
    with progress_bar(f"mlp-accuracy on {data.name}") as progress:
        outcome = experiments.mlp_accuracy(
            data, bench.store, config=bench.config, seeds=seeds, workers=request.workers, progress=progress
        )
    title = f"{data.name}: DenseMLPs of width 8, {len(outcome.comparison.networks)} networks × {seeds} seeds"
    reporting.save(reporting.accuracy_figure(outcome.comparison, title=title), request.folder / "accuracy.png")
    if not request.quiet:
        print_table(title, *reporting.comparison_rows(outcome.comparison))
        for line in reporting.comparison_notes(outcome.comparison):
            say(line)
    return {"runs": outcome.runs, "diverged": outcome.diverged, **outcome.comparison.to_dict()}


@_trained
def mlp_compression(bench: Bench) -> dict[str, Any]:
    """Compressed networks against their references."""
    from nnmass import experiments, reporting

    data, request, seeds = bench.data, bench.request, bench.request.seeds or 10
    outcomes = experiments.mlp_compression(
        data, bench.store, progress_bar, config=bench.config, seeds=seeds, workers=request.workers
    )
    title = f"{data.name}: depth 32 compressed at equal NN-Mass"
    reporting.save(reporting.difference_figure(outcomes, title=title), request.folder / "difference.png")
    for outcome in outcomes if not request.quiet else ():
        mass = outcome.compression.reference.nn_mass
        print_table(f"NN-Mass {mass:.1f}", *reporting.compression_rows(outcome))
        say(reporting.summary(outcome))
        say("")
    return {"compressions": [outcome.to_dict() for outcome in outcomes]}


@_trained
def convergence(bench: Bench) -> dict[str, Any]:
    """Training losses at equal mass."""
    from nnmass import experiments

    data, request, seeds = bench.data, bench.request, bench.request.seeds or 5
    with progress_bar(f"convergence on {data.name}") as progress:
        outcome = experiments.convergence(
            data, bench.store, config=bench.config, seeds=seeds, workers=request.workers, progress=progress
        )
    title = f"{data.name}: training loss of DenseMLPs of width 8, {len(outcome.curves)} networks × {seeds} seeds"
    show_convergence(outcome, title, request)
    for sentence in outcome.verdict() if not request.quiet else ():
        say(sentence)
    return outcome.to_dict()


def imagenet_published(request: Request) -> dict[str, Any]:
    """Published ImageNet accuracies against mass, parameters and MACs."""
    from nnmass import experiments, reporting

    root = request.data_root or Path(os.environ.get("NNMASS_DATA") or ".")
    with progress_bar("imagenet-published", unit="architectures") as progress:
        outcome = experiments.imagenet_published(
            root, request.folder, analyser=experiments.analyse, workers=request.workers, progress=progress
        )
    title = f"Published ImageNet top-1 of {outcome.pooled.n} weights in {outcome.pooled.groups} groups trained alike"
    reporting.save(reporting.imagenet_figure(outcome, title=title), request.folder / "accuracy.png")
    said = experiments.verdict(outcome)
    if not request.quiet:
        print_table(title, *reporting.imagenet_group_rows(outcome))
        print_table("All groups", *reporting.imagenet_pooled_rows(outcome))
        print_table("Equal NN-Mass, very different cost", *reporting.imagenet_pair_rows(outcome))
        print_table("Left out", *reporting.imagenet_left_out_rows(outcome))
        for sentence in said:
            say(sentence)
    return {"verdict": said, **outcome.to_dict()}


def isometry_mlp(request: Request) -> dict[str, Any]:
    """Mean singular values of DenseMLPs against mass."""
    from nnmass import experiments

    measure = partial(experiments.isometry_mlp, under=experiments.MLP_CONDITIONS[:1] if request.smoke else None)
    return _isometry(request, "DenseMLPs of width 8", measure, initialisations=16)


def isometry_cnn(request: Request) -> dict[str, Any]:
    """Mean singular values of DenseCNNs against mass."""
    from nnmass import experiments

    under, masses = (experiments.CNN_INITS[:1], experiments.CNN_MASSES[:2]) if request.smoke else (None, None)
    measure = partial(experiments.isometry_cnn, under=under, masses=masses)
    return _isometry(request, "DenseCNNs of widths 16, 32, 64", measure, initialisations=4)


def _isometry(
    request: Request, networks: str, measure: "Callable[..., IsometryExperiment]", *, initialisations: int
) -> dict[str, Any]:
    from nnmass import reporting

    data = o.read_data(request.data, request.data_root, request.segments)
    count = request.seeds or initialisations
    with progress_bar(f"isometry on {data.name}", unit="networks") as progress:
        outcome = measure(data, request.folder / "rows.json", initialisations=count, progress=progress)
    title = f"{data.name}: {networks}, {outcome.inputs} inputs × {count} initialisations"
    reporting.save(reporting.isometry_figure(outcome, title=title), request.folder / "isometry.png")
    if not request.quiet:
        print_table(title, *reporting.isometry_fit_rows(outcome))
        print_table("Mean singular values", *reporting.isometry_gap_rows(outcome))
    return {"data": f"{data.name} ({data.source})", **outcome.to_dict()}

"""``nnmass reproduce``: the paper's experiments."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnmass.cli import options as o
from nnmass.cli.output import console, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from nnmass.data import Dataset
    from nnmass.sweeps import RunStore
    from nnmass.training import TrainingConfig


class Experiment(StrEnum):
    """Names of the experiments."""

    MLP_ACCURACY = "mlp-accuracy"
    MLP_COMPRESSION = "mlp-compression"


def reproduce(
    experiment: Annotated[Experiment, typer.Argument(help="Which experiment.")],
    data: o.DataOption = "digits",
    out: Annotated[Path | None, typer.Option(help="Folder of the outcome; default: results/EXPERIMENT-DATA.")] = None,
    seeds: Annotated[int | None, typer.Option(min=2, help="Per network; default: 5, for mlp-compression 10.")] = None,
    epochs: o.EpochsOption = None,
    data_root: o.RootOption = None,
    segments: o.SegmentsOption = 20,
    workers: o.WorkersOption = None,
    as_json: o.JsonOption = False,
) -> None:
    """Run an experiment of the paper and write its runs, figures and picture to a folder.

    mlp-accuracy: DenseMLPs of width 8 and depths 16 to 32, a dozen numbers of skips each: test accuracy against
    NN-Mass, parameters and MACs.

    mlp-compression: DenseMLPs of width 8 and depth 32 at three masses, compressed, predicted and measured.

    Example: nnmass reproduce mlp-accuracy --data digits --epochs 5
    """
    from nnmass import atomic
    from nnmass.experiments import mlp_references
    from nnmass.provenance import provenance
    from nnmass.sweeps import RunStore

    folder = out or Path("results") / f"{experiment}-{Path(data).name}"
    dataset = o.read_data(data, data_root, segments)
    config = o.training_config(mlp_references(dataset)[0], dataset, epochs=epochs)
    store = RunStore(folder / "runs.sqlite")
    run = _accuracy if experiment is Experiment.MLP_ACCURACY else _compression
    outcome = run(dataset, store, config, folder, seeds, workers, as_json)
    summary = {
        "provenance": provenance(seed=0),
        "data": f"{dataset.name} ({dataset.source})",
        "training": config.model_dump(mode="json"),
        **outcome,
    }
    atomic.write_json(folder / "summary.json", summary)
    store.export(folder / "runs.csv")
    if as_json:
        print_json(summary)
    else:
        console.print(f"written to {folder}")


def _accuracy(
    dataset: "Dataset",
    store: "RunStore",
    config: "TrainingConfig",
    folder: Path,
    seeds: int | None,
    workers: int | None,
    quiet: bool,
) -> dict[str, Any]:
    from nnmass.experiments import mlp_accuracy
    from nnmass.reporting import accuracy_figure, comparison_rows, save

    count = seeds or 5
    with progress_bar(f"mlp-accuracy on {dataset.name}") as progress:
        outcome = mlp_accuracy(dataset, store, config=config, seeds=count, workers=workers, progress=progress)
    title = f"{dataset.name}: DenseMLPs of width 8, {len(outcome.comparison.networks)} networks × {count} seeds"
    save(accuracy_figure(outcome.comparison, title=title), folder / "accuracy.png")
    if not quiet:
        print_table(title, *comparison_rows(outcome.comparison))
    return {"runs": outcome.runs, "diverged": outcome.diverged, **outcome.comparison.to_dict()}


def _compression(
    dataset: "Dataset",
    store: "RunStore",
    config: "TrainingConfig",
    folder: Path,
    seeds: int | None,
    workers: int | None,
    quiet: bool,
) -> dict[str, Any]:
    from nnmass.experiments import mlp_compression
    from nnmass.reporting import compression_rows, difference_figure, save, summary

    outcomes = mlp_compression(dataset, store, progress_bar, config=config, seeds=seeds or 10, workers=workers)
    save(
        difference_figure(outcomes, title=f"{dataset.name}: depth 32 compressed at equal NN-Mass"),
        folder / "difference.png",
    )
    for outcome in outcomes if not quiet else ():
        print_table(f"NN-Mass {outcome.compression.reference.nn_mass:.1f}", *compression_rows(outcome))
        console.print(summary(outcome), "")
    return {"compressions": [outcome.to_dict() for outcome in outcomes]}

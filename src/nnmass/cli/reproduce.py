"""``nnmass reproduce``: the paper's experiments."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nnmass.cli import options as o
from nnmass.cli.output import console, print_json, progress_bar


class Experiment(StrEnum):
    """Names of the experiments."""

    MLP_ACCURACY = "mlp-accuracy"


def reproduce(
    experiment: Annotated[Experiment, typer.Argument(help="Which experiment.")],
    data: o.DataOption = "digits",
    out: Annotated[Path | None, typer.Option(help="Folder of the outcome; default: results/EXPERIMENT-DATA.")] = None,
    seeds: o.SeedsOption = 5,
    epochs: o.EpochsOption = None,
    data_root: o.RootOption = None,
    segments: o.SegmentsOption = 20,
    workers: o.WorkersOption = None,
    as_json: o.JsonOption = False,
) -> None:
    """Run an experiment of the paper and write its runs, figures and picture to a folder.

    mlp-accuracy: DenseMLPs of width 8 and depths 16 to 32, a dozen numbers of skips each: test accuracy against
    NN-Mass, parameters and MACs.

    Example: nnmass reproduce mlp-accuracy --data digits --epochs 5
    """
    from nnmass import atomic
    from nnmass.experiments import mlp_accuracy, mlp_grid
    from nnmass.provenance import provenance
    from nnmass.reporting import accuracy_figure, comparison_rows, save
    from nnmass.sweeps import RunStore

    folder = out or Path("results") / f"{experiment}-{Path(data).name}"
    loaded = o.read_data(data, data_root, segments)
    config = o.training_config(mlp_grid(loaded)[0], loaded, epochs=epochs)
    store = RunStore(folder / "runs.sqlite")
    with progress_bar(f"{experiment} on {loaded.name}") as progress:
        outcome = mlp_accuracy(loaded, store, config=config, seeds=seeds, workers=workers, progress=progress)
    summary = {
        "provenance": provenance(seed=0),
        "data": f"{loaded.name} ({loaded.source})",
        "training": config.model_dump(mode="json"),
        "runs": outcome.runs,
        "diverged": outcome.diverged,
        **outcome.comparison.to_dict(),
    }
    atomic.write_json(folder / "summary.json", summary)
    store.export(folder / "runs.csv")
    title = f"{loaded.name}: DenseMLPs of width 8, {len(outcome.comparison.networks)} networks × {seeds} seeds"
    save(accuracy_figure(outcome.comparison, title=title), folder / "accuracy.png")
    if as_json:
        print_json(summary)
        return
    from nnmass.cli.output import print_table

    print_table(title, *comparison_rows(outcome.comparison))
    console.print(f"written to {folder}")

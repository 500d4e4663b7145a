"""``nnmass reproduce``: the paper's experiments."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nnmass.cli import experiments
from nnmass.cli import options as o
from nnmass.cli.output import console, print_json


class Experiment(StrEnum):
    """Names of the experiments."""

    MLP_ACCURACY = "mlp-accuracy"
    MLP_COMPRESSION = "mlp-compression"
    CONVERGENCE = "convergence"
    ISOMETRY_MLP = "isometry-mlp"
    ISOMETRY_CNN = "isometry-cnn"
    IMAGENET_PUBLISHED = "imagenet-published"


EXPERIMENTS: dict[Experiment, experiments.Experiment] = {
    Experiment.MLP_ACCURACY: experiments.mlp_accuracy,
    Experiment.MLP_COMPRESSION: experiments.mlp_compression,
    Experiment.CONVERGENCE: experiments.convergence,
    Experiment.ISOMETRY_MLP: experiments.isometry_mlp,
    Experiment.ISOMETRY_CNN: experiments.isometry_cnn,
    Experiment.IMAGENET_PUBLISHED: experiments.imagenet_published,
}
WITHOUT_DATA = {Experiment.IMAGENET_PUBLISHED}
_DATA = "digits"


def reproduce(
    experiment: Annotated[Experiment, typer.Argument(help="Which experiment.")],
    data: o.DataOption = _DATA,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the outcome; default: results/EXPERIMENT-DATA, or results/imagenet-published."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=2, help="Per network; default: 5; mlp-compression 10, isometry-mlp 16, isometry-cnn 4."),
    ] = None,
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

    convergence: DenseMLPs of width 8 and depths 16 to 32 at three masses: training loss, epoch by epoch.

    isometry-mlp: DenseMLPs of width 8 and depths 16 to 64, eight numbers of skips each, five initialisations: singular
    values of the layers' Jacobians, measured and expected, against NN-Mass and its rivals.

    isometry-cnn: the same of DenseCNNs of depths 13 to 31 at five masses.

    imagenet-published: published ImageNet weights in groups of equal training: how well NN-Mass, parameters and MACs
    rank their accuracies, from the table imagenet-published/timm-results-imagenet.csv of --data-root; trains nothing.

    Example: nnmass reproduce mlp-accuracy --data digits --epochs 5
    """
    from nnmass import atomic
    from nnmass.provenance import provenance

    if experiment in WITHOUT_DATA and (data, seeds, epochs) != (_DATA, None, None):
        raise typer.BadParameter(f"{experiment} trains nothing, and takes no --data, --seeds or --epochs")
    name = experiment if experiment in WITHOUT_DATA else f"{experiment}-{Path(data).name}"
    request = experiments.Request(
        folder=out or Path("results") / name,
        data=data,
        data_root=data_root,
        segments=segments,
        seeds=seeds,
        epochs=epochs,
        workers=workers,
        quiet=as_json,
    )
    outcome = EXPERIMENTS[experiment](request)
    summary = {"provenance": provenance(seed=0), **outcome}
    atomic.write_json(request.folder / "summary.json", summary)
    if as_json:
        print_json(summary)
    else:
        console.print(f"written to {request.folder}")

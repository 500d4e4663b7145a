"""``nnmass reproduce``: the paper's experiments."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nnmass.cli import destinations, experiments, image_experiments
from nnmass.cli import options as o
from nnmass.cli.interruption import keeps
from nnmass.cli.output import print_json, print_table, say
from nnmass.cli.request import Request


class Experiment(StrEnum):
    """Names of the experiments."""

    MLP_ACCURACY = "mlp-accuracy"
    MLP_COMPRESSION = "mlp-compression"
    CONVERGENCE = "convergence"
    ISOMETRY_MLP = "isometry-mlp"
    ISOMETRY_CNN = "isometry-cnn"
    IMAGENET_PUBLISHED = "imagenet-published"
    CNN_CIFAR10 = "cnn-cifar10"
    CNN_CIFAR100 = "cnn-cifar100"
    RESNET_CIFAR10 = "resnet-cifar10"
    WRN_CIFAR10 = "wrn-cifar10"
    MOBILENET_CIFAR10 = "mobilenet-cifar10"
    CONVERGENCE_CIFAR10 = "convergence-cifar10"
    RESNET_IMAGENET = "resnet-imagenet"
    COMPRESS_CIFAR10 = "compress-cifar10"
    MOBILENET_IMAGENET = "mobilenet-imagenet"
    LIST = "list"


class Scale(StrEnum):
    """How large an experiment is run."""

    SMOKE = "smoke"
    SMALL = "small"
    FULL = "full"


EXPERIMENTS: dict[Experiment, experiments.Experiment] = {
    Experiment.MLP_ACCURACY: experiments.mlp_accuracy,
    Experiment.MLP_COMPRESSION: experiments.mlp_compression,
    Experiment.CONVERGENCE: experiments.convergence,
    Experiment.ISOMETRY_MLP: experiments.isometry_mlp,
    Experiment.ISOMETRY_CNN: experiments.isometry_cnn,
    Experiment.IMAGENET_PUBLISHED: experiments.imagenet_published,
}
WITHOUT_DATA = {Experiment.IMAGENET_PUBLISHED}
_OF_ISOMETRY = {"epochs", "workers"}, "is for experiments that train; this one measures networks one by one"
UNUSED: dict[Experiment, tuple[set[str], str]] = {
    Experiment.ISOMETRY_MLP: _OF_ISOMETRY,
    Experiment.ISOMETRY_CNN: _OF_ISOMETRY,
    Experiment.IMAGENET_PUBLISHED: (
        {"scale", "data", "seeds", "epochs", "segments"},
        "is for experiments that train; this one reads a table",
    ),
    Experiment.LIST: (
        {"scale", "data", "out", "seeds", "epochs", "data_root", "segments", "workers"},
        "is for an experiment; list only lists them",
    ),
}
"""Options that an experiment does not use, and why."""
_DATA = "digits"
_SMOKE = {"seeds": 2, "epochs": 1}


def reproduce(
    context: typer.Context,
    experiment: Annotated[Experiment, typer.Argument(help="Which experiment; list shows those on images.")],
    scale: Annotated[
        Scale | None, typer.Option(help="smoke: a minute on two cores; small: an hour or two; full: as published.")
    ] = None,
    data: o.OptionalDataOption = None,
    out: Annotated[
        Path | None,
        destinations.folder(
            help="Folder of the outcome; default: results/EXPERIMENT-DATA, for images EXPERIMENT-SCALE."
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        o.whole(
            low=2, high=10_000, help="Per network; default: 5; mlp-compression 10, isometry-mlp 16, isometry-cnn 4."
        ),
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

    cnn-cifar10, cnn-cifar100, resnet-cifar10, wrn-cifar10, mobilenet-cifar10, resnet-imagenet: test accuracy of
    convolutional networks against NN-Mass, parameters and MACs; convergence-cifar10: their training loss at equal mass;
    compress-cifar10, mobilenet-imagenet: networks against cheaper ones of their mass. nnmass reproduce list says what
    each costs at each scale. Their default scale is small.

    Example: nnmass reproduce cnn-cifar10 --scale smoke
    """
    from nnmass import atomic
    from nnmass.provenance import provenance

    on_images = experiment not in EXPERIMENTS and experiment is not Experiment.LIST
    unused, because = UNUSED.get(experiment, ((), ""))
    o.refuse(context, unused, because)
    if experiment is Experiment.LIST:
        _list(as_json=as_json)
        return
    if not on_images and scale not in (None, Scale.SMOKE):
        o.refuse(context, {"scale"}, f"of {experiment} is smoke, or as published without this option")
    size = scale or Scale.SMALL
    used = data or (image_experiments.data_of(experiment.value, size.value) if on_images else _DATA)
    if experiment not in WITHOUT_DATA:
        o.refuse_of_data(context, used)
    name = experiment if experiment in WITHOUT_DATA else f"{experiment}-{Path(used).name}"
    smoke = _SMOKE if size is Scale.SMOKE and not on_images else {}
    request = Request(
        folder=out or Path("results") / (f"{experiment}-{size}" if on_images else name),
        data=used,
        data_root=data_root,
        segments=segments,
        seeds=seeds or smoke.get("seeds"),
        epochs=epochs or smoke.get("epochs"),
        workers=workers,
        quiet=as_json,
        smoke=size is Scale.SMOKE,
    )
    atomic.require_writable(request.folder)
    keeps(lambda: f"{request.folder} keeps what is finished, and the same command goes on from there")
    if on_images:
        outcome = image_experiments.run(experiment.value, request, size.value)
    else:
        outcome = EXPERIMENTS[experiment](request)
    summary = {"provenance": provenance(seed=0), **outcome}
    atomic.write_json(request.folder / "summary.json", summary)
    if as_json:
        print_json(summary)
    else:
        say(f"written to {request.folder}")


def _list(*, as_json: bool) -> None:
    columns, rows = image_experiments.listing()
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table("Experiments on images; the others are in nnmass reproduce --help", columns, rows)

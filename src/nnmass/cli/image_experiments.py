"""What ``nnmass reproduce`` does for the experiments on images, and the list of them."""

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnmass.cli import options as o
from nnmass.cli.durations import MACS_PER_SECOND, duration
from nnmass.cli.output import print_table, progress_bar, say
from nnmass.cli.request import Request

if TYPE_CHECKING:
    from nnmass.architectures import Specification
    from nnmass.data import Data
    from nnmass.experiments import (
        AccuracyStudy,
        CompressionStudy,
        Convergence,
        ConvergenceStudy,
        ImageAccuracy,
        Scale,
        Size,
    )
    from nnmass.sweeps import RunStore
    from nnmass.training import TrainingConfig

_JPEG = "The data is a JPEG re-encoding of {}: accuracies lie somewhat below those on the original."
_WHERE = {
    "cifar10": "put it below $NNMASS_DATA from https://www.cs.toronto.edu/~kriz/cifar.html or as Parquet",
    "cifar100": "put it below $NNMASS_DATA from https://www.cs.toronto.edu/~kriz/cifar.html or as Parquet",
    "tiny-imagenet-100": "put classes of http://cs231n.stanford.edu/tiny-imagenet-200.zip into a folder of that name "
    "below $NNMASS_DATA, a folder per class in train and val, or as Parquet",
    "imagenet": "put it below $NNMASS_DATA as train/CLASS/*.jpg and val/CLASS/*.jpg, WebDataset shards or Parquet",
}
"""Where data that an experiment does not find is to be had."""
_RATE_OF = {"MobileNetV2": 0.2}
"""The share of these rates at which networks of depthwise convolutions are taken to train: a guess too."""


@dataclass(frozen=True)
class Bench:
    """What an experiment on images works with."""

    scale: "Scale"
    specs: "list[Specification]"
    data: "Data"
    store: "RunStore"
    config: "TrainingConfig"
    seeds: int
    title: str
    request: Request


def run(name: str, request: Request, scale: "Scale") -> dict[str, Any]:
    """Run an experiment on images at a scale; writes its pictures and rows to the request's folder."""
    from nnmass.experiments import STUDIES, AccuracyStudy, ConvergenceStudy
    from nnmass.sweeps import RunStore

    study = STUDIES[name]
    size = study.sizes[scale]
    data = _data(size, request)
    config, seeds = size.config(epochs=request.epochs), request.seeds or size.seeds
    shown = f"{data.name} (JPEG re-encoding)" if data.jpeg_copy_of else data.name
    title = f"{name}, {scale}: {shown}, {config.epochs} epochs, {seeds} seeds"
    store = RunStore(request.folder / "runs.sqlite")
    bench = Bench(scale, study.networks(data, scale), data, store, config, seeds, title, request)
    if isinstance(study, AccuracyStudy):
        outcome = _accuracy(study, bench)
    elif isinstance(study, ConvergenceStudy):
        outcome = _convergence(study, bench)
    else:
        outcome = _compression(study, bench)
    store.export(request.folder / "runs.csv")
    said = [*outcome["verdict"], *([_JPEG.format(data.jpeg_copy_of)] if data.jpeg_copy_of else [])]
    for sentence in said if not request.quiet else ():
        say(sentence)
    training = config.model_dump(mode="json")
    return {"scale": scale, "data": f"{data.name} ({data.source})", "training": training, **outcome, "verdict": said}


def _data(size: "Size", request: Request) -> "Data":
    from nnmass.errors import DataError

    try:
        if size.streamed:
            decoding = max((os.cpu_count() or 1) // (request.workers or 1) - 1, 0)
            return o.open_images(request.data, request.data_root, size.image_size or 224, decoding)
        return size.data(o.read_data(request.data, request.data_root, request.segments))
    except DataError as error:
        if request.data in _WHERE:
            raise DataError(f"{error}; {_WHERE[request.data]}, or give another folder of images by --data") from None
        raise


def _accuracy(study: "AccuracyStudy", bench: Bench) -> dict[str, Any]:
    from nnmass import reporting
    from nnmass.experiments import image_accuracy

    with progress_bar(bench.title) as progress:
        outcomes = image_accuracy(
            bench.specs,
            bench.data,
            bench.store,
            bench.config,
            unseen=study.unseen(bench.scale),
            part=study.part,
            seeds=bench.seeds,
            workers=bench.request.workers,
            progress=progress,
        )
    for outcome in outcomes:
        title = f"{bench.title}, {outcome.part}" if outcome.part else bench.title
        name = re.sub(r"\W+", "-", f"accuracy {outcome.part}") if len(outcomes) > 1 else "accuracy"
        figure = reporting.accuracy_figure(outcome.comparison, title=title)
        reporting.save(figure, bench.request.folder / f"{name}.png")
        if not bench.request.quiet:
            print_table(title, *reporting.comparison_rows(outcome.comparison))
            if outcome.pairs:
                print_table("Equal NN-Mass, very different cost", *reporting.equal_mass_rows(outcome.pairs))
    return {"parts": [outcome.to_dict() for outcome in outcomes], "verdict": _sentences(outcomes)}


def _sentences(outcomes: "tuple[ImageAccuracy, ...]") -> list[str]:
    if len(outcomes) == 1:
        return outcomes[0].verdict()
    return [f"{outcome.part}: {said}" for outcome in outcomes for said in outcome.verdict()]


def _convergence(study: "ConvergenceStudy", bench: Bench) -> dict[str, Any]:
    from nnmass.experiments import convergence

    with progress_bar(bench.title) as progress:
        outcome = convergence(
            bench.data,
            bench.store,
            networks=study.grid(bench.data, bench.scale),
            config=bench.config,
            seeds=bench.seeds,
            workers=bench.request.workers,
            progress=progress,
        )
    show_convergence(outcome, bench.title, bench.request)
    return outcome.to_dict()


def show_convergence(outcome: "Convergence", title: str, request: Request) -> None:
    """Draw the training losses, and print what explains them unless asked to be quiet."""
    from nnmass import reporting

    reporting.save(reporting.convergence_figure(outcome, title=title), request.folder / "convergence.png")
    if not request.quiet:
        print_table(title, *reporting.convergence_rows(outcome))
        print_table("What explains it", *reporting.convergence_fit_rows(outcome))


def _compression(study: "CompressionStudy", bench: Bench) -> dict[str, Any]:
    from nnmass import reporting
    from nnmass.experiments import image_compression

    outcome = image_compression(
        bench.specs,
        bench.data,
        bench.store,
        bench.config,
        progress_bar,
        keep_macs=study.keep_macs[bench.scale],
        seeds=bench.seeds,
        workers=bench.request.workers,
    )
    figure = reporting.difference_figure(outcome.outcomes, title=bench.title)
    reporting.save(figure, bench.request.folder / "difference.png")
    for one in outcome.outcomes if not bench.request.quiet else ():
        print_table(f"NN-Mass {one.compression.reference.nn_mass:,.1f}", *reporting.compression_rows(one))
    values = outcome.to_dict()
    return {**values, "verdict": [*values["verdict"], f"For comparison, {study.published}."]}


def listing() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows of all experiments on images: networks, runs and estimated cost at every scale."""
    import numpy as np

    from nnmass.data import Dataset, Split
    from nnmass.experiments import SCALES, STUDIES, macs_at

    whole = {
        "digits": (8, 10, 1_257),
        "cifar10": (32, 10, 45_000),
        "cifar100": (32, 100, 45_000),
        "tiny-imagenet-100": (64, 100, 45_000),
        "imagenet": (224, 1_000, 1_281_167),
    }
    rows = []
    for name, study in STUDIES.items():
        for scale in SCALES:
            data, size = data_of(name, scale), study.sizes[scale]
            side, classes, train = whole[data]
            side = size.image_size or side
            one = Split(np.zeros((1, 3, side, side), np.uint8), np.zeros(1, np.int64))
            specs = study.networks(Dataset(data, one, one, one, classes), scale)
            macs = macs_at(specs, size, train=train)
            share = _RATE_OF.get(specs[0].family, 1.0)
            times = (duration(macs / (share * rate)) for rate in MACS_PER_SECOND.values())
            rows.append((name, scale, data, f"{len(specs)} × {size.seeds}", str(size.epochs), f"{macs:.1e}", *times))
    return ("name", "scale", "data", "networks × seeds", "epochs", "MACs", *MACS_PER_SECOND), rows


def data_of(name: str, scale: "Scale") -> str:
    """The data set of an experiment on images, unless another is given."""
    from nnmass.experiments import STUDIES

    study = STUDIES[name]
    return study.sizes[scale].dataset or study.data

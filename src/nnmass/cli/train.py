"""``nnmass train``: one network."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnmass.cli import destinations
from nnmass.cli import options as o
from nnmass.cli.durations import note_long_training
from nnmass.cli.interruption import keeps
from nnmass.cli.output import Progress, percent, print_json, progress_bar, say

if TYPE_CHECKING:
    from nnmass.data import Data
    from nnmass.training import Metrics


def train(
    context: typer.Context,
    spec: o.SpecArgument,
    data: o.DataOption = "digits",
    out: Annotated[Path, destinations.folder(help="Folder of specification, weights, figures and checkpoint.")] = Path(
        "runs"
    ),
    seed: o.SeedOption = 0,
    epochs: o.EpochsOption = None,
    batch_size: o.BatchOption = None,
    optimizer: o.OptimizerOption = None,
    learning_rate: o.RateOption = None,
    schedule: o.ScheduleOption = None,
    augment: o.AugmentOption = None,
    recipe: o.RecipeOption = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; default: cuda if there is any.")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write metrics for TensorBoard too.")] = False,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Decode images as they are needed: folders, WebDataset shards or Parquet."),
    ] = False,
    workers: Annotated[
        int | None, o.whole(low=0, high=1_024, help="Processes that decode a stream; default: none.")
    ] = None,
    data_root: o.RootOption = None,
    segments: o.SegmentsOption = 20,
    as_json: o.JsonOption = False,
) -> None:
    """Train the network of a specification; killed and called again, it goes on where it was.

    Called again with more --epochs a finished run goes on too, where the schedule is constant: it ends as one of so
    many epochs from the start.  With cosine the learning rates depend on the number of epochs; take another --out.

    Rows of metrics.jsonl say how each epoch went.  Started by accelerate launch -m nnmass train …, several GPUs share
    every batch.

    Example: nnmass train examples/reference.json --data digits --epochs 5 --out runs/reference
    """
    from nnmass import atomic
    from nnmass.architectures import load_spec
    from nnmass.claims import alone
    from nnmass.provenance import provenance
    from nnmass.training import Metrics, is_first, save_weights
    from nnmass.training import train as train_network

    if stream:
        o.refuse(context, {"segments"}, "is for linear and circle, which are no images to --stream")
    else:
        o.refuse(context, {"workers"}, "only works with --stream")
        o.refuse_of_data(context, data)
    loaded = load_spec(spec)
    dataset: Data
    if stream:
        size = getattr(loaded, "image_size", None)
        if size is None:
            raise typer.BadParameter(f"needs a network that reads images, got a {loaded.family}", param_hint="--stream")
        dataset = o.open_images(data, data_root, size, workers or 0)
    else:
        dataset = o.read_data(data, data_root, segments, loaded)
    config = o.training_config(
        loaded,
        dataset,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        augment=augment,
        recipe=recipe,
    )
    note_long_training([loaded], dataset, config)
    if is_first():
        out.mkdir(parents=True, exist_ok=True)
    metrics = Metrics(out, tensorboard=tensorboard)
    bar = progress_bar(f"training on {dataset.name}") if is_first() else nullcontext(lambda *_: None)
    checkpoint = out / "checkpoint.safetensors"
    only = alone(out / ".claims", "trains in this folder") if is_first() else nullcontext()
    with only, metrics, bar as progress:
        result = train_network(
            loaded,
            dataset,
            config,
            seed=seed,
            checkpoint=checkpoint,
            metrics=metrics,
            device=device,
            progress=_told(progress, metrics, checkpoint, config.epochs),
        )
    if not is_first():
        return
    skipped = getattr(dataset, "skipped", {})
    if skipped:
        atomic.write_json(out / "skipped.json", skipped)
        say(f"{len(skipped)} images could not be decoded and were skipped; {out / 'skipped.json'} lists them")
    result.spec.to_json(out / "spec.json")
    save_weights(result.model, out / "weights.safetensors")
    values = {"provenance": provenance(seed=seed), "data": f"{dataset.name} ({dataset.source})", **result.to_dict()}
    atomic.write_json(out / "result.json", values)
    if as_json:
        print_json(values)
        return
    say(
        f"test accuracy {percent(result.test_accuracy)}, validation {percent(result.validation_accuracy[-1])}, "
        f"training loss {result.train_loss[-1]:.4f}; written to {out}"
    )


def _told(show: Progress, metrics: "Metrics", checkpoint: Path, epochs: int) -> Callable[[int], None]:
    """Return what is told of finished epochs: it shows how each went, and knows what an interruption leaves."""
    before, done = _written(checkpoint), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        row = metrics.newest
        show(
            done,
            epochs,
            f"training loss {row['train_loss']:.4f}, validation accuracy {percent(row['validation_accuracy'])}"
            if row
            else "trained before",
        )

    keeps(lambda: _kept(checkpoint) if done or _written(checkpoint) != before else "")
    if not before:
        show(0, epochs)
    return advance


def _written(path: Path) -> int:
    """When a file was written, as a number; 0 where there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


def _kept(checkpoint: Path) -> str:
    return f"{checkpoint} holds what is trained, and the same command goes on from there"

"""A sweep of small DenseMLPs on MNIST beside the published script: models per hour, and test accuracies.

Ours: `run_sweep` trains the whole grid of the accuracy experiment on all cores into an empty store, the start of its
processes included.  Published: its training loop for the middle network of every depth of the grid, (a) in one process
with PyTorch's default number of threads, as the script runs, (b) in one process with one thread, since two threads lose
on a machine that is not idle, and (c) in one process per core with one thread each, all at once.  Only the first steps
of an epoch are made there, and scaled.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from measuring import parser, positive, ratios, save, seconds, show_targets, shown, spread, target
from mlp_accuracy import compare_accuracies
from nnmass.architectures import DenseMLP
from nnmass.data import Dataset, load_data
from nnmass.errors import NNMassError
from nnmass.experiments import mlp_grid
from nnmass.sweeps import RunStore, run_sweep
from nnmass.training import TrainingConfig
from published_mlp import PublishedTrainer, Trained
from published_pool import Job, PublishedPool, train_published

TARGET = 60
PUBLISHED = ("published", "published_one_thread", "published_processes")
ACCURACY_NETWORKS = ((16, 12), (24, 28), (32, 64))
SCALING = (
    "published: seconds per model = epochs x steps per epoch x (seconds of the steps that were made / their number) + "
    "seconds of the evaluation on the 10,000 test images; mean over depths, weighted by the grid's networks of each"
)
OURS = (
    "ours: run_sweep of the whole grid: start of its processes, training, 5,000 validation images after each epoch, "
    "10,000 test images, storing"
)


def middle_networks(specs: Sequence[DenseMLP]) -> list[tuple[DenseMLP, int]]:
    """Pick the middle network of every depth, with the number of networks it stands for."""
    groups = [[spec for spec in specs if spec.depth == depth] for depth in sorted({spec.depth for spec in specs})]
    return [(group[len(group) // 2], len(group)) for group in groups]


def mean_seconds(runs: Sequence[Trained], weights: Sequence[int], training_steps: int) -> float:
    """Seconds of one whole published training, as SCALING says."""
    each = [run.train_seconds / run.steps * training_steps + run.test_seconds for run in runs]
    return sum(w * s for w, s in zip(weights, each, strict=True)) / sum(weights)


def our_rate(specs: Sequence[DenseMLP], data: Dataset, config: TrainingConfig, seeds: int, workers: int) -> float:
    """Models per hour of our sweep."""
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs.sqlite")
        taken = seconds(lambda: run_sweep(specs, data, store, config, seeds=range(seeds), workers=workers))
    return 3600 * len(specs) * seeds / taken


def measure(arguments: Any, data: Dataset, pool: PublishedPool) -> dict[str, list[float]]:
    """Models per hour of ours and of the three published ways, in turn."""
    specs, config = mlp_grid(data), TrainingConfig(epochs=arguments.epochs)
    trainer = PublishedTrainer(arguments.published, data)
    middle, weights = zip(*middle_networks(specs), strict=True)
    jobs = [Job(s.width, s.depth, s.max_skips, arguments.seed, steps=arguments.steps) for s in middle]
    training_steps = arguments.epochs * trainer.steps_per_epoch
    warm = Job(*jobs[0][:4], steps=5)
    train_published(warm, trainer)
    pool.together([warm])
    default = torch.get_num_threads()
    rates: dict[str, list[float]] = {name: [] for name in ("ours", *PUBLISHED)}
    for _ in range(arguments.pairs):
        rates["ours"].append(our_rate(specs, data, config, arguments.seeds, arguments.workers))
        for name, threads in (("published", default), ("published_one_thread", 1)):
            torch.set_num_threads(threads)
            runs = [train_published(job, trainer) for job in jobs]
            rates[name].append(3600 / mean_seconds(runs, weights, training_steps))
        at_once = pool.together(jobs)
        rates["published_processes"].append(sum(3600 / mean_seconds(runs, weights, training_steps) for runs in at_once))
        torch.set_num_threads(default)
    return rates


def options() -> Any:
    """Read the command line."""
    result = parser("mlp_sweep", "A sweep of small DenseMLPs on MNIST beside the published script.")
    result.set_defaults(pairs=3)
    result.add_argument("--epochs", type=positive, default=5, help="of every training (default 5)")
    result.add_argument("--seeds", type=positive, default=2, help="of our sweep (default 2)")
    result.add_argument("--workers", type=positive, default=os.cpu_count(), help="processes (default: one per core)")
    result.add_argument("--steps", type=positive, default=100, help="of each published network (default 100)")
    result.add_argument("--accuracy-seeds", type=int, default=5, help="at least 2, or 0 to leave them out (default 5)")
    return result.parse_args()


def main() -> None:
    """Measure, print and write."""
    arguments = options()
    if arguments.accuracy_seeds == 1:
        raise SystemExit("--accuracy-seeds must be 0 or at least 2, got 1: one seed has no standard error")
    try:
        data = load_data("mnist", download=False)
    except NNMassError as error:
        raise SystemExit(str(error)) from None
    result: dict[str, Any] = {"timed": [OURS, SCALING], "networks_in_grid": len(mlp_grid(data))}
    with PublishedPool(arguments.published, arguments.workers) as pool:
        rates = measure(arguments, data, pool)
        ratio = {name: ratios(rates["ours"], rates[name]) for name in PUBLISHED}
        targets = {f"times {name}": target(entry, at_least=TARGET) for name, entry in ratio.items()}
        if arguments.accuracy_seeds:
            specs = [DenseMLP(width=8, depth=d, max_skips=t) for d, t in ACCURACY_NETWORKS]
            config = TrainingConfig(epochs=arguments.epochs)
            found = compare_accuracies(specs, data, config, seeds=arguments.accuracy_seeds, pool=pool)
            result["accuracy"] = found
            difference = {"median": found["mean_difference"]}
            targets["test accuracy, ours - published"] = target(difference, at_least=-2 * found["standard_error"])
    threads = torch.get_num_threads()
    print(f"models per hour; {arguments.workers} processes, {threads} default threads")
    for name, values in rates.items():
        print(f"  {name:22}{shown(spread(values), 0)}")
    if "accuracy" in result:
        whole = result["accuracy"]["published_models_per_hour"]
        print(f"  published_processes, whole trainings, not scaled: {whole:,.0f}")
    for row in result.get("accuracy", {}).get("networks", ()):
        means = (f"{row[side]['mean']:.4f} ± {row[side]['standard_error']:.4f}" for side in ("ours", "published"))
        print(
            f"depth {row['depth']}, t {row['max_skips']:3}: test accuracy ours {next(means)}, published {next(means)}"
        )
    show_targets(targets)
    rates_of = {name: spread(values) for name, values in rates.items()}
    save(
        arguments,
        result
        | {"published_default_threads": threads, "models_per_hour": rates_of, "ratio": ratio, "targets": targets},
    )


if __name__ == "__main__":
    main()

"""What a sweep has left to do, cut into jobs, and the training of one job."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nnmass.architectures import DenseMLP
from nnmass.data import Data, Dataset
from nnmass.sweeps.plan import Run
from nnmass.sweeps.store import RunStore, StoredRun, stored_run
from nnmass.training import DivergedError, train, train_stacked


def data_label(data: Data) -> str:
    """Name, source, size and digest of a data set, as the store keeps it."""
    return f"{data.name} ({data.source}, {len(data.train)} training samples, digest {data.digest[:12]})"


def cut_into_jobs(runs: Sequence[Run], stack_size: int) -> Iterator[list[Run]]:
    """Group runs that can be trained together: DenseMLPs of one shape and seed; others alone."""

    def group(run: Run) -> tuple[Any, ...]:
        spec = run.spec
        if isinstance(spec, DenseMLP):
            return (run.seed, spec.width, spec.in_features, spec.num_classes, spec.activation)
        return (run.seed, run.key)

    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(group(run), []).append(run)
    for members in groups.values():
        stacks = -(-len(members) // stack_size)  # of equal size: a stack of few costs nearly as much as one of many
        for k in range(stacks):
            yield members[k::stacks]


def balanced(jobs: list[list[Run]], workers: int) -> list[list[Run]]:
    """Halve the largest jobs until their number is a multiple of the workers, and start with the largest."""
    while len(jobs) % workers and (largest := max(jobs, key=len))[1:]:
        jobs.remove(largest)
        jobs += [largest[::2], largest[1::2]]
    return sorted(jobs, key=len, reverse=True)


def train_job(job: Sequence[Run], data: Data, progress: Callable[[int], None] | None = None) -> list[StoredRun]:
    """Train the runs of one job and return their rows."""
    config, seed = job[0].config, job[0].seed
    if isinstance(job[0].spec, DenseMLP) and isinstance(data, Dataset) and not config.unstacked:
        specs = [run.spec for run in job if isinstance(run.spec, DenseMLP)]
        results = train_stacked(specs, data, config, seed=seed, progress=progress)
        return [
            stored_run(run, result.train_loss, result.validation_accuracy[-1], result.test_accuracy)
            for run, result in zip(job, results, strict=True)
        ]
    return [_train_one(run, data, progress) for run in job]


def _train_one(run: Run, data: Data, progress: Callable[[int], None] | None) -> StoredRun:
    told = 0

    def tell(epochs: int) -> None:
        nonlocal told
        told += epochs
        if progress:
            progress(epochs)

    try:
        result = train(run.spec, data, run.config, seed=run.seed, progress=tell)
    except DivergedError:
        tell(run.config.epochs - told)
        return stored_run(run, [float("inf")], 0.0, 0.0)
    return stored_run(run, result.train_loss, result.validation_accuracy[-1], result.test_accuracy)


def still_missing(job: Sequence[Run], store: RunStore) -> list[Run]:
    """Return the runs of a job that no one has finished since it was planned."""
    wanted = set(store.missing([run.key for run in job]))
    return [run for run in job if run.key in wanted]

"""Training what a store lacks, on all cores."""

import multiprocessing
import os
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any, TypeAlias

from nnmass.architectures import DenseMLP, Specification
from nnmass.data import Dataset
from nnmass.errors import InvalidValueError
from nnmass.sweeps.plan import Run, plan_runs
from nnmass.sweeps.store import RunStore, StoredRun, stored_run
from nnmass.sweeps.workers import prepare_worker
from nnmass.training import DivergedError, TrainingConfig, check_fits, train, train_stacked

SweepProgress: TypeAlias = Callable[[int, int], None]
"""Called with epochs done and epochs in all, counted over the networks that were missing at the start."""

STACK_SIZE = 96
_POLL = 0.2  # seconds


def run_sweep(
    specs: Sequence[Specification],
    data: Dataset,
    store: RunStore,
    config: TrainingConfig | None = None,
    *,
    seeds: Sequence[int] = range(5),
    workers: int | None = None,
    stack_size: int = STACK_SIZE,
    progress: SweepProgress | None = None,
) -> list[Run]:
    """Train every specification with every seed, except what the store already has.

    DenseMLPs of one width are trained in stacks (see `train_stacked`), everything else one by one.  A stack's rows are
    stored together as soon as it ends; after a kill the same call trains exactly what is missing.  A sweep that runs
    twice on one store at the same time skips what the other has finished.

    Args:
        specs: the specifications.
        data: what to learn.
        store: where the rows go.
        config: how to train.
        seeds: of the runs.
        workers: processes, each with one thread; by default one per core.
        stack_size: networks per stack at most.
        progress: told of finished epochs.

    Returns:
        All runs that the sweep consists of; their keys are in the store.

    Raises:
        InvalidValueError: no specification, no seed, fewer than one worker or network per stack.
        DataError: the data does not fit a specification.
    """
    config = config or TrainingConfig()
    if not specs or not seeds:
        raise InvalidValueError(f"a sweep needs specifications and seeds, got {len(specs)} and {len(seeds)}")
    workers = workers if workers is not None else os.cpu_count() or 1
    for name, value in (("workers", workers), ("stack_size", stack_size)):
        if value < 1:
            raise InvalidValueError(f"{name} must be at least 1, got {value}")
    for spec in specs:
        check_fits(spec, data)
    runs = plan_runs(specs, seeds=seeds, data=data_label(data), config=config)
    missing = set(store.missing([run.key for run in runs]))
    jobs = _balanced(list(_jobs([run for run in runs if run.key in missing], stack_size)), workers)
    total = len(missing) * config.epochs
    if progress:
        progress(0, total)
    if workers == 1 or len(jobs) == 1:
        _run_here(jobs, data, store, progress, total)
    elif jobs:
        _run_in_processes(jobs, data, store, min(workers, len(jobs)), progress, total)
    return runs


def data_label(data: Dataset) -> str:
    """Name, source, size and digest of a data set, as the store keeps it."""
    return f"{data.name} ({data.source}, {len(data.train)} training samples, digest {data.digest[:12]})"


def _jobs(runs: Sequence[Run], stack_size: int) -> Iterator[list[Run]]:
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


def _balanced(jobs: list[list[Run]], workers: int) -> list[list[Run]]:
    """Halve the largest jobs until their number is a multiple of the workers, and start with the largest."""
    while len(jobs) % workers and (largest := max(jobs, key=len))[1:]:
        jobs.remove(largest)
        jobs += [largest[::2], largest[1::2]]
    return sorted(jobs, key=len, reverse=True)


def train_job(job: Sequence[Run], data: Dataset, progress: Callable[[int], None] | None = None) -> list[StoredRun]:
    """Train the runs of one job and return their rows."""
    config, seed = job[0].config, job[0].seed
    if isinstance(job[0].spec, DenseMLP) and not config.unstacked:
        specs = [run.spec for run in job if isinstance(run.spec, DenseMLP)]
        results = train_stacked(specs, data, config, seed=seed, progress=progress)
        return [
            stored_run(run, result.train_loss, result.validation_accuracy[-1], result.test_accuracy)
            for run, result in zip(job, results, strict=True)
        ]
    return [_train_one(run, data, progress) for run in job]


def _train_one(run: Run, data: Dataset, progress: Callable[[int], None] | None) -> StoredRun:
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


def _run_here(
    jobs: Sequence[list[Run]], data: Dataset, store: RunStore, progress: SweepProgress | None, total: int
) -> None:
    count = 0

    def advance(epochs: int) -> None:
        nonlocal count
        count += epochs
        if progress:
            progress(count, total)

    for planned in jobs:
        job = _still_missing(planned, store)
        advance((len(planned) - len(job)) * planned[0].config.epochs)
        if job:
            store.add(train_job(job, data, advance))


_worker_data: Dataset
_worker_queue: Any


def _start_worker(data: Dataset, epochs: Any) -> None:
    global _worker_data, _worker_queue  # a process pool has no other place for them
    prepare_worker()
    _worker_data, _worker_queue = data, epochs


def _work(job: list[Run]) -> list[StoredRun]:
    return train_job(job, _worker_data, _worker_queue.put)


def _run_in_processes(
    jobs: Sequence[list[Run]],
    data: Dataset,
    store: RunStore,
    workers: int,
    progress: SweepProgress | None,
    total: int,
) -> None:
    context = multiprocessing.get_context("spawn")
    epochs = context.Queue()
    count = 0
    pool = ProcessPoolExecutor(workers, context, _start_worker, (data, epochs))
    try:
        waiting = list(jobs)
        running: set[Future[list[StoredRun]]] = set()
        while waiting or running:
            while waiting and len(running) < workers:
                planned = waiting.pop(0)
                job = _still_missing(planned, store)
                count += (len(planned) - len(job)) * planned[0].config.epochs
                if job:
                    running.add(pool.submit(_work, job))
            finished, running = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
            for future in finished:
                store.add(future.result())
            count += _drain(epochs)
            if progress:
                progress(count, total)
        if progress:
            progress(total, total)
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        epochs.close()


def _still_missing(job: Sequence[Run], store: RunStore) -> list[Run]:
    """Return the runs of a job that no one has finished since it was planned."""
    wanted = set(store.missing([run.key for run in job]))
    return [run for run in job if run.key in wanted]


def _drain(epochs: Any) -> int:
    count = 0
    while True:
        try:
            count += epochs.get_nowait()
        except queue.Empty:
            return count

"""Training what a store lacks: on all cores, or on a cluster."""

import os
from collections.abc import Sequence

from nnmass.architectures import Specification
from nnmass.data import Data
from nnmass.errors import InvalidValueError
from nnmass.sweeps.cluster import RayOptions, run_on_ray
from nnmass.sweeps.jobs import balanced, cut_into_jobs, data_label
from nnmass.sweeps.plan import Run, plan_runs
from nnmass.sweeps.processes import SweepProgress, run_here, run_in_processes
from nnmass.sweeps.store import RunStore
from nnmass.training import TrainingConfig, check_fits

STACK_SIZE = 96


def run_sweep(
    specs: Sequence[Specification],
    data: Data,
    store: RunStore,
    config: TrainingConfig | None = None,
    *,
    seeds: Sequence[int] = range(5),
    workers: int | None = None,
    stack_size: int = STACK_SIZE,
    on_ray: RayOptions | None = None,
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
        workers: processes, each with one thread; by default one per core.  On a cluster: trials at once, by default as
            many as it has room for.
        stack_size: networks per stack at most.
        on_ray: trials run on Ray, on this machine or on a cluster, in place of processes.
        progress: told of finished epochs; on Ray whenever a job ends.

    Returns:
        All runs that the sweep consists of; their keys are in the store.

    Raises:
        InvalidValueError: no specification, no seed, fewer than one worker or network per stack.
        DataError: the data does not fit a specification.
        ClusterError: the cluster does not answer, has no such resources, or lost a job too often.
    """
    config = config or TrainingConfig()
    if not specs or not seeds:
        raise InvalidValueError(f"a sweep needs specifications and seeds, got {len(specs)} and {len(seeds)}")
    most = workers
    workers = workers if workers is not None else os.cpu_count() or 1
    for name, value in (("workers", workers), ("stack_size", stack_size)):
        if value < 1:
            raise InvalidValueError(f"{name} must be at least 1, got {value}")
    for spec in specs:
        check_fits(spec, data)
    runs = plan_runs(specs, seeds=seeds, data=data_label(data), config=config)
    missing = set(store.missing([run.key for run in runs]))
    jobs = balanced(list(cut_into_jobs([run for run in runs if run.key in missing], stack_size)), workers)
    total = len(missing) * config.epochs
    if progress:
        progress(0, total)
    if on_ray is not None and jobs:
        run_on_ray(jobs, data, store, on_ray, most, progress, total)
    elif workers == 1 or len(jobs) == 1:
        run_here(jobs, data, store, progress, total)
    elif jobs:
        run_in_processes(jobs, data, store, min(workers, len(jobs)), progress, total)
    return runs

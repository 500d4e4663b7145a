"""Training what a store lacks: on all cores, or on a cluster."""

from collections.abc import Sequence
from contextlib import nullcontext

from nnmass.architectures import Specification, check_seed, require_specification
from nnmass.claims import Claims
from nnmass.data import Data
from nnmass.errors import InvalidValueError, require_type
from nnmass.processes import number_of_workers
from nnmass.sweeps.cluster import RayOptions, run_on_ray
from nnmass.sweeps.jobs import data_label, planned_jobs
from nnmass.sweeps.plan import Run, plan_runs
from nnmass.sweeps.processes import Count, SweepProgress, one_thread, train_here, train_in_processes, unfinished
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
    stored together as soon as it ends; after a kill the same call goes on with what is missing, and ends with the rows
    of one that was not killed, bit by bit: stacks follow from the plan alone, and every network is trained by one
    thread, however many workers there are.  (A plan of a single network or stack has all threads to itself.)  Sweeps
    that run on one store at the same time share the work.

    Args:
        specs: the specifications.
        data: what to learn.
        store: where the rows go.
        config: how to train.
        seeds: of the runs.
        workers: processes, each with one thread; by default one per core.  On a cluster: trials at once, by default as
            many as it has room for.
        stack_size: networks per stack at most; part of the plan.
        on_ray: trials run on Ray, on this machine or on a cluster, in place of processes.
        progress: told of finished epochs; on Ray whenever a job ends.

    Returns:
        All runs that the sweep consists of; their keys are in the store.

    Raises:
        InvalidValueError: no specification, no seed, fewer than one worker or network per stack, or far more workers
            than cores.
        DataError: the data does not fit a specification.
        WorkerError: a process died, as where memory runs out; everything else is trained and stored first.
        ClusterError: the cluster does not answer, has no such resources, or lost a job too often.
    """
    config = config or TrainingConfig()
    require_type(specs, Sequence, "specs", "a list of specifications")
    for spec in specs:
        require_specification(spec, "each of specs")
    if not specs or not seeds:
        raise InvalidValueError(f"a sweep needs specifications and seeds, got {len(specs)} and {len(seeds)}")
    most, workers = workers, number_of_workers(workers)
    if stack_size < 1:
        raise InvalidValueError(f"stack_size must be at least 1, got {stack_size}")
    for seed in seeds:
        check_seed(seed)
    for spec in specs:
        check_fits(spec, data)
    runs = plan_runs(specs, seeds=seeds, data=data_label(data), config=config)
    planned = planned_jobs(runs, data, stack_size)
    jobs = [job for job in (job.still_missing(store) for job in planned) if job.wanted]
    count = Count(sum(job.epochs for job in jobs), progress)
    if not jobs:
        return runs
    with Claims(f"{store.path}.claims") as claims:
        waiting = unfinished(jobs, store, claims, count)
        if on_ray is not None:
            run_on_ray(waiting, data, store, claims, count, options=on_ray, most=most)
        elif workers > 1 and len(jobs) > 1:
            train_in_processes(waiting, data, store, claims, count, min(workers, len(jobs)))
        else:
            with one_thread() if len(planned) > 1 else nullcontext():
                train_here(waiting, data, store, claims, count)
    return runs

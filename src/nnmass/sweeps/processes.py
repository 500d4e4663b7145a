"""Training jobs here, or in processes of this machine."""

import multiprocessing
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any, TypeAlias

from nnmass.data import Data
from nnmass.sweeps.jobs import still_missing, train_job
from nnmass.sweeps.plan import Run
from nnmass.sweeps.store import RunStore, StoredRun
from nnmass.sweeps.workers import prepare_worker

SweepProgress: TypeAlias = Callable[[int, int], None]
"""Called with epochs done and epochs in all, counted over the networks that were missing at the start."""

_POLL = 0.2  # seconds


def run_here(
    jobs: Sequence[list[Run]], data: Data, store: RunStore, progress: SweepProgress | None, total: int
) -> None:
    """Train jobs one after the other in this process, and store each when it ends."""
    count = 0

    def advance(epochs: int) -> None:
        nonlocal count
        count += epochs
        if progress:
            progress(count, total)

    for planned in jobs:
        job = still_missing(planned, store)
        advance((len(planned) - len(job)) * planned[0].config.epochs)
        if job:
            store.add(train_job(job, data, advance))


_worker_data: Data
_worker_queue: Any


def _start_worker(data: Data, epochs: Any) -> None:
    global _worker_data, _worker_queue  # a process pool has no other place for them
    prepare_worker()
    _worker_data, _worker_queue = data, epochs


def _work(job: list[Run]) -> list[StoredRun]:
    return train_job(job, _worker_data, _worker_queue.put)


def run_in_processes(
    jobs: Sequence[list[Run]],
    data: Data,
    store: RunStore,
    workers: int,
    progress: SweepProgress | None,
    total: int,
) -> None:
    """Train jobs in processes with one thread each, and store each when it ends."""
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
                job = still_missing(planned, store)
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


def _drain(epochs: Any) -> int:
    count = 0
    while True:
        try:
            count += epochs.get_nowait()
        except queue.Empty:
            return count

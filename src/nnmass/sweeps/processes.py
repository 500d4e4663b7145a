"""Training jobs on this machine: here, or in processes."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

import torch

from nnmass.claims import Claims
from nnmass.data import Data
from nnmass.errors import WorkerError
from nnmass.processes import Died, in_processes
from nnmass.sweeps.jobs import Job, train_job
from nnmass.sweeps.store import RunStore, StoredRun

SweepProgress: TypeAlias = Callable[[int, int], None]
"""Called with epochs done and epochs in all, counted over the networks that were missing at the start."""

_POLL = 0.2  # seconds


class Count:
    """Epochs that are done, as they are told."""

    def __init__(self, total: int, progress: SweepProgress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress
        self.advance(0)

    def advance(self, epochs: int) -> None:
        """Tell of more epochs."""
        self._done += epochs
        if self._progress:
            self._progress(self._done, self._total)


def unfinished(jobs: Sequence[Job], store: RunStore, claims: Claims, count: Count) -> Iterator[Job | None]:
    """Jobs that nobody has finished, or is at; None where there are only such as somebody else is at.

    What another process finishes meanwhile is counted; what it leaves undone when it dies is a job again.
    """
    waiting = list(jobs)
    while waiting:
        rest = []
        for planned in waiting:
            job = planned
            if not claims.take(planned.wanted):
                rest.append(planned)
                continue
            job = planned.still_missing(store)
            claims.release(planned.wanted - job.wanted)
            count.advance(planned.epochs - job.epochs)
            if job.wanted:
                yield job
        waiting = rest
        if waiting:
            yield None


def train_here(jobs: Iterable[Job | None], data: Data, store: RunStore, claims: Claims, count: Count) -> None:
    """Train jobs one after the other in this process, and store each when it ends."""
    for job in jobs:
        if job is None:
            time.sleep(_POLL)
            continue
        store.add(train_job(job, data, count.advance))
        claims.release(job.wanted)


def train_in_processes(
    jobs: Iterable[Job | None], data: Data, store: RunStore, claims: Claims, count: Count, workers: int
) -> None:
    """Train jobs in processes with one thread each, and store each when it ends.

    Raises:
        WorkerError: a process died; all other jobs are done first.
    """
    lost: list[Job] = []
    reason = ""
    for job, rows in in_processes(partial(_train, data=data), jobs, workers, told=count.advance):
        if isinstance(rows, Died):
            lost, reason = [*lost, job], rows.reason
        else:
            store.add(rows)
        claims.release(job.wanted)
    if lost:
        networks = sum(len(job.wanted) for job in lost)
        raise WorkerError(
            f"{store.path}: {networks} network{'s were' if networks > 1 else ' was'} not trained: {reason}; what was "
            "finished is kept, and the same call goes on from there"
        )


def _train(job: Job, tell: Callable[[int], None], *, data: Data) -> list[StoredRun]:
    return train_job(job, data, tell)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread, as in a process of a sweep: rows do not depend on where they were trained."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""Several published trainings at once: one process per core, one thread each."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch

from nnmass.data import load_data
from published_mlp import PublishedTrainer, Trained


class Job(NamedTuple):
    """One published training: a network, its seed, and how long (``steps``: only so many of the first epoch)."""

    width: int
    depth: int
    max_skips: int
    seed: int
    epochs: int = 1
    steps: int | None = None


class PublishedPool:
    """Processes that train by the published loop on MNIST; they end with the ``with`` block.

    Args:
        folder: the published code.
        processes: how many.
    """

    def __init__(self, folder: Path, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        arguments = (folder, context.Barrier(processes))
        self.processes = processes
        self._pool = ProcessPoolExecutor(processes, context, _start, arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def together(self, jobs: Sequence[Job]) -> list[list[Trained]]:
        """Every process does all jobs; all begin at the same moment.  One list per process."""
        futures = [self._pool.submit(_work_together, list(jobs)) for _ in range(self.processes)]
        return [future.result() for future in futures]

    def share(self, jobs: Sequence[Job]) -> list[Trained]:
        """The processes share the jobs among them."""
        return list(self._pool.map(train_published, jobs))


def train_published(job: Job, trainer: PublishedTrainer | None = None) -> Trained:
    """Do one job, by the process's own trainer unless one is given."""
    return (trainer or _trainer)(*job[:3], seed=job.seed, epochs=job.epochs, steps=job.steps)


_trainer: PublishedTrainer
_barrier: Any


def _start(folder: Path, barrier: Any) -> None:
    global _trainer, _barrier  # a process pool has no other place for them
    torch.set_num_threads(1)
    _trainer, _barrier = PublishedTrainer(folder, load_data("mnist", download=False)), barrier


def _work_together(jobs: list[Job]) -> list[Trained]:
    _barrier.wait()
    return [train_published(job) for job in jobs]

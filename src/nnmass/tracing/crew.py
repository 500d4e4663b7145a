"""Work in several processes, in which a process that dies costs no more than the item it was at."""

import multiprocessing
import signal
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Generic, NamedTuple, TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


class Died(NamedTuple):
    """What is known of an item whose process ended.

    Attributes:
        reason: how it ended.
    """

    reason: str


def in_processes(work: Callable[[T], R], items: Sequence[T], workers: int) -> Generator[tuple[T, R | Died]]:
    """Work on items in processes of one thread each; pairs of item and result come as they are finished.

    When the iterator is closed, or an exception passes through it, the processes end at once.  A script that calls this
    does so below ``if __name__ == "__main__"``, since the processes import it.

    Args:
        work: a function of a module, or a ``functools.partial`` of one; an exception in it ends its process.
        items: what it is called with.
        workers: number of processes.
    """
    waiting = list(reversed(items))
    crew = [_Worker(work) for _ in range(min(workers, len(items)))]
    try:
        while waiting or any(worker.busy for worker in crew):
            for worker in crew:
                if waiting and not worker.busy:
                    worker.start(waiting.pop())
            ready = wait([worker.connection for worker in crew if worker.busy])
            for worker in [worker for worker in crew if worker.connection in ready]:
                yield worker.finish()
    finally:
        for worker in crew:
            worker.end()


class _Worker(Generic[T, R]):
    """A process, and the item that it is at; after its death the next item gets a new one."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self._work, self.busy = work, False
        self._open()

    def start(self, item: T) -> None:
        self._item, self.busy = item, True
        try:
            self.connection.send(item)
        except BrokenPipeError:  # it died before: the reading end says so
            return

    def finish(self) -> tuple[T, R | Died]:
        """The item and its result, which is there, or the process has died."""
        self.busy = False
        try:
            return self._item, self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            reason = _ending(self._process.exitcode)
            self.end()
            self._open()
            return self._item, Died(reason)

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self.connection.close()

    def _open(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self._work), daemon=True)
        with _interrupts_kept():
            self._process.start()
        other.close()


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Leave Ctrl-C to this process: those started meanwhile never see it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, work: Callable[[T], R]) -> None:
    """Answer item by item until the other side is gone."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of other people's models: there may be hundreds
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        connection.send(work(item))


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"

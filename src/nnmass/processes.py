"""Work in several processes, in which a process that dies costs no more than the item it was at."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from nnmass.errors import InvalidValueError, first_line

T = TypeVar("T")
R = TypeVar("R")

_POLL = 0.2  # seconds until an iterable that had nothing to do is asked again
_PATIENCE = 5.0  # seconds that a process has to end
_MOST, _PER_CORE = 32, 4
_END: Any = object()
_Message: TypeAlias = tuple[Literal["told", "done", "failed"], Any]


class Died(NamedTuple):
    """What is known of an item whose process ended.

    Attributes:
        reason: how it ended.
    """

    reason: str


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def number_of_workers(workers: int | None) -> int:
    """Check a number of processes; None: one per core.

    Raises:
        InvalidValueError: fewer than one, or far more than the machine has cores.

    Examples:
        >>> number_of_workers(3)
        3
        >>> number_of_workers(0)
        Traceback (most recent call last):
        nnmass.errors.InvalidValueError: workers must be at least 1, got 0
    """
    if workers is None:
        return cores()
    if workers < 1:
        raise InvalidValueError(f"workers must be at least 1, got {workers}")
    most = max(_MOST, _PER_CORE * cores())
    if workers > most:
        raise InvalidValueError(f"workers must be at most {most}, got {workers}: this machine has {cores()} cores")
    return workers


def in_processes(
    work: Callable[..., R],
    items: Iterable[T | None],
    workers: int,
    *,
    told: Callable[[Any], None] | None = None,
) -> Generator[tuple[T, R | Died]]:
    """Work on items in processes of one thread each; pairs of item and result come as they are finished.

    Items are asked for when a process is free.  When the iterator is closed, or an exception passes through it, the
    processes end at once.  They leave Ctrl-C to this process, and do not outlive it.  A script that calls this does so
    below ``if __name__ == "__main__"``, since the processes import it.

    Args:
        work: a function of a module, or a ``functools.partial`` of one, whose arguments reach each process once.
        items: what it is called with; None: there is nothing to do for now.
        workers: number of processes at most.
        told: called with what ``work`` gives to its second argument, a function; without it there is no such argument.

    Raises:
        Exception: whatever ``work`` raises.
    """
    source, more = iter(items), True
    crew: list[_Worker[T, R]] = []
    try:
        while True:
            resting = False
            while more and not resting and sum(worker.busy for worker in crew) < workers:
                item = next(source, _END)
                if item is _END:
                    more = False
                elif item is None:
                    resting = True
                else:
                    _idle(crew, work, talks=told is not None).start(item)
            busy = [worker for worker in crew if worker.busy]
            if not busy and not more:
                return
            ready = wait([worker.connection for worker in busy], _POLL if resting else None)
            for worker in [worker for worker in busy if worker.connection in ready]:
                kind, value = worker.receive()
                if kind == "failed":
                    raise value
                if kind == "done":
                    yield worker.item, value
                elif told is not None:
                    told(value)
    finally:
        for worker in crew:
            worker.end()


def _idle(crew: "list[_Worker[T, R]]", work: Callable[..., R], *, talks: bool) -> "_Worker[T, R]":
    """A process without work; a new one if there is none."""
    for worker in crew:
        if not worker.busy:
            return worker
    crew.append(_Worker(work, talks=talks))
    return crew[-1]


class _Worker(Generic[T, R]):
    """A process, and the item that it is at; after its death the next item gets a new one."""

    item: T

    def __init__(self, work: Callable[..., R], *, talks: bool) -> None:
        self._work, self._talks, self.busy = work, talks, False
        self._process: SpawnProcess | None = None

    def start(self, item: T) -> None:
        self.item, self.busy = item, True
        told = [item] if self._process else [self._work, item]
        if self._process is None:
            self._open()
        try:
            for value in told:
                self.connection.send(value)
        except OSError:  # it died before: the reading end says so
            return

    def receive(self) -> _Message:
        """What it says, which is there, or the process has died."""
        try:
            message: _Message = self.connection.recv()
        except (EOFError, OSError):
            if self._process is not None:
                self._process.join(_PATIENCE)
            message = "done", Died(_ending(self.end()))
        self.busy = message[0] == "told"
        return message

    def end(self) -> int | None:
        """End its process, if there is one, and return how it ended."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        process.join(_PATIENCE)
        if process.is_alive():  # somebody else's code may be deaf to it
            process.kill()
            process.join()
        self.connection.close()
        return process.exitcode

    def _open(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        process = context.Process(target=_serve, args=(other, self._talks), daemon=True)
        with _undisturbed():
            process.start()
            self._process = process
        other.close()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put Ctrl-C off, and leave it to this process: those started meanwhile are whole, and never see it.

    Blocking it is not enough: other threads of this process may be interrupted in place of this one.
    """
    resource_tracker.ensure_running()  # what starts it lets Ctrl-C through again
    came: list[int] = []
    here = threading.current_thread() is threading.main_thread()  # where Python handles signals
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number)) if here else None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if here:
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _serve(connection: Connection, talks: bool) -> None:
    """Answer item by item until the other side is gone; what to do with them comes first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also where an item's own code lets signals through again
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        work: Callable[..., Any] = connection.recv()
    except (EOFError, OSError):
        return
    import torch

    torch.set_num_threads(1)
    further = (lambda value: connection.send(("told", value)),) if talks else ()
    while True:
        try:
            item = connection.recv()
        except (EOFError, OSError):
            return
        message: _Message
        try:
            message = "done", work(item, *further)
        except Exception as error:
            message = "failed", _sendable(error)
        try:
            connection.send(message)
        except OSError:
            return


def _leave_with_parent() -> None:
    """End this process when the parent is killed: no one is left to keep what it would find."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _sendable(error: Exception) -> Exception:
    """An error that survives the way to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error of somebody else's, made of whatever they like
        return RuntimeError(f"{type(error).__name__}: {first_line(error)}")
    return error


def _ending(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "its process was ended by SIGKILL, as where memory runs out"
    if code is not None and code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"

"""Training jobs on Ray: on this machine, or on a cluster of many."""

import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from nnmass.claims import Claims
from nnmass.data import Data
from nnmass.errors import ClusterError, InvalidValueError, first_line
from nnmass.sweeps.jobs import Job, train_job
from nnmass.sweeps.processes import Count
from nnmass.sweeps.store import RunStore, StoredRun
from nnmass.tracing.libraries import import_library

_POLL = 0.5  # seconds
_ANSWER = 5.0  # seconds
_RETRIES = 3
_END: Any = object()
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "1"}


@dataclass(frozen=True)
class RayOptions:
    """Where trials run, and what each needs.

    Attributes:
        address: ``HOST:PORT`` of a running cluster, or ``"auto"``; None: Ray is started here, for this sweep.
        cpus_per_trial: cores that a trial has to itself; its number of threads.
        gpus_per_trial: GPUs, or a share of one.

    Raises:
        InvalidValueError: a number out of range.
    """

    address: str | None = None
    cpus_per_trial: int = 1
    gpus_per_trial: float = 0.0

    def __post_init__(self) -> None:
        if self.cpus_per_trial < 1:
            raise InvalidValueError(f"cpus_per_trial must be at least 1, got {self.cpus_per_trial}")
        if not 0 <= self.gpus_per_trial < float("inf"):
            raise InvalidValueError(f"gpus_per_trial must be at least 0, got {self.gpus_per_trial}")


def run_on_ray(
    jobs: Iterator[Job | None],
    data: Data,
    store: RunStore,
    claims: Claims,
    count: Count,
    *,
    options: RayOptions,
    most: int | None,
) -> None:
    """Train jobs; rows are stored here, as soon as a job ends.

    A job whose worker is lost is trained again, by another; what someone else has stored meanwhile is not.

    Args:
        jobs: what to train; None: nothing for now.
        data: put into the cluster once.
        store: where the rows go.
        claims: given up when a job is stored.
        count: told of finished epochs.
        options: where, and with what.
        most: jobs at once; None: as many as there is room for.

    Raises:
        ClusterError: the cluster does not answer, has no such resources, or lost a job too often.
    """
    with _connected(options) as ray:
        room = _room(ray.cluster_resources(), options)
        needs = {"num_cpus": options.cpus_per_trial, "num_gpus": options.gpus_per_trial}
        remote = ray.remote(**needs, max_retries=_RETRIES)(_trial)
        shared = ray.put(data)
        running: dict[Any, Job] = {}
        more = True
        while more or running:
            job: Job | None = None
            while more and len(running) < min(room, most or room):
                job = next(jobs, _END)
                if job is None or job is _END:
                    more = job is None
                    break
                running[remote.remote(job, shared, options.cpus_per_trial)] = job
            finished, _ = ray.wait(list(running), timeout=_POLL) if running else ([], [])
            for reference in finished:
                done = running.pop(reference)
                store.add(_rows(ray, reference))
                claims.release(done.wanted)
                count.advance(done.epochs)
            if more and not running:
                time.sleep(_POLL)  # somebody else is at what is left


def _trial(job: Job, data: Data, threads: int) -> list[StoredRun]:
    """Train a job in a worker of Ray."""
    torch.set_num_threads(threads)
    return train_job(job, data)


def _rows(ray: Any, reference: Any) -> list[StoredRun]:
    """The rows of a job that ended, or the error that ended it."""
    try:
        rows: list[StoredRun] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise ClusterError(f"Ray lost a job {_RETRIES + 1} times ({first_line(error)})") from None
    return rows


def _room(resources: dict[str, float], options: RayOptions) -> int:
    """Trials that fit into a cluster at once."""
    cpus, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    room = int(cpus // options.cpus_per_trial)
    if options.gpus_per_trial:
        room = min(room, int(gpus / options.gpus_per_trial + 1e-9))
    if room < 1:
        raise ClusterError(
            f"a trial needs {options.cpus_per_trial} cores and {options.gpus_per_trial:g} GPUs, but the cluster has "
            f"{cpus:g} and {gpus:g}"
        )
    return room


@contextmanager
def _connected(options: RayOptions) -> Iterator[Any]:
    """Ray, connected to the cluster, or started here and stopped at the end."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own deprecations
        ray: Any = import_library("ray")
        _connect(ray, options)
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, options: RayOptions) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if options.address is None:
        ray.init(address="local", num_cpus=os.cpu_count(), include_dashboard=False, **quiet)
        return
    host, _, port = options.address.removeprefix("ray://").rpartition(":")
    try:
        if options.address != "auto":
            with socket.create_connection((host, int(port)), _ANSWER):
                pass
        ray.init(address=options.address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise ClusterError(
            f"no Ray cluster answers at {options.address!r} ({reason}); ray start --head makes one"
        ) from None

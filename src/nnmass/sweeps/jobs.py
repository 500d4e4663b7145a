"""What a sweep has left to do, cut into jobs, and the training of one job."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nnmass.architectures import DenseMLP
from nnmass.data import Data, Dataset
from nnmass.plain_text import plain
from nnmass.sweeps.plan import Run
from nnmass.sweeps.store import RunStore, StoredRun, stored_run
from nnmass.training import DivergedError, train, train_stacked

_SMALL_STACK = 8  # networks
_MANY_JOBS = 16


def data_label(data: Data) -> str:
    """Name, source, size and digest of a data set, as the store keeps it."""
    label = f"{data.name} ({data.source}, {len(data.train)} training samples, digest {data.digest[:12]})"
    return plain(label)  # names of files may hold what SQLite does not take


@dataclass(frozen=True)
class Job:
    """Runs that are trained together, and those of them that are kept.

    Attributes:
        runs: as planned: in a stack the last digits of each network depend on the others, so that a stack is trained
            whole even if only some of its rows are missing.
        wanted: keys of those whose rows are missing.
        stacked: whether they are one stack of DenseMLPs.
    """

    runs: tuple[Run, ...]
    wanted: frozenset[str]
    stacked: bool

    @property
    def epochs(self) -> int:
        """Epochs of the runs that are kept."""
        return len(self.wanted) * self.runs[0].config.epochs

    def still_missing(self, store: RunStore) -> "Job":
        """The same, without what someone has finished since."""
        return replace(self, wanted=frozenset(store.missing(sorted(self.wanted))))


def planned_jobs(runs: Sequence[Run], data: Data, stack_size: int) -> list[Job]:
    """Cut a plan into jobs: DenseMLPs of one shape and seed in stacks, others one by one.

    Jobs follow from the plan alone, whatever is finished already and whoever trains them, so that a row does not depend
    on that.  A plan of many networks has at least some jobs, for as many cores.
    """
    stackable = isinstance(data, Dataset) and not runs[0].config.unstacked
    size = min(stack_size, max(_SMALL_STACK, -(-len(runs) // _MANY_JOBS)))
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(_together(run) if stackable else (run.key,), []).append(run)
    jobs = []
    for members in groups.values():
        count = -(-len(members) // size)  # stacks of equal size: half a stack takes half as long
        stacks = [tuple(members[k::count]) for k in range(count)]
        stacked = stackable and isinstance(members[0].spec, DenseMLP)
        jobs += [Job(stack, frozenset(run.key for run in stack), stacked) for stack in stacks]
    return sorted(jobs, key=lambda job: len(job.runs), reverse=True)


def _together(run: Run) -> tuple[Any, ...]:
    """Runs of which this is the same can be trained together."""
    spec = run.spec
    if isinstance(spec, DenseMLP):
        return (run.seed, spec.width, spec.in_features, spec.num_classes, spec.activation)
    return (run.key,)


def train_job(job: Job, data: Data, progress: Callable[[int], None] | None = None) -> list[StoredRun]:
    """Train the runs of one job and return the rows that are wanted."""
    if not job.stacked:
        return [_train_one(run, data, progress) for run in job.runs if run.key in job.wanted]
    assert isinstance(data, Dataset)  # a stream is never stacked
    specs = [run.spec for run in job.runs if isinstance(run.spec, DenseMLP)]

    def tell(_: int) -> None:
        if progress:
            progress(len(job.wanted))

    results = train_stacked(specs, data, job.runs[0].config, seed=job.runs[0].seed, progress=tell)
    return [
        stored_run(run, result.train_loss, result.validation_accuracy[-1], result.test_accuracy, result.answers)
        for run, result in zip(job.runs, results, strict=True)
        if run.key in job.wanted
    ]


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
    return stored_run(run, result.train_loss, result.validation_accuracy[-1], result.test_accuracy, result.answers)

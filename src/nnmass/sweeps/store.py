"""Runs in one SQLite file: atomic, shared by several writers, readable by anything."""

import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from nnmass import atomic
from nnmass.architectures import CifarResNet, DenseCNN, DenseMLP, Specification, WideResNet, spec_from_dict
from nnmass.database import Database
from nnmass.errors import InvalidValueError, SpecificationError, StoreError, first_line
from nnmass.plain_text import plain
from nnmass.representation import brief

_APPLICATION = 0x6E6E6D61  # "nnma", in the header of the file
_VERSION = 1
_COLUMNS = (
    ("key", "TEXT PRIMARY KEY"),
    ("family", "TEXT NOT NULL"),
    ("spec", "TEXT NOT NULL"),
    ("depth", "TEXT NOT NULL"),
    ("nn_mass", "REAL NOT NULL"),
    ("params", "INTEGER NOT NULL"),
    ("macs", "INTEGER NOT NULL"),
    ("data", "TEXT NOT NULL"),
    ("training", "TEXT NOT NULL"),
    ("seed", "INTEGER NOT NULL"),
    ("status", "TEXT NOT NULL CHECK (status IN ('finished', 'diverged'))"),
    ("train_loss", "TEXT NOT NULL"),
    ("validation_accuracy", "REAL"),
    ("test_accuracy", "REAL"),
    ("finished_at", "TEXT NOT NULL"),
)
_ANSWERS = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, samples INTEGER NOT NULL, bits BLOB NOT NULL)"
_KINDS = {"TEXT": str, "INTEGER": int, "REAL": float}
_RANGES = {"nn_mass": 1e18, "params": 2**63, "macs": 2**63, "validation_accuracy": 1, "test_accuracy": 1}
_NAMES = tuple(name for name, _ in _COLUMNS)


@dataclass(frozen=True)
class StoredRun:
    """One row of a store.

    Attributes:
        key: digest of specification, seed, data and training.
        family: of the specification.
        spec: the specification as JSON, without links unless they were given.
        depth: layers: a number, or one per cell as in (5, 7); of a CifarResNet or WideResNet that in its name, of other
            residual networks those in all blocks together.
        nn_mass: NN-Mass.
        params: trainable parameters.
        macs: multiply-accumulates of one input.
        data: data set and source.
        training: the training configuration as JSON.
        seed: of the run.
        status: ``"finished"``, or ``"diverged"``: then there are no accuracies.
        train_loss: mean loss of each epoch as JSON, null where it was not finite.
        validation_accuracy: after the last epoch, in [0, 1].
        test_accuracy: after the last epoch, in [0, 1].
        finished_at: UTC, ISO 8601.
        answers: (test samples,) whether each is classified rightly, in the order of the test part; None where that is
            not known, and in rows that are read from a store, see `RunStore.answers`.
    """

    __repr__ = brief

    key: str
    family: str
    spec: str
    depth: str
    nn_mass: float
    params: int
    macs: int
    data: str
    training: str
    seed: int
    status: str
    train_loss: str
    validation_accuracy: float | None
    test_accuracy: float | None
    finished_at: str
    answers: npt.NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def specification(self) -> Specification:
        """The specification.

        Raises:
            SpecificationError: the row holds none.
        """
        try:
            values = json.loads(self.spec)
        except (ValueError, RecursionError) as error:
            raise SpecificationError(f"run {plain(self.key, limit=40)}: is no JSON ({first_line(error)})") from None
        return spec_from_dict(values, where=f"run {plain(self.key, limit=40)}")


class RunStore:
    """A SQLite file of runs, in write-ahead mode, so that readers and writers do not block each other.

    Args:
        path: the file; made where it is missing, unless ``create`` is false.
        create: whether it may be made.

    Raises:
        StoreError: missing, damaged, or not a run store.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS)
        self._database = Database(
            path,
            name="run store",
            application=_APPLICATION,
            version=_VERSION,
            tables=[f"CREATE TABLE IF NOT EXISTS runs ({columns})"],
            create=create,
            on_demand=[_ANSWERS],
        )
        self.path = self._database.path

    def __repr__(self) -> str:
        return f"RunStore({plain(self.path, limit=200)!r})"

    def add(self, runs: Iterable[StoredRun]) -> None:
        """Add runs in one transaction; those that are there already stay as they are."""
        marks = ", ".join("?" * len(_NAMES))
        insert = f"INSERT INTO runs ({', '.join(_NAMES)}) VALUES ({marks}) ON CONFLICT (key) DO NOTHING"
        with self._database.connect() as connection:
            for run in runs:
                added = connection.execute(insert, [getattr(run, name) for name in _NAMES]).rowcount
                if added and run.answers is not None:
                    connection.execute(_ANSWERS)
                    packed = np.packbits(run.answers).tobytes()
                    connection.execute(
                        "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", [run.key, len(run.answers), packed]
                    )

    def answers(self, keys: Sequence[str]) -> dict[str, npt.NDArray[np.bool_]]:
        """By run, which samples of the test part it classified rightly; runs of which that was not kept are left out.

        Raises:
            StoreError: these are not the answers of the run's test accuracy.
        """
        chosen = set(keys)
        known = "SELECT count(*) FROM sqlite_master WHERE name = 'answers'"
        wanted = "SELECT key, samples, bits, test_accuracy FROM answers JOIN runs USING (key)"
        with self._database.connect() as connection:
            held = connection.execute(known).fetchone()[0]
            rows = [row for row in connection.execute(wanted) if row[0] in chosen] if held else []
        return {key: self._unpacked(key, samples, bits, accuracy) for key, samples, bits, accuracy in rows}

    def _unpacked(self, key: str, samples: Any, bits: Any, accuracy: Any) -> npt.NDArray[np.bool_]:
        if type(samples) is int and isinstance(bits, bytes) and samples > 0 and len(bits) == -(-samples // 8):
            found = np.unpackbits(np.frombuffer(bits, np.uint8), count=samples).astype(bool)
            if int(found.sum()) / samples == accuracy:
                return found
        raise StoreError(f"{self.path}: damaged: run {plain(key, limit=40)}: its answers do not make its test accuracy")

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those of the keys that have no run, in their order."""
        with self._database.connect() as connection:
            found = {key for (key,) in connection.execute("SELECT key FROM runs")}
        return [key for key in keys if key not in found]

    def runs(self, *, data: str | None = None) -> list[StoredRun]:
        """All runs, oldest first; only those whose data is or begins with the name ``data`` where that is given.

        Raises:
            StoreError: a row holds something else than a run, as an accuracy that is no share.
        """
        with self._database.connect() as connection:
            rows = [
                StoredRun(*row) for row in connection.execute(f"SELECT {', '.join(_NAMES)} FROM runs ORDER BY rowid")
            ]
        for run in rows:
            if wrong := _wrong(run):
                raise StoreError(f"{self.path}: damaged: run {plain(run.key, limit=40)}: {wrong}")
        return [run for run in rows if data is None or run.data == data or run.data.startswith(f"{data} (")]

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write all runs to a CSV or Parquet file, chosen by its ending.

        Raises:
            InvalidValueError: another ending.
        """
        target = Path(path)
        rows = [{name: getattr(run, name) for name in _NAMES} for run in self.runs()]
        if target.suffix == ".csv":
            return atomic.write_csv(target, _NAMES, rows)
        if target.suffix == ".parquet":
            buffer = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(rows, schema=_arrow_schema()), buffer)
            return atomic.write_bytes(target, buffer.getvalue())
        raise InvalidValueError(f"{target}: runs are exported to .csv or .parquet, got {target.suffix or 'no ending'}")


def stored_run(
    run: Any,
    train_loss: Sequence[float],
    validation_accuracy: float,
    test_accuracy: float,
    answers: npt.NDArray[np.bool_] | None = None,
) -> StoredRun:
    """Make the row of a trained `Run`; one whose loss was not finite has diverged, and keeps no accuracy."""
    finite = [loss if abs(loss) < float("inf") else None for loss in train_loss]
    diverged = None in finite
    return StoredRun(
        key=run.key,
        family=run.spec.family,
        spec=run.spec.model_dump_json(exclude_none=True),
        depth=_depth(run.spec),
        nn_mass=run.spec.nn_mass,
        params=run.spec.params,
        macs=run.spec.macs,
        data=run.data,
        training=run.config.model_dump_json(),
        seed=run.seed,
        status="diverged" if diverged else "finished",
        train_loss=json.dumps(finite),
        validation_accuracy=None if diverged else validation_accuracy,
        test_accuracy=None if diverged else test_accuracy,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        answers=None if diverged else answers,
    )


def _wrong(run: StoredRun) -> str:
    """What no run holds, in a row of a file that somebody may have changed; empty if there is nothing."""
    for name, kind in _COLUMNS:
        value = getattr(run, name)
        optional = value is None and "NOT NULL" not in kind
        if not optional and not isinstance(value, _KINDS[kind.split()[0]]):
            return f"{name} is {plain(repr(value), limit=40)}"
    for name, most in _RANGES.items():
        value = getattr(run, name)
        if value is not None and not 0 <= value <= most:
            return f"{name} is {value}, which lies outside 0 … {most:g}"
    if (run.status == "finished") != (run.test_accuracy is not None and run.validation_accuracy is not None):
        return f"it is {run.status}, with a test accuracy of {run.test_accuracy}"
    return "" if _are_losses(run.train_loss) else "train_loss is no list of numbers"


def _are_losses(text: str) -> bool:
    try:
        losses = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return False
    return isinstance(losses, list) and all(
        loss is None or (type(loss) in (int, float) and abs(loss) < float("inf")) for loss in losses
    )


def _arrow_schema() -> pa.Schema:
    kinds = {"REAL": pa.float64(), "INTEGER": pa.int64(), "TEXT": pa.string()}
    return pa.schema([(name, kinds[kind.split()[0]]) for name, kind in _COLUMNS])


def _depth(spec: Specification) -> str:
    if isinstance(spec, DenseMLP | DenseCNN | CifarResNet | WideResNet):
        return str(spec.depth)
    return str(sum(cell.depth for cell in spec.cells))

"""Measured milliseconds of blocks, in one SQLite file; read without PyTorch."""

import copy
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from statistics import median
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nnmass.architectures import Specification
from nnmass.database import Database
from nnmass.errors import LatencyError, StoreError, first_line
from nnmass.latency.blocks import KINDS, Block, blocks_of
from nnmass.latency.monotone import Smoothed, smoothed
from nnmass.latency.times import Latency, Timing, known_from, total
from nnmass.plain_text import plain

_APPLICATION = 0x6E6E6C74  # "nnlt", in the header of the file
_VERSION = 3
_LARGEST = 2**31
_LEAST_TIME, _MOST_TIME = 1e-9, 1e12
_INTERPOLATED = {"dense_layer": ("inputs",), "linear": ("inputs", "skips")}
"""Kinds whose latency is interpolated along a size; what else changes with it is left out of the look-up."""
End: TypeAlias = Literal["ms", "low_ms", "high_ms"]
"""Which milliseconds: the estimates, or one of their bounds."""


@dataclass(frozen=True)
class Conditions:
    """What latencies depend on besides the network.

    Attributes:
        device: processor and number of cores.
        engine: ``"eager"``, ``"compile"`` or ``"onnxruntime"``.
        threads: that one operator may use.
        batch: inputs at once.
        version: of the engine's library.
    """

    device: str
    engine: str
    threads: int
    batch: int
    version: str

    def __str__(self) -> str:
        return f"{self.device}, {self.engine} {self.version}, {self.threads} threads, batch {self.batch}"


class Prediction(NamedTuple):
    """Latency of a network as the sum of its blocks.

    Attributes:
        latency: of the network.
        blocks: per block its own.
        unstable: those of the blocks whose passes leave their latency open (`Latency.is_wide`), each once.
    """

    latency: Latency
    blocks: tuple[tuple[Block, Latency], ...]
    unstable: tuple[Block, ...] = ()


class LatencyTable:
    """Latencies of blocks under one set of conditions, in a SQLite file that may hold several.

    The file keeps every pass of every block as it was timed.  What is read from it are estimates with bounds
    (`known_from`), made to agree with the order of the blocks (`smoothed`).

    Args:
        path: the file; made where it is missing, if ``create``.
        conditions: those to read and write; None: the only ones of the file.
        create: whether the file may be made.

    Raises:
        LatencyError: the file holds other conditions, or several and none was named.
        StoreError: missing, damaged, or no latency table.
    """

    def __init__(
        self, path: str | os.PathLike[str], conditions: Conditions | None = None, *, create: bool = False
    ) -> None:
        self._database = _open(path, create=create)
        self.path = self._database.path
        self._end: End = "ms"
        self._usual: float | None = None
        held = _held(self._database)
        if conditions is None:
            if len(held) != 1:
                raise LatencyError(f"{self.path}: holds {_listing(held)}; say which device, engine, threads and batch")
            conditions = held[0]
        elif not create and conditions not in held:
            raise LatencyError(f"{self.path}: holds no latencies of {conditions}, but {_listing(held)}")
        self.conditions = conditions
        self._read()

    def __repr__(self) -> str:
        return f"LatencyTable({plain(self.path, limit=200)!r}, {plain(self.conditions, limit=100)})"

    @staticmethod
    def held_by(path: str | os.PathLike[str]) -> list[Conditions]:
        """All conditions that a file has latencies of.

        Raises:
            StoreError: missing, damaged, or no latency table.
        """
        return _held(_open(path, create=False))

    def add(self, block: Block, timing: Timing) -> None:
        """Keep one more pass of a block."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = (*astuple(self.conditions), block.kind, json.dumps(block.sizes), *timing, now)
        names = ", ".join((*(field.name for field in _FIELDS), "kind", "sizes", *Timing._fields, "measured_at"))
        with self._database.connect() as connection:
            connection.execute(f"INSERT INTO passes ({names}) VALUES ({', '.join('?' * len(row))})", row)
        self._passes.setdefault(block, []).append(timing)
        self._forget()

    @property
    def usual_ms(self) -> float | None:
        """What the yardstick took at the median over all passes: milliseconds are stated for that speed."""
        if self._usual is None and self._passes:
            self._usual = median(timing.yardstick_ms for passes in self._passes.values() for timing in passes)
        return self._usual

    def __len__(self) -> int:
        """Blocks that were measured."""
        return len(self._passes)

    def missing(self, blocks: Iterable[Block]) -> list[Block]:
        """Those of the blocks, each once, that neither were measured nor can be interpolated."""
        return [block for block in dict.fromkeys(blocks) if not self._covers(block)]

    def passes(self, block: Block) -> tuple[Timing, ...]:
        """What was measured of a block, pass by pass."""
        return tuple(self._passes.get(block, ()))

    def latency(self, block: Block) -> Latency:
        """Milliseconds of a block; of layers with skips interpolated linearly in their input channels.

        Raises:
            LatencyError: it was not measured.
        """
        known = self._smoothed.latencies.get(block)
        if known is not None:
            return known
        if not self._covers(block):
            raise LatencyError(
                f"{self.path}: {block} was not measured; nnmass bench with the same space fills the table"
            )
        inputs, values = self._curve(block)
        columns = zip(*values, strict=True)
        return Latency(*(float(np.interp(_along(block), inputs, column)) for column in columns))

    def at(self, end: End) -> "LatencyTable":
        """This table with bounds in place of its estimates, where it gives single numbers."""
        _ = self._smoothed  # once for both
        table = copy.copy(self)
        table._end = end
        return table

    def latencies(self, kind: str, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Milliseconds of many blocks of one kind.

        Args:
            kind: of the blocks.
            sizes: (n, sizes) one row per block.

        Returns:
            (n,), see `latency` and `at`.

        Raises:
            LatencyError: a block that was not measured.
        """
        rows, inverse = np.unique(np.asarray(sizes, np.int64), axis=0, return_inverse=True)
        found = np.array([getattr(self.latency(Block(kind, tuple(row))), self._end) for row in rows.tolist()])
        return np.asarray(found[inverse.ravel()])

    def milliseconds(self, spec: Specification) -> float:
        """Milliseconds of a whole network, see `at`.

        Raises:
            LatencyError: a block of it was not measured.
        """
        return float(getattr(self.predict(spec).latency, self._end))

    def predict(self, spec: Specification) -> Prediction:
        """Latency of a whole network.

        Raises:
            LatencyError: a block of it was not measured.
        """
        parts = tuple((block, self.latency(block)) for block in blocks_of(spec))
        measured = dict.fromkeys(block for block, _ in parts if block in self._passes)
        unstable = tuple(block for block in measured if self.measured(block).is_wide)
        return Prediction(total(latency for _, latency in parts), parts, unstable)

    def difference(self, spec: Specification, other: Specification) -> Latency:
        """What a network takes longer than another: blocks that both have cancel.

        Raises:
            LatencyError: a block of one was not measured.
        """
        counts = Counter(blocks_of(spec))
        counts.subtract(blocks_of(other))
        return total(_times(count, self.latency(block)) for block, count in counts.items() if count)

    def unstable(self) -> list[Block]:
        """Blocks whose passes leave their latency open."""
        return [block for block in self._passes if self.measured(block).is_wide]

    def exceptions(self) -> tuple[tuple[Block, Block], ...]:
        """Pairs of a block and a larger one that takes less time, by more than noise explains."""
        return self._smoothed.exceptions

    def measured(self, block: Block) -> Latency:
        """What the passes of a block say by themselves, before larger and smaller blocks are looked at.

        Raises:
            LatencyError: it was not measured.
        """
        if block not in self._passes:
            raise LatencyError(f"{self.path}: {block} was not measured")
        usual_ms = self.usual_ms
        assert usual_ms is not None
        if block not in self._measured:
            self._measured[block] = known_from([timing.stated_for(usual_ms) for timing in self._passes[block]])
        return self._measured[block]

    def _read(self) -> None:
        where = " AND ".join(f"{field.name} = ?" for field in _FIELDS)
        with self._database.connect() as connection:
            rows = connection.execute(
                f"SELECT kind, sizes, {', '.join(Timing._fields)} FROM passes WHERE {where} ORDER BY number",
                astuple(self.conditions),
            ).fetchall()
        self._passes: dict[Block, list[Timing]] = {}
        for block, timing in map(self._kept, rows):
            self._passes.setdefault(block, []).append(timing)
        self._forget()

    def _forget(self) -> None:
        """What is derived from the passes is derived again."""
        self._derived: Smoothed | None = None
        self._measured: dict[Block, Latency] = {}
        self._usual = None
        self._curves: dict[tuple[str, tuple[int, ...]], tuple[list[int], list[Latency]]] = {}

    @property
    def _smoothed(self) -> Smoothed:
        if self._derived is None:
            self._derived = smoothed({block: self.measured(block) for block in self._passes})
        return self._derived

    def _kept(self, row: Sequence[Any]) -> tuple[Block, Timing]:
        """The block and timing of a row, of a file that somebody may have changed."""
        kind, sizes, *rest = row
        try:
            numbers = json.loads(sizes)
            if not isinstance(numbers, list) or not all(type(size) is int and 0 <= size < _LARGEST for size in numbers):
                raise ValueError("sizes of a block are whole numbers")
            block, timing = Block(kind, tuple(numbers)), Timing(*rest)
            _check(timing)
        except (ValueError, TypeError, RecursionError) as error:
            shown = plain(f"{kind} {sizes}", limit=80)
            raise StoreError(f"{self.path}: damaged: block {shown}: {first_line(error)}") from None
        return block, timing

    def _covers(self, block: Block) -> bool:
        if block in self._passes:
            return True
        inputs, _ = self._curve(block)
        return bool(inputs) and inputs[0] <= _along(block) <= inputs[-1]

    def _curve(self, block: Block) -> tuple[list[int], list[Latency]]:
        """Measured input channels and latencies of blocks that differ from this one in nothing else."""
        if block.kind not in _INTERPOLATED:
            return [], []
        key = (block.kind, _others(block))
        if not self._curves:
            for other, latency in sorted(self._smoothed.latencies.items()):
                if other.kind in _INTERPOLATED:
                    inputs, values = self._curves.setdefault((other.kind, _others(other)), ([], []))
                    inputs.append(_along(other))
                    values.append(latency)
        return self._curves.get(key, ([], []))


_FIELDS = fields(Conditions)


def _check(timing: Timing) -> None:
    """Refuse what no pass comes to."""
    median_ms, p10_ms, p90_ms, p99_ms = timing[:4]
    if not all(map(_is_time, (*timing[:4], timing.speed, timing.usual_ms))):
        raise ValueError(f"times and speeds are numbers from {_LEAST_TIME:g} to {_MOST_TIME:g}")
    if not p10_ms <= median_ms <= p90_ms <= p99_ms:
        raise ValueError("percentiles of times ascend")
    if type(timing.repeats) is not int or not 0 <= timing.drift <= 1 or not isinstance(timing.unstable, str):
        raise ValueError("repeats are a whole number, a drift lies in 0 … 1, why a pass is not steady is a text")


def _is_time(value: Any) -> bool:
    return type(value) is float and _LEAST_TIME <= value <= _MOST_TIME


def _open(path: str | os.PathLike[str], *, create: bool) -> Database:
    keys = ", ".join(f"{field.name} {'INTEGER' if field.type is int else 'TEXT'} NOT NULL" for field in _FIELDS)
    times = ", ".join(f"{name} REAL NOT NULL" for name in Timing._fields[:4])
    passes = (
        f"CREATE TABLE IF NOT EXISTS passes (number INTEGER PRIMARY KEY, {keys}, kind TEXT NOT NULL, "
        f"sizes TEXT NOT NULL, {times}, repeats INTEGER NOT NULL, unstable TEXT NOT NULL, speed REAL NOT NULL, "
        "drift REAL NOT NULL, usual_ms REAL NOT NULL, measured_at TEXT NOT NULL)"
    )
    return Database(
        path,
        name="latency table",
        application=_APPLICATION,
        version=_VERSION,
        tables=[passes],
        create=create,
    )


def _held(database: Database) -> list[Conditions]:
    names = ", ".join(field.name for field in _FIELDS)
    with database.connect() as connection:
        rows = connection.execute(f"SELECT DISTINCT {names} FROM passes ORDER BY {names}").fetchall()
    return [Conditions(*row) for row in rows]


def _times(count: int, latency: Latency) -> Latency:
    """A latency so many times; of a negative number the bounds change places."""
    ms, low, high = (count * value for value in latency)
    return Latency(ms, min(low, high), max(low, high))


def _along(block: Block) -> int:
    return block.sizes[KINDS[block.kind].index("inputs")]


def _others(block: Block) -> tuple[int, ...]:
    left_out = _INTERPOLATED[block.kind]
    return tuple(size for name, size in zip(KINDS[block.kind], block.sizes, strict=True) if name not in left_out)


def _listing(held: Sequence[Conditions]) -> str:
    return "; ".join(map(str, held)) or "nothing"

"""Measured milliseconds of blocks, in one SQLite file; read without PyTorch."""

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nnmass.architectures import Specification
from nnmass.database import Database
from nnmass.errors import LatencyError, StoreError, first_line
from nnmass.latency.blocks import KINDS, Block, blocks_of
from nnmass.plain_text import plain

_APPLICATION = 0x6E6E6C74  # "nnlt", in the header of the file
_VERSION = 2
_LARGEST = 2**31
_INTERPOLATED = {"dense_layer": ("inputs",), "linear": ("inputs", "skips")}
"""Kinds whose latency is interpolated along a size; what else changes with it is left out of the look-up."""


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


class Timing(NamedTuple):
    """Latency of one block or network, in milliseconds.

    Attributes:
        median_ms: median over the repeats.
        p10_ms: tenth percentile.
        p90_ms: ninetieth percentile.
        p99_ms: ninety-ninth percentile.
        repeats: how many were timed.
        unstable: why the times cannot be trusted: they differed too much, or the machine was at another speed; empty
            where they can.
    """

    median_ms: float
    p10_ms: float
    p90_ms: float
    p99_ms: float
    repeats: int
    unstable: str = ""


class Prediction(NamedTuple):
    """Latency of a network as the sum of its blocks.

    Attributes:
        total_ms: milliseconds.
        blocks: per block its milliseconds.
        unstable: those of the blocks whose measurement cannot be trusted, each once.
    """

    total_ms: float
    blocks: tuple[tuple[Block, float], ...]
    unstable: tuple[Block, ...] = ()


class LatencyTable:
    """Latencies of blocks under one set of conditions, in a SQLite file that may hold several.

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
        self.usual_ms: float | None = None
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
        """Keep the latency of a block; one that is there already is replaced."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = (*astuple(self.conditions), block.kind, json.dumps(block.sizes), *timing, now)
        names = ", ".join((*(field.name for field in _FIELDS), "kind", "sizes", *Timing._fields, "measured_at"))
        with self._database.connect() as connection:
            connection.execute(f"INSERT OR REPLACE INTO blocks ({names}) VALUES ({', '.join('?' * len(row))})", row)
        self._known[block] = timing
        self._curves.clear()

    def set_usual_ms(self, usual_ms: float) -> None:
        """Keep what the yardstick takes at the speed that the milliseconds are stated for."""
        row = (*astuple(self.conditions), usual_ms)
        with self._database.connect() as connection:
            connection.execute(f"INSERT OR REPLACE INTO speeds VALUES ({', '.join('?' * len(row))})", row)
        self.usual_ms = usual_ms

    def __len__(self) -> int:
        """Blocks that were measured."""
        return len(self._known)

    def missing(self, blocks: Iterable[Block]) -> list[Block]:
        """Those of the blocks, each once, that neither were measured nor can be interpolated."""
        return [block for block in dict.fromkeys(blocks) if not self._covers(block)]

    def timing(self, block: Block) -> Timing | None:
        """What was measured of a block; None if nothing was."""
        return self._known.get(block)

    def latencies(self, kind: str, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Milliseconds of many blocks of one kind.

        Args:
            kind: of the blocks.
            sizes: (n, sizes) one row per block.

        Returns:
            (n,) as measured; layers with skips interpolated linearly in their input channels.

        Raises:
            LatencyError: a block that was not measured.
        """
        rows, inverse = np.unique(np.asarray(sizes, np.int64), axis=0, return_inverse=True)
        found = np.array([self._latency(Block(kind, tuple(row))) for row in rows.tolist()])
        return np.asarray(found[inverse.ravel()])

    def predict(self, spec: Specification) -> Prediction:
        """Latency of a whole network.

        Raises:
            LatencyError: a block of it was not measured.
        """
        parts = tuple((block, self._latency(block)) for block in blocks_of(spec))
        blocks = dict.fromkeys(block for block, _ in parts)
        unstable = tuple(block for block in blocks if (known := self.timing(block)) and known.unstable)
        return Prediction(sum(ms for _, ms in parts), parts, unstable)

    def unstable(self) -> list[Block]:
        """Blocks whose measurement cannot be trusted."""
        return [block for block, timing in self._known.items() if timing.unstable]

    def _read(self) -> None:
        where = " AND ".join(f"{field.name} = ?" for field in _FIELDS)
        with self._database.connect() as connection:
            rows = connection.execute(
                f"SELECT kind, sizes, {', '.join(Timing._fields)} FROM blocks WHERE {where}",
                astuple(self.conditions),
            ).fetchall()
            speed = connection.execute(
                f"SELECT usual_ms FROM speeds WHERE {where}", astuple(self.conditions)
            ).fetchone()
        self._known = dict(self._kept(row) for row in rows)
        self._curves: dict[tuple[str, tuple[int, ...]], tuple[list[int], list[float]]] = {}
        self.usual_ms = speed[0] if speed else None
        if speed and not _is_time(self.usual_ms):
            raise StoreError(f"{self.path}: damaged: the yardstick's time is {plain(repr(speed[0]), limit=40)}")

    def _kept(self, row: Sequence[Any]) -> tuple[Block, Timing]:
        """The block and timing of a row, of a file that somebody may have changed."""
        kind, sizes, *rest = row
        try:
            numbers = json.loads(sizes)
            if not isinstance(numbers, list) or not all(type(size) is int and 0 <= size < _LARGEST for size in numbers):
                raise ValueError("sizes of a block are whole numbers")
            block, timing = Block(kind, tuple(numbers)), Timing(*rest)
            if not all(map(_is_time, timing[:4])) or type(timing.repeats) is not int:
                raise ValueError("times are positive and finite")
        except (ValueError, TypeError, RecursionError) as error:
            shown = plain(f"{kind} {sizes}", limit=80)
            raise StoreError(f"{self.path}: damaged: block {shown}: {first_line(error)}") from None
        return block, timing

    def _covers(self, block: Block) -> bool:
        if block in self._known:
            return True
        inputs, _ = self._curve(block)
        return bool(inputs) and inputs[0] <= _along(block) <= inputs[-1]

    def _latency(self, block: Block) -> float:
        known = self._known.get(block)
        if known is not None:
            return known.median_ms
        if not self._covers(block):
            raise LatencyError(
                f"{self.path}: {block} was not measured; nnmass bench with the same space fills the table"
            )
        return float(np.interp(_along(block), *self._curve(block)))

    def _curve(self, block: Block) -> tuple[list[int], list[float]]:
        """Measured input channels and milliseconds of blocks that differ from this one in nothing else."""
        if block.kind not in _INTERPOLATED:
            return [], []
        key = (block.kind, _others(block))
        if not self._curves:
            for other, timing in sorted(self._known.items()):
                if other.kind in _INTERPOLATED:
                    inputs, values = self._curves.setdefault((other.kind, _others(other)), ([], []))
                    inputs.append(_along(other))
                    values.append(timing.median_ms)
        return self._curves.get(key, ([], []))


_FIELDS = fields(Conditions)


def _is_time(value: Any) -> bool:
    return type(value) is float and 0 < value < math.inf


def _open(path: str | os.PathLike[str], *, create: bool) -> Database:
    keys = ", ".join(f"{field.name} {'INTEGER' if field.type is int else 'TEXT'} NOT NULL" for field in _FIELDS)
    names = ", ".join(field.name for field in _FIELDS)
    times = ", ".join(f"{name} REAL NOT NULL" for name in Timing._fields if name.endswith("_ms"))
    blocks = (
        f"CREATE TABLE IF NOT EXISTS blocks ({keys}, kind TEXT NOT NULL, sizes TEXT NOT NULL, {times}, "
        "repeats INTEGER NOT NULL, measured_at TEXT NOT NULL, unstable TEXT NOT NULL, "
        f"PRIMARY KEY ({names}, kind, sizes))"
    )
    speeds = f"CREATE TABLE IF NOT EXISTS speeds ({keys}, usual_ms REAL NOT NULL, PRIMARY KEY ({names}))"
    return Database(
        path,
        name="latency table",
        application=_APPLICATION,
        version=_VERSION,
        tables=[blocks, speeds],
        create=create,
    )


def _held(database: Database) -> list[Conditions]:
    names = ", ".join(field.name for field in _FIELDS)
    with database.connect() as connection:
        rows = connection.execute(f"SELECT DISTINCT {names} FROM blocks ORDER BY {names}").fetchall()
    return [Conditions(*row) for row in rows]


def _along(block: Block) -> int:
    return block.sizes[KINDS[block.kind].index("inputs")]


def _others(block: Block) -> tuple[int, ...]:
    left_out = _INTERPOLATED[block.kind]
    return tuple(size for name, size in zip(KINDS[block.kind], block.sizes, strict=True) if name not in left_out)


def _listing(held: Sequence[Conditions]) -> str:
    return "; ".join(map(str, held)) or "nothing"

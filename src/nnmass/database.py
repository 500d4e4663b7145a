"""SQLite files of one kind each: atomic, in write-ahead mode, refused where they are of another kind or damaged."""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nnmass import atomic
from nnmass.errors import StoreError, require_path
from nnmass.plain_text import plain

_WAIT = 60.0  # seconds that a writer waits for another
_NOT_WRITTEN = {
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY,
}  # fmt: skip


class Database:
    """A SQLite file whose header says what it is; readers and writers do not block each other.

    Args:
        path: the file; made where it is missing, unless ``create`` is false.
        name: what it is, for messages: "run store".
        application: SQLite's application id.
        version: of the tables.
        tables: statements that make them.
        create: whether it may be made.
        on_demand: statements that make tables which a file need not have; whoever writes the first row executes them.

    Raises:
        StoreError: missing, damaged, or not such a file.
        DestinationError: it cannot be made.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str,
        application: int,
        version: int,
        tables: Sequence[str],
        create: bool = True,
        on_demand: Sequence[str] = (),
    ) -> None:
        require_path(path)
        self.path, self.name = Path(path), name
        self.application, self.version = application, version
        self.tables, self.on_demand = tuple(tables), tuple(on_demand)
        if not create and not self.path.is_file():
            raise StoreError(f"{self.path}: no such {name}")
        if self.path.exists() and not self.path.is_file():
            raise StoreError(f"{self.path}: is not a file")
        if not self.path.exists():
            atomic.require_writable(self.path.parent).mkdir(parents=True, exist_ok=True)
        with self.connect() as connection:
            self._prepare(connection)

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction.

        Raises:
            StoreError: the file is damaged, or it cannot be read or written; says why.
        """
        try:
            connection = self._opened()
            try:
                connection.execute("PRAGMA trusted_schema = OFF")  # the file may be somebody else's
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {self._reason(error)}") from None

    def _opened(self) -> sqlite3.Connection:
        if _is_settled(self.path) and not os.access(self.path.parent, os.W_OK):
            # Write-ahead mode needs a file beside this one, which can be neither made nor needed here.
            return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", timeout=_WAIT, uri=True)
        return sqlite3.connect(self.path, timeout=_WAIT)

    def _reason(self, error: sqlite3.Error) -> str:
        if _is_busy(error):
            return f"another program has it locked, for more than {_WAIT:.0f} s"
        if _code(error) in _NOT_WRITTEN:
            return f"cannot be read or written ({error}); what it held before is kept"
        return f"damaged, or not a {self.name} ({error})"

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN")  # so that all are read of one state, whoever else makes the file
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        connection.execute("COMMIT")
        if application == 0 and tables == 0:
            _write_ahead(connection)
            connection.execute("BEGIN IMMEDIATE")
            for statement in self.tables:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {self.application}")
            connection.execute(f"PRAGMA user_version = {self.version}")
        elif application != self.application:
            raise StoreError(f"{self.path}: is a SQLite file, but not a {self.name}")
        elif version != self.version:
            raise StoreError(f"{self.path}: has version {version}, this program reads version {self.version}")
        else:
            self._check_tables(connection)

    def _check_tables(self, connection: sqlite3.Connection) -> None:
        """Refuse what this program does not make: views, triggers and computed columns do work when they are read."""
        held = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND substr(name, 1, 7) != 'sqlite_'"
        found = {sql for (sql,) in connection.execute(held)}
        needed, known = (
            {statement.replace("IF NOT EXISTS ", "") for statement in statements}
            for statements in (self.tables, self.tables + self.on_demand)
        )
        if not needed <= found <= known:
            other = plain(min(found - known, default="fewer tables"), limit=80)
            raise StoreError(f"{self.path}: is not a {self.name} as this program makes them: it holds {other}")


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF  # without what SQLite adds to it


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _is_settled(path: Path) -> bool:
    """Whether a file holds everything: nothing is in a log beside it that belongs to it."""
    log = Path(f"{path}-wal")
    return path.is_file() and not (log.exists() and log.stat().st_size)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead mode; SQLite itself does not wait here for another process that makes the same file."""
    deadline = time.monotonic() + _WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return

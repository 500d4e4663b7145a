"""SQLite files of one kind each: atomic, in write-ahead mode, refused where they are of another kind or damaged."""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nnmass.errors import StoreError
from nnmass.plain_text import plain

_WAIT = 60.0  # seconds that a writer waits for another


class Database:
    """A SQLite file whose header says what it is; readers and writers do not block each other.

    Args:
        path: the file; made where it is missing, unless ``create`` is false.
        name: what it is, for messages: "run store".
        application: SQLite's application id.
        version: of the tables.
        tables: statements that make them.
        create: whether it may be made.

    Raises:
        StoreError: missing, damaged, or not such a file.
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
    ) -> None:
        self.path, self.name = Path(path), name
        self.application, self.version, self.tables = application, version, tuple(tables)
        if not create and not self.path.is_file():
            raise StoreError(f"{self.path}: no such {name}")
        if self.path.exists() and not self.path.is_file():
            raise StoreError(f"{self.path}: is not a file")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be made ({error.strerror})") from None
        with self.connect() as connection:
            self._prepare(connection)

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction."""
        try:
            connection = sqlite3.connect(self.path, timeout=_WAIT)
            try:
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: damaged, or not a {self.name} ({error})") from None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN")  # so that all three are read of one state, whoever else makes the file
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
        expected = {statement.replace("IF NOT EXISTS ", "") for statement in self.tables}
        if found != expected:
            other = plain(min(found - expected, default="fewer tables"), limit=80)
            raise StoreError(f"{self.path}: is not a {self.name} as this program makes them: it holds {other}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead mode; SQLite itself does not wait here for another process that makes the same file."""
    deadline = time.monotonic() + _WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return

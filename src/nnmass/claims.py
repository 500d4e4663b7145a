"""Who works on what, where several processes share a file: claims that end with the process that made them."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from nnmass.errors import StoreError

try:
    import fcntl
except ImportError:  # Windows: work may be done twice there, with one result
    fcntl = None  # type: ignore[assignment]

_TAKEN = {errno.EAGAIN, errno.EACCES}


class Claims:
    """Claims of one process, as locks on single bytes of a file of no length; the system forgets those of the dead.

    Args:
        path: of that file; it is removed when the last process is done with it.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Claims(f"{folder}/claims") as claims:
        ...     claims.take(["a", "b"])
        True
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._file = self._opened()

    def take(self, names: Iterable[str]) -> bool:
        """Claim all of these names, or none of them where another process has one of them."""
        taken: list[str] = []
        for name in names:
            if not self._lock(_place(name)):
                self.release(taken)
                return False
            taken.append(name)
        return True

    def release(self, names: Iterable[str]) -> None:
        """Give claims up."""
        for name in names:
            if fcntl is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(name))

    def __enter__(self) -> "Claims":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give all claims up."""
        if self._lock(0, length=0) and self._is_current():  # nobody else has a claim in it
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _opened(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def _is_current(self) -> bool:
        """Whether the file is still the one of that name."""
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _lock(self, place: int, *, length: int = 1) -> bool:
        if fcntl is None:
            return True
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, place)
            except OSError as error:  # a file system without locks grants all
                return error.errno not in _TAKEN
            if length != 1 or self._is_current():
                return True
            os.close(self._file)  # the last of the others has removed it; nothing was claimed in this one
            self._file = self._opened()


@contextmanager
def alone(path: str | os.PathLike[str], doing: str) -> Iterator[None]:
    """Let one process at a time do something.

    Args:
        path: of a file for `Claims`.
        doing: what it does: "trains in this folder".

    Raises:
        StoreError: another process is at it.
    """
    with Claims(path) as claims:
        if not claims.take([doing]):
            raise StoreError(f"{Path(path).parent}: another process {doing}; wait for it, or take another folder")
        yield


def _place(name: str) -> int:
    """A byte of the file, by which two names are as good as never mistaken for each other."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")

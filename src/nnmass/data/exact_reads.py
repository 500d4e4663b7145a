"""Bytes that a header promises: as many as it says, neither fewer nor more."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from nnmass.errors import DataError

_CHUNK = 2**20


class Readable(Protocol):
    """What gives bytes: a file, or what unpacks one."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


def read_exactly(stream: Readable, count: int, *, where: str) -> npt.NDArray[np.uint8]:
    """Read the last ``count`` bytes of a stream; memory is taken as they come, not as they are promised.

    Raises:
        DataError: fewer, or more.
    """
    content = np.empty(count, np.uint8)  # the system hands out its pages when they are written
    done = 0
    while done < count:
        chunk = stream.read(min(_CHUNK, count - done))
        if not chunk:
            raise DataError(f"{where}, but holds {done}")
        content[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)
    if stream.read(1):
        raise DataError(f"{where}, but holds more than {count}")
    return content

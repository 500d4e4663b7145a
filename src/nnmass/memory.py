"""What this machine can hold, asked before it is taken."""

import os
from functools import cache
from pathlib import Path

from nnmass.errors import ResourceError

_CONTROL_GROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


@cache
def machine_memory() -> int:
    """Bytes of memory that this machine, or the container, has."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_container_limits()])


def _container_limits() -> list[int]:
    texts = [path.read_text().strip() for path in _CONTROL_GROUPS if path.is_file()]
    return [int(text) for text in texts if text.isdecimal()]


def require_memory(needed: float, what: str) -> None:
    """Refuse what needs more memory than the machine has, before it is begun.

    Args:
        needed: bytes.
        what: what needs them: "images of 10⁹ pixels".

    Raises:
        ResourceError: the machine has less.
    """
    if needed > machine_memory():
        raise ResourceError(f"{what}: needs {bytes_text(needed)} of memory; this machine has {_machine()}")


def _machine() -> str:
    return bytes_text(machine_memory())


def bytes_text(count: float) -> str:
    """State a number of bytes.

    Examples:
        >>> bytes_text(512), bytes_text(1536), bytes_text(3 * 2**30)
        ('512 bytes', '1.5 KiB', '3.0 GiB')
    """
    unit, power = 0, float(count)
    while power >= 1024 and unit < len(_UNITS) - 1:
        unit, power = unit + 1, power / 1024
    return f"{power:,.0f} {_UNITS[0]}" if unit == 0 else f"{power:,.1f} {_UNITS[unit]}"

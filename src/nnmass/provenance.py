"""What was run, with what, where and when: the header of every kept result."""

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nnmass.version import __version__

_PACKAGES = ("numpy", "scipy", "torch", "scikit-learn", "timm")


def provenance(*, seed: int | None = None) -> dict[str, Any]:
    """Describe this process: command, versions, seed, hardware and date (UTC, ISO 8601)."""
    command = " ".join([os.path.basename(sys.argv[0]), *map(shlex.quote, sys.argv[1:])])
    return {
        "command": command,
        "versions": versions(),
        "seed": seed,
        "hardware": {"processor": processor(), "cores": os.cpu_count(), "system": platform.platform()},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Versions of nnmass, of Python and of the libraries that results depend on; none of them is loaded for it."""
    found = {"python": platform.python_version(), "nnmass": __version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        with open("/proc/cpuinfo") as stream:
            names = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()

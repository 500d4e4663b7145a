"""Peak memory of a computation: exact tensor bytes, and the process's resident set."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nnmass.timing import peak_bytes

COUNTED = (
    "bytes that PyTorch's CPU allocator holds at once during one step, beyond those held before it: activations, "
    "temporaries, gradients of activations and parameters; parameters, buffers and the batch are not in it, nor is "
    "scratch memory that oneDNN or MKL allocate by themselves"
)
RESIDENT = (
    "a fresh process per network, one step to warm up: highest resident set (VmHWM, reset) during the second step less "
    "the resident set before it"
)


def check_counter() -> None:
    """Hold `peak_bytes` against a case whose peak is known.

    Raises:
        SystemExit: this PyTorch reports its allocations otherwise.
    """

    def known() -> None:
        a = torch.empty(1_000_000)  # 4 MB
        b = torch.empty(2_000_000)  # 12 MB, the peak
        del a
        c = torch.empty(500_000)  # 10 MB
        del b, c

    found = peak_bytes(known)
    if found != 12_000_000:
        raise SystemExit(f"counting tensor bytes gave {found} where 12000000 are held: this PyTorch is not understood")


def peak_resident(function: Callable[[], Any]) -> int | None:
    """Growth of the resident set at its highest while the function runs, in bytes; None where Linux does not tell."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        before = _status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        function()
        return _status("VmHWM") - before
    except OSError:
        return None


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

"""What the processes of tests/test_processes.py work on: they import it by name."""

import os
import signal

from nnmass.errors import RefusedError


def half(number):
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 14:
        os._exit(7)
    return number / 2


def halves(number, tell):
    for _ in range(number):
        tell(1)
    return half(number)


def fail(number):
    raise ZeroDivisionError(f"not {number}")


def refuse(number):
    raise RefusedError("layer", "it multiplies", params=1, macs=number)


def deaf(number):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return number

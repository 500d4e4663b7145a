"""Ctrl-C: one line that is true, whenever it comes.

Loads nothing, so that a command which is still loading can be interrupted too.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

EXIT_CODE = 130
_IMPORTS = "<frozen importlib"
_SHOW_CURSOR = "\x1b[?25h"
_UNFINISHED = "before anything was finished"


class _Interruption:
    """What this process knows of Ctrl-C.

    Attributes:
        came: whether it was pressed.
        kept: says what is kept of the work so far, and what becomes of it; empty where nothing is.
    """

    came = False
    kept: Callable[[], str] | None = None


_state = _Interruption()


def listen() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt once, and ends the process at once when it comes again."""
    _state.came, _state.kept = False, None
    here = threading.current_thread() is threading.main_thread()
    if here and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as of work in the background
        signal.signal(signal.SIGINT, _interrupt)


def keeps(kept: Callable[[], str]) -> None:
    """From now on a command that is interrupted has kept something.

    Args:
        kept: says at that moment what, and what becomes of it: "runs.sqlite holds 12 runs, and …"; empty for nothing.
    """
    _state.kept = kept


def interrupted() -> bool:
    """Whether Ctrl-C was pressed."""
    return _state.came


def end(code: int) -> NoReturn:
    """End the process, whose work is over: Ctrl-C comes too late to say anything of it."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) in (_interrupt, _now):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def leave() -> NoReturn:
    """Say that the work was interrupted, and what is kept, and end the process."""
    print(_sentence(), file=sys.stderr, flush=True)
    end(EXIT_CODE)


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; while a module is loaded end the process: compiled ones may not survive an exception."""
    _state.came = True
    signal.signal(signal.SIGINT, _now)
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTS):
            _now()
        frame = frame.f_back
    raise KeyboardInterrupt


def _now(*_: object) -> NoReturn:
    """End the process as a kill would, which everything that it writes survives; its workers leave with it."""
    cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""  # which a progress bar has hidden
    os.write(2, f"{cursor}{_sentence()}\n".encode(errors="backslashreplace"))
    os._exit(EXIT_CODE)


def _sentence() -> str:
    kept = _state.kept() if _state.kept else ""
    return f"nnmass: interrupted{f'; {kept}' if kept else f' {_UNFINISHED}'}"

"""What every worker process needs."""

import multiprocessing
import os
import signal
import threading

import torch


def prepare_worker() -> None:
    """Prepare a worker process: one thread, Ctrl-C left to the parent, and no life without it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(1)


def _leave_with_parent() -> None:
    """End this process when the parent is killed: no one is left to store what it would find."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

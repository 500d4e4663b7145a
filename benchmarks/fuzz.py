"""Call the command line thousands of times with options and files drawn at random, and count what must not happen.

Every call is forked from one process that has PyTorch loaded.  A call may end in exit code 0, 1 or 2; where it is
refused, standard error holds one line; no traceback, nothing longer than a minute, nothing over 2 GiB, and what
``--json`` prints is JSON.  A seed decides all calls; the same command finishes a run that was stopped.

    python benchmarks/fuzz.py --calls 10000
"""

import argparse
import gc
import io
import json
import os
import random
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from fuzz_calls import draw_call
from fuzz_files import make_files
from nnmass.atomic import write_json
from nnmass.provenance import provenance

SECONDS = 60
MEMORY = 2 * 2**30
_SHOWN = 2000  # characters of output that a failure keeps
_OUTPUT = 10_000_000


def run_call(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Run one call in a process of its own, in a folder of its own."""
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(arguments, folder)
    late = False
    while True:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - start > SECONDS:
            late = True
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.005)
    _kill_leftovers(child)
    texts = {name: (folder / name).read_text(errors="replace")[:_OUTPUT] for name in (".out", ".err")}
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": round(time.monotonic() - start, 2),
        "bytes": used.ru_maxrss * 1024,
        "late": late,
        "out": texts[".out"],
        "err": texts[".err"],
    }


def _kill_leftovers(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _become(arguments: list[str], folder: Path) -> NoReturn:
    """Be the command line, as a shell would start it."""
    from nnmass.cli import main

    os.setsid()
    warnings.resetwarnings()
    code = 99
    try:
        os.chdir(folder)
        os.environ.pop("NNMASS_DATA", None)  # the same calls on every machine
        for descriptor, name in ((1, ".out"), (2, ".err")):
            opened = os.open(folder / name, os.O_WRONLY | os.O_CREAT)
            os.dup2(opened, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(k, "w", closefd=False)) for k in (1, 2))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (4 * MEMORY, 4 * MEMORY))  # so that this machine survives
        sys.argv = ["nnmass", *arguments]
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # what a shell would show as a traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def faults(arguments: list[str], found: dict[str, Any]) -> list[str]:
    """What a call did that it must not do."""
    told = []
    if found["late"]:
        told.append("hang")
    elif found["code"] not in (0, 1, 2):
        told.append(f"exit code {found['code']}")
    if "Traceback" in found["err"] + found["out"] or "internal fault" in found["err"]:
        told.append("traceback")
    if found["bytes"] > MEMORY:
        told.append("memory")
    lines = [line for line in found["err"].splitlines() if not line.startswith("note: ")]
    if found["code"] in (1, 2) and (len(lines) != 1 or not lines[0].startswith("nnmass: ")):
        told.append("not one line")
    if any(character in found["err"] + found["out"] for character in "\x1b\u202e\x07"):
        told.append("unescaped")
    if found["code"] == 0 and "--json" in arguments and "-h" not in arguments and not _is_json(found["out"]):
        told.append("no JSON")
    return told


def _is_json(text: str) -> bool:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


def calls(seed: int, numbers: Iterable[int], files: Path) -> Iterator[tuple[int, list[str], Path]]:
    """Draw calls one by one, each from its own number, in a folder of its own that is removed afterwards."""
    for number in numbers:
        with tempfile.TemporaryDirectory(prefix="nnmass-fuzz-") as name:
            folder = Path(name)
            yield number, draw_call(random.Random(f"{seed}/{number}"), files, folder), folder


def main() -> None:
    """Run the calls, and keep what they did."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--calls", type=int, default=10_000)
    options.add_argument("--first", type=int, default=0, help="number of the first call (to see one again)")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--show", action="store_true", help="print every call and what it said")
    options.add_argument("--out", type=Path, default=Path("results/benchmarks/fuzz.json"))
    asked = options.parse_args()
    _load_libraries()
    journal = Path(f"{asked.out}.partial")
    kept = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    finished = {row["number"] for row in kept}
    missing = [k for k in range(asked.first, asked.first + asked.calls) if k not in finished]
    files = Path(tempfile.mkdtemp(prefix="nnmass-fuzz-files-"))
    try:
        make_files(files)
        gc.collect()
        gc.freeze()  # so that the garbage collection of a child copies no page
        for number, arguments, folder in calls(asked.seed, missing, files):
            found = run_call(arguments, folder)
            row = {"number": number, "command": arguments[0], "faults": faults(arguments, found)}
            row |= {name: found[name] for name in ("code", "seconds", "bytes")}
            if row["faults"]:
                row |= {"call": shlex.join(arguments)[:_SHOWN], "err": found["err"][-_SHOWN:]}
            if asked.show or row["faults"]:
                print(json.dumps(row), found["out"][-_SHOWN:] if asked.show else "", flush=True)
                print(found["err"][-_SHOWN:] if asked.show else "", flush=True)
            kept.append(row)
            journal.parent.mkdir(parents=True, exist_ok=True)
            with journal.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
    finally:
        shutil.rmtree(files, ignore_errors=True)
    write_json(asked.out, _summary(kept, asked) | {"provenance": provenance(seed=asked.seed)})
    journal.unlink(missing_ok=True)


def _load_libraries() -> None:
    """Load once what every call would load."""
    import torch

    from nnmass.tracing.libraries import import_library

    for name in ("timm", "torchvision", "onnx", "onnxruntime", "sklearn.datasets", "matplotlib.figure"):
        import_library(name)
    torch.set_num_threads(1)


def _summary(rows: list[dict[str, Any]], asked: argparse.Namespace) -> dict[str, Any]:
    by_command = {
        command: dict(Counter(str(row["code"]) for row in rows if row["command"] == command))
        for command in sorted({row["command"] for row in rows})
    }
    return {
        "calls": len(rows),
        "first": asked.first,
        "faults": dict(Counter(fault for row in rows for fault in row["faults"])),
        "exit_codes": by_command,
        "longest_seconds": max(row["seconds"] for row in rows),
        "most_bytes": max(row["bytes"] for row in rows),
        "failures": [row for row in rows if row["faults"]],
    }


if __name__ == "__main__":
    main()

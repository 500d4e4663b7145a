"""Commands that are killed, run out of disk or of file handles, or run twice at once: what they leave.

Each command is run undisturbed first.  Then, each time in a new folder:

- killed: ``kill -9`` at random moments, and again, then the same command to its end;
- full: no file may grow beyond a random size, as on a full disk, then the same command without that limit;
- handles: as many open files as it just cannot do with, then the same command without that limit;
- twice: two at once in one folder; one of them may say that the other is at it;
- unwritable: a folder in which nothing can be made.

Nothing may be lost: what is there in the end equals what the undisturbed command left, except times and dates; whatever
fails says so in one line on standard error, without a traceback, with exit code 1 or 2.
"""

import argparse
import json
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import positive, save

SPEC = {"family": "DenseMLP", "width": 8, "depth": 12, "max_skips": 12, "in_features": 64}
SPACE = {"family": "DenseCNN", "widths": [[4], [8]], "depth": [3, 4], "image_size": 8}
NOT_COMPARED = {"provenance", "finished_at", "measured_at", "images_per_second", "waited_for_data"}
UNWRITABLE = "/proc/nowhere"
LIMIT = 600  # seconds of one call


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        arguments: with OUT for its folder.
        outcome: what is compared of that folder.
        keeps: whether two at once both do it; else one is refused.
    """

    arguments: str
    outcome: Callable[[Path], Any]
    keeps: bool = True


def rows(path: Path, table: str = "runs") -> list[dict[str, Any]]:
    """Rows of a SQLite file without dates, sorted."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        found = [plain(dict(row)) for row in connection.execute(f"SELECT * FROM {table}")]
    return sorted(found, key=json.dumps)


def plain(value: Any) -> Any:
    """JSON without what differs from run to run."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in NOT_COMPARED}
    return [plain(item) for item in value] if isinstance(value, list) else value


def trained(out: Path) -> Any:
    """Weights, figures and rows of epochs."""
    lines = [plain(json.loads(line)) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return (out / "weights.safetensors").read_bytes(), plain(json.loads((out / "result.json").read_text())), lines


def reproduced(out: Path) -> Any:
    """Rows and summary of an experiment."""
    return rows(out / "runs.sqlite"), plain(json.loads((out / "summary.json").read_text()))


def compressed(out: Path) -> Any:
    """Rows, weights and figures."""
    result = plain(json.loads((out / "result.json").read_text()))
    return rows(out / "runs.sqlite"), (out / "weights.safetensors").read_bytes(), result


def measured(out: Path) -> Any:
    """Which blocks a table holds; how long they take differs."""
    return sorted((row["kind"], row["sizes"]) for row in rows(out / "t.sqlite", "blocks"))


COMMANDS = {
    "train": Command("train SPEC --epochs 8 --out OUT", trained, keeps=False),
    "sweep": Command(
        "sweep --base SPEC --vary depth=6,8,10,12 --vary max_skips=4,8,12 --seeds 3 --epochs 2 --workers 2 "
        "--store OUT/runs.sqlite --export OUT/runs.csv",
        lambda out: (rows(out / "runs.sqlite"), len((out / "runs.csv").read_text().splitlines())),
    ),
    "rank": Command(
        "rank timm:resnet[1-3]? timm:mobilenetv2_* timm:densenet* --workers 2 --csv OUT/ranked.csv",
        lambda out: (out / "ranked.csv").read_bytes(),
    ),
    "reproduce": Command("reproduce mlp-accuracy --scale smoke --out OUT", reproduced),
    "compress": Command(
        "compress SPEC --keep-macs 0.9 --data digits --verify --no-calibrate --seeds 3 --epochs 2 --out OUT", compressed
    ),
    "bench": Command("bench --space SPACE --table OUT/t.sqlite --seconds 0.002 --threads 1", measured),
}


class Call:
    """A command that runs in a folder."""

    def __init__(self, command: Command, inputs: Path, out: Path | str, limit: tuple[int, int] | None = None) -> None:
        places = {"SPEC": str(inputs / "spec.json"), "SPACE": str(inputs / "space.json")}
        arguments = [places.get(text, text.replace("OUT", str(out))) for text in command.arguments.split()]
        command_line = [sys.executable, "-m", "nnmass", *arguments]
        if limit is not None:  # set by a process that then becomes the command
            code = f"import os, resource; resource.setrlimit({limit[0]}, {(limit[1],) * 2}); "
            command_line = [sys.executable, "-c", f"{code}os.execv({sys.executable!r}, {command_line!r})"]
        self._process = subprocess.Popen(command_line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def kill_after(self, seconds: float) -> bool:
        """End it after some time; whether it was still running."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()
            return True
        return False

    def finish(self) -> tuple[int, str]:
        """Exit code and what it said on standard error."""
        _, said = self._process.communicate(timeout=LIMIT)
        return self._process.returncode, said.strip()


def fault(code: int, said: str, *, may_fail: bool) -> str:
    """What is wrong with how a call ended; empty if nothing is."""
    lines = said.splitlines()
    if "Traceback" in said or "nnmass-fault" in said:
        return f"a traceback: {lines[-1][:200]}"
    if code == 0:
        return ""
    if not may_fail:
        return f"exit code {code}: {said[:200]}"
    return "" if code in (1, 2) and len(lines) == 1 else f"exit code {code}, {len(lines)} lines: {said[:300]}"


class Trials:
    """Trials of one command."""

    def __init__(self, name: str, folder: Path, rng: random.Random) -> None:
        self._command, self._folder, self._rng = COMMANDS[name], folder, rng
        self._count = 0
        out = self._new()
        began = time.monotonic()
        code, said = self._call(out).finish()
        if code:
            sys.exit(f"{name} fails undisturbed: {said}")
        self.seconds = time.monotonic() - began
        self.expected = self._command.outcome(out)

    def _call(self, out: Path | str, limit: tuple[int, int] | None = None) -> Call:
        return Call(self._command, self._folder, out, limit)

    def _new(self) -> Path:
        self._count += 1
        folder = self._folder / f"out{self._count}"
        folder.mkdir()
        return folder

    def _ends_well(self, out: Path) -> str:
        """Run the command to its end and compare; what is wrong, if anything."""
        wrong = fault(*self._call(out).finish(), may_fail=False)
        return wrong or ("" if self._command.outcome(out) == self.expected else "another outcome")

    def killed(self) -> str:
        """Kill it up to four times."""
        out, kills = self._new(), self._rng.randint(1, 4)
        for _ in range(kills):
            if not self._call(out).kill_after(self._rng.uniform(0.2, 1) * self.seconds):
                break
        return self._ends_well(out)

    def full(self) -> str:
        """Let no file grow beyond some size."""
        out, size = self._new(), int(2 ** self._rng.uniform(9, 16))
        wrong = fault(*self._call(out, (resource.RLIMIT_FSIZE, size)).finish(), may_fail=True)
        return f"{wrong} (at {size} bytes)" if wrong else self._ends_well(out)

    def handles(self) -> str:
        """Let it open few files."""
        out, most = self._new(), self._rng.randint(12, 40)
        wrong = fault(*self._call(out, (resource.RLIMIT_NOFILE, most)).finish(), may_fail=True)
        return f"{wrong} (at {most} files)" if wrong else self._ends_well(out)

    def twice(self) -> str:
        """Run two at once."""
        out = self._new()
        calls = [self._call(out) for _ in range(2)]
        ends = [call.finish() for call in calls]
        may_fail = not self._command.keeps and any(code == 0 for code, _ in ends)
        wrong = next((said for end in ends if (said := fault(*end, may_fail=may_fail))), "")
        if wrong or self._command.outcome(out) != self.expected:
            return wrong or "another outcome"
        return self._ends_well(out)

    def unwritable(self) -> str:
        """Give it a folder that cannot be made."""
        began = time.monotonic()
        code, said = self._call(UNWRITABLE).finish()
        late = time.monotonic() - began > max(20.0, 0.8 * self.seconds)
        return fault(code or -1, said, may_fail=True) or ("only said at the end" if late else "")


KINDS = ("killed", "full", "handles", "twice", "unwritable")


def main() -> None:
    """Try every command in every way, and write what came of it."""
    parser = argparse.ArgumentParser(prog="durability.py", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=positive, default=5, help="of each command and kind (default 5)")
    parser.add_argument("--only", nargs="*", choices=COMMANDS, default=list(COMMANDS), help="these commands")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS), help="these kinds")
    parser.add_argument("--seed", type=int, default=0, help="of kills and limits (default 0)")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/durability.json"), help="result file")
    arguments = parser.parse_args()
    outcome: dict[str, Any] = {}
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            (folder / "spec.json").write_text(json.dumps(SPEC))
            (folder / "space.json").write_text(json.dumps(SPACE))
            trials = Trials(name, folder, random.Random(f"{arguments.seed} {name}"))
            outcome[name] = {"seconds_undisturbed": trials.seconds}
            for kind in arguments.kinds:
                count = 1 if kind == "unwritable" else arguments.trials
                faults = [wrong for _ in range(count) if (wrong := getattr(trials, kind)())]
                outcome[name][kind] = {"trials": count, "faults": faults}
                print(f"{name}, {kind}: {count - len(faults)} of {count} as they should be", *faults, sep="\n  ")
    save(arguments, {"commands": outcome})
    sys.exit(any(entry["faults"] for found in outcome.values() for entry in found.values() if isinstance(entry, dict)))


if __name__ == "__main__":
    main()

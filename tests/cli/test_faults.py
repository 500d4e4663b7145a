"""What the command line does with faults of its own, with warnings and with readers that leave."""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from nnmass.cli import app, main


def run(monkeypatch, capsys, raised):
    def fail(**_):
        if isinstance(raised, Warning):
            warnings.warn(raised, stacklevel=1)
            return
        raise raised

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(app, "app", fail)
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr().err


def test_a_fault_of_nnmass_is_one_line_and_its_traceback_is_kept(monkeypatch, capsys):
    code, said = run(monkeypatch, capsys, KeyError("wid\nth\x1b"))
    assert code == 1
    assert said.count("\n") == 1
    assert said.startswith(r"nnmass: internal fault, KeyError: 'wid\nth\x1b'; please report ")
    kept = Path(re.search(r"report (\S+)", said)[1])
    assert "Traceback" in kept.read_text()
    kept.unlink()


def test_too_little_memory_is_one_line(monkeypatch, capsys):
    assert run(monkeypatch, capsys, MemoryError()) == (1, "nnmass: this machine has not enough memory for that\n")


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(monkeypatch, capsys):
    code, said = run(monkeypatch, capsys, UserWarning("first\nsecond"))
    assert code == 0
    assert said == "note: first second\n"


def test_a_reader_that_leaves_is_no_mistake():
    command = f"{sys.executable} -m nnmass reproduce list | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert "Experiments" in done.stdout
    assert done.stderr == ""


def test_a_terminal_of_few_characters_shows_escapes():
    command = [sys.executable, "-m", "nnmass", "fit", "größe.sqlite"]
    environment = {"PYTHONIOENCODING": "ascii", "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("nnmass: gr\\xf6\\xdfe.sqlite: no such run store")

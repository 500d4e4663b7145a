import json
import platform
import shlex
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from nnmass.provenance import provenance


def test_it_says_what_was_run_with_what_where_and_when(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/nnmass", "sweep", "--out", "my runs.sqlite", "--seed", "3"])
    before = datetime.now(UTC).replace(microsecond=0)
    header = provenance(seed=3)
    assert set(header) == {"command", "versions", "seed", "hardware", "date"}
    assert shlex.split(header["command"]) == ["nnmass", "sweep", "--out", "my runs.sqlite", "--seed", "3"]
    assert header["seed"] == 3
    date = datetime.fromisoformat(header["date"])
    assert date.utcoffset() == timedelta(0)
    assert before <= date <= datetime.now(UTC)


def test_versions_are_those_installed():
    versions = provenance()["versions"]
    assert set(versions) == {"python", "nnmass", "numpy", "scipy", "torch", "scikit-learn", "timm"}
    assert versions["python"] == platform.python_version()
    assert versions["torch"] == version("torch")


def test_hardware_is_named():
    hardware = provenance()["hardware"]
    assert set(hardware) == {"processor", "cores", "system"}
    assert hardware["processor"]
    assert hardware["cores"] >= 1


def test_it_is_json_and_the_seed_may_be_missing():
    header = provenance()
    assert header["seed"] is None
    assert json.loads(json.dumps(header, allow_nan=False)) == header

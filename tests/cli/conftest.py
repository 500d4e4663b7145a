import json
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from nnmass.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> dict:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def heard_again():
    """The command line leaves its process deaf to Ctrl-C, since it ends there."""
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def nnmass(monkeypatch, capsys) -> Callable[..., Outcome]:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # the command line shows them its own way
        monkeypatch.setattr(sys, "argv", ["nnmass", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "160")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = int(ended.value.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "internal fault" not in err
        return Outcome(code, out, err)

    return run


@pytest.fixture
def reference(tmp_path) -> Path:
    path = tmp_path / "reference.json"
    path.write_text('{"family": "DenseMLP", "width": 8, "depth": 16, "max_skips": 12, "in_features": 64}')
    return path


@pytest.fixture(scope="session")
def mixed_store(tmp_path_factory) -> Path:
    """Runs of DenseMLPs of two widths, as if trained on digits."""
    from nnmass import DenseMLP
    from nnmass.sweeps import RunStore, plan_runs, stored_run
    from nnmass.training import TrainingConfig

    store = RunStore(tmp_path_factory.mktemp("mixed") / "runs.sqlite")
    specs = [
        DenseMLP(width=width, depth=depth, max_skips=skips, in_features=64)
        for width in (8, 9)
        for depth in (12, 16)
        for skips in (5, 12, 30, 60)
    ]
    runs = plan_runs(specs, seeds=[0, 1], data="digits (scikit-learn)", config=TrainingConfig(epochs=3))
    store.add(stored_run(run, [1.0], 0.5, 0.5 + 0.001 * (k * k % 89)) for k, run in enumerate(runs))
    return store.path


MODELS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        print("made")
        self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        y = torch.relu(self.a(x))
        return self.c(torch.relu(self.b(y)) + y)

class Wide(nn.Module):
    def __init__(self, width):
        super().__init__()

def make(hidden=4):
    return nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Linear(hidden, 3))

def number() -> int:
    raise SystemExit("called")

def main():
    raise SystemExit("called")

ready = make()
_hidden = make()
width = 3
"""


@pytest.fixture
def models(tmp_path) -> Path:
    """A Python file of models: Net, make and ready."""
    path = tmp_path / "models.py"
    path.write_text(MODELS)
    return path

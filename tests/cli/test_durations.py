"""Training that takes more than a day says so before it starts."""

import pytest

from nnmass import DenseMLP
from nnmass.cli import durations
from nnmass.data import load_data
from nnmass.training import TrainingConfig, training_macs


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


def test_macs_of_training():
    spec = DenseMLP(width=4, depth=6, max_skips=5, in_features=64)
    assert training_macs([spec, spec], samples=100, epochs=3, seeds=5) == 3 * 100 * 3 * 5 * 2 * spec.macs


@pytest.mark.parametrize(("epochs", "said"), [(10, False), (10**6, True)])
def test_only_long_training_is_announced(capsys, digits, epochs, said):
    spec = DenseMLP(width=300, depth=32, max_skips=20, in_features=64)
    durations.note_long_training([spec], digits, TrainingConfig(epochs=epochs))
    err = capsys.readouterr().err
    assert err.startswith("note: training takes ") == said
    assert err.count("\n") == said


def test_a_sweep_says_it_before_it_trains(nnmass, reference, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("nnmass.sweeps.run_sweep", stop)
    call = ("--base", reference, "--store", tmp_path / "s.sqlite", "--epochs", 10**6, "--seeds", 10_000)
    done = nnmass("sweep", *call)
    assert done.code == 130
    first, last = done.err.splitlines()
    assert first.startswith("note: training takes ")
    assert last.startswith("nnmass: interrupted")

"""Commands that need closed forms only do not load PyTorch, whose import takes longer than their work."""

import subprocess
import sys
from pathlib import Path

import pytest

from nnmass.architectures import DenseMLP, MobileNetV2
from nnmass.sweeps import Run, RunStore, stored_run
from nnmass.training import TrainingConfig

SAYS = """
import sys
from nnmass.cli import main
try:
    main()
except SystemExit as ended:
    code = ended.code
print(code, *sorted({name.split(".")[0] for name in sys.modules} & {"torch", "matplotlib"}), file=sys.stderr)
"""
LIGHT = {
    "--help": ("--help",),
    "--version": ("--version",),
    "analyze": ("analyze", "SPEC"),
    "analyze a MobileNetV2": ("analyze", "MOBILE", "--json", "--image-size", "96"),
    "design": ("design", "DenseMLP", "--max-params", "9k"),
    "design within a mass": ("design", "DenseMLP", "--mass-of", "SPEC", "--tolerance", "0.1", "--json"),
    "design a front": ("design", "DenseCNN", "--front", "macs", "--max-macs", "500M"),
    "fit": ("fit", "RUNS", "--predict", "40"),
}
DRAWING = {
    "design a report": ("design", "DenseMLP", "--max-params", "9k", "--out", "OUT"),
    "design a front": ("design", "DenseCNN", "--front", "macs", "--max-macs", "500M", "--out", "OUT"),
    "fit a picture": ("fit", "RUNS", "--plot", "OUT/fit.png"),
}
PYTHON = {
    "a specification": "nnmass.DenseMLP(width=8, depth=16, max_skips=20, in_features=64).nn_mass",
    "a space": "nnmass.design(nnmass.DenseMLPSpace(), max_params=9_000)",
    "a compression": "str(nnmass.compress(nnmass.DenseMLP(width=8, depth=16, max_skips=20), max_macs=8_000))",
    "a front": "nnmass.pareto_front(nnmass.DenseMLPSpace(), cost='params')",
    "formulas": "nnmass.nn_mass(8, 16, 20), nnmass.num_skips(8, 16, 20), nnmass.__version__",
    "a fit": "nnmass.MassPredictor.fit([10.0, 20.0, 40.0, 80.0], [0.7, 0.75, 0.8, 0.85]).predict(30)",
    "a store": "nnmass.RunStore('RUNS').runs()",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("light")
    spec = DenseMLP(width=8, depth=16, max_skips=12, in_features=64)
    store = RunStore(folder / "runs.sqlite")
    runs = [
        Run(spec.model_copy(update={"depth": depth, "max_skips": skips}), seed, "digits (made up)", TrainingConfig())
        for depth in (16, 20)
        for skips in (5, 10, 20, 40, 80)
        for seed in range(2)
    ]
    store.add(stored_run(run, [1.0], 0.8, 0.7 + run.spec.nn_mass / 1_000 + run.seed / 100) for run in runs)
    return {
        "SPEC": spec.to_json(folder / "spec.json"),
        "MOBILE": MobileNetV2().to_json(folder / "mobile.json"),
        "RUNS": store.path,
        "OUT": folder / "out",
    }


def placed(text, places):
    for name, path in places.items():
        text = text.replace(name, str(path))
    return text


def loaded_by(code, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1].split()


@pytest.mark.parametrize("name", LIGHT)
def test_the_command_needs_no_pytorch(places, name):
    code, *loaded = loaded_by(SAYS, *(placed(text, places) for text in LIGHT[name]))
    assert code == "0"
    assert "torch" not in loaded


@pytest.mark.parametrize("name", DRAWING)
def test_the_picture_needs_matplotlib_only(places, name):
    assert loaded_by(SAYS, *(placed(text, places) for text in DRAWING[name])) == ["0", "matplotlib"]
    assert any(Path(places["OUT"]).iterdir())


@pytest.mark.parametrize("name", PYTHON)
def test_the_expression_needs_no_pytorch(places, name):
    expression = placed(PYTHON[name], places)
    code = f"import sys, nnmass; {expression}; print('loaded', *{{'torch'}} & {{*sys.modules}}, file=sys.stderr)"
    assert loaded_by(code) == ["loaded"]

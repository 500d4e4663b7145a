import json
import sys

import numpy as np
import onnxruntime
import pytest
import torch

from nnmass import DenseCNN, DenseMLP, analyze, load_spec
from nnmass.errors import CheckpointError, ExportError, InvalidValueError, ModelError
from nnmass.export import FORMATS, export_onnx, export_program, formats, hand_over
from nnmass.export.comparison import Comparison
from nnmass.tracing import analyze_source, libraries
from nnmass.training import load_weights, save_weights

handing = sys.modules[hand_over.__module__]
CNN = DenseCNN(widths=(6, 8), depth=5, max_skips=(7, 9), image_size=8, num_classes=3)


def test_all_files_hold_the_same_network(tmp_path, imported):
    network = CNN.build(seed=5)
    save_weights(network, tmp_path / "given.safetensors")
    done = hand_over(CNN, tmp_path / "out", weights=tmp_path / "given.safetensors")
    folder = tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == {
        f"network.{e}" for e in ("json", "safetensors", "py", "onnx", "pt2")
    }
    assert done.files.keys() == set(FORMATS)
    assert all(size == (folder / name).stat().st_size for name, size in done.files.values())
    assert max(done.deviations.values()) <= 1e-4
    x = torch.randn(7, *CNN.input_shape)
    with torch.no_grad():
        expected = network.eval()(x).numpy()
        again = load_spec(folder / "network.json").build(seed=1)
        load_weights(again, folder / "network.safetensors")
        others = {
            "code": imported(folder / "network.py").load(str(folder / "network.safetensors"))(x).numpy(),
            "json": again.eval()(x).numpy(),
            "pt2": torch.export.load(folder / "network.pt2").module()(x).numpy(),
            "onnx": onnxruntime.InferenceSession(str(folder / "network.onnx")).run(None, {"input": x.numpy()})[0],
        }
    for name, found in others.items():
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected, 0).max(), err_msg=name)
    assert json.loads(json.dumps(done.to_dict()))["files"]["onnx"]["deviation"] == done.deviations["onnx"]


def test_every_family_becomes_onnx(spec, tmp_path):
    network = spec.build(seed=0).train()
    assert export_onnx(network, spec.input_shape, tmp_path / "network.onnx") <= 1e-4
    assert network.training
    if network.state_dict() and spec.nn_mass:
        traced = analyze_source(str(tmp_path / "network.onnx"), input_sizes=[(1, *spec.input_shape)])
        assert traced.macs == analyze(spec).macs


def test_programs_keep_mass_and_costs(tmp_path):
    export_program(CNN.build(), CNN.input_shape, tmp_path / "network.pt2")
    traced = analyze_source(str(tmp_path / "network.pt2"), input_sizes=[(1, *CNN.input_shape)])
    assert traced.nn_mass == pytest.approx(CNN.nn_mass)
    assert (traced.params, traced.macs) == (CNN.params, CNN.macs)


@pytest.mark.parametrize(
    ("export", "name", "writer"),
    [(export_onnx, "n.onnx", "onnx_bytes"), (export_program, "n.pt2", "program_bytes")],
)
def test_what_deviates_is_not_written(tmp_path, monkeypatch, export, name, writer):
    spec = DenseMLP(width=4, depth=4, max_skips=3, in_features=6)
    write, other = getattr(formats, writer), Comparison(spec.build(seed=1).eval(), [(6,)])
    monkeypatch.setattr(formats, writer, lambda comparison, where: write(other, where))
    with pytest.raises(ExportError, match=rf"{name}: its layers\.0\.weight is not the network's"):
        export(spec.build(), (6,), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", ["weights_bytes", "program_bytes", "onnx_bytes", "json_bytes", "standalone_code"])
def test_all_files_are_written_or_none(tmp_path, monkeypatch, writer):
    (tmp_path / "network.json").write_text("old")

    def fail(*_):
        raise ExportError("wrong")

    monkeypatch.setattr(handing, writer, fail)
    with pytest.raises(ExportError, match="wrong"):
        hand_over(DenseMLP(width=4, depth=4, max_skips=3), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["network.json"]
    assert (tmp_path / "network.json").read_text() == "old"


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
@pytest.mark.parametrize("network", [CNN, torch.nn.Linear(3, 2)], ids=["specification", "model"])
def test_without_a_library_nothing_is_written(tmp_path, monkeypatch, library, network):
    importing = libraries.import_module

    def without(name):
        if name.partition(".")[0] == library:
            raise ModuleNotFoundError(name=library)
        return importing(name)

    monkeypatch.setattr(libraries, "import_module", without)
    others = "safetensors, pt2" if isinstance(network, torch.nn.Module) else "json, safetensors, code, pt2"
    message = rf"{library} is not installed: pip install 'nnmass\[onnx\]'; nothing is written; the other formats are "
    with pytest.raises(ModelError, match=message + others):
        hand_over(network, tmp_path / "out", input_shapes=[(3,)])
    assert not (tmp_path / "out").exists()
    hand_over(network, tmp_path / "out", input_shapes=[(3,)], formats=["safetensors"])


def test_a_model_has_no_json_and_no_code(tmp_path):
    message = (
        "a Linear is a PyTorch model and no specification: it has no json and no code; its formats are safetensors"
    )
    with pytest.raises(InvalidValueError, match=message):
        hand_over(torch.nn.Linear(3, 2), tmp_path, formats=["json", "code", "pt2"], input_shapes=[(3,)])
    with pytest.raises(InvalidValueError, match=r"give the shapes of the module's inputs"):
        hand_over(torch.nn.Linear(3, 2), tmp_path)
    with pytest.raises(
        InvalidValueError, match=r"network must be a specification or a torch\.nn\.Module, got the str 'Linear'"
    ):
        hand_over("Linear", tmp_path)


def test_the_seed_draws_links_and_weights(tmp_path):
    first, second, third = (
        hand_over(CNN, tmp_path / str(k), formats=["json", "safetensors"], seed=seed)
        for k, seed in enumerate((0, 0, 1))
    )
    weights = [(done.folder / "network.safetensors").read_bytes() for done in (first, second, third)]
    assert weights[0] == weights[1] != weights[2]
    assert first.weights == "drawn from seed 0"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"formats": []}, InvalidValueError, "formats must be among json, safetensors, code, onnx, pt2, got none"),
        ({"formats": ["tflite"]}, InvalidValueError, "got 'tflite'"),
        ({"weights": "nowhere.safetensors"}, CheckpointError, "nowhere.safetensors: cannot be read"),
        ({"seed": -1}, InvalidValueError, "seed must lie in 0 … 2⁶³ - 1, got -1"),
    ],
)
def test_mistakes_leave_nothing_behind(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        hand_over(CNN, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_weights_of_another_network_are_refused(tmp_path):
    save_weights(DenseMLP(width=4, depth=4, max_skips=3).build(), tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"w\.safetensors: not the weights of this network"):
        hand_over(CNN, tmp_path / "out", weights=tmp_path / "w.safetensors")


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(libraries, "import_module", missing)
    with pytest.raises(ModelError, match=r"onnx is not installed: pip install 'nnmass\[onnx\]'"):
        export_onnx(CNN.build(), CNN.input_shape, tmp_path / "n.onnx")

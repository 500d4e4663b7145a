import json

import numpy as np
import onnxruntime
import pytest
import torch

from nnmass import DenseCNN, DenseMLP, analyze, load_spec
from nnmass.errors import CheckpointError, ExportError, InvalidValueError, ModelError
from nnmass.export import FORMATS, export_onnx, export_program, formats, hand_over
from nnmass.tracing import analyze_source, libraries
from nnmass.training import load_weights, save_weights

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
        np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=name)
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


@pytest.mark.parametrize(("export", "name"), [(export_onnx, "n.onnx"), (export_program, "n.pt2")])
def test_what_deviates_is_not_written(tmp_path, monkeypatch, export, name):
    monkeypatch.setattr(formats, "TOLERANCE", -1.0)
    with pytest.raises(ExportError, match=rf"{name}: the exported network deviates by .* not written"):
        export(DenseMLP(width=4, depth=4, max_skips=3, in_features=6).build(), (6,), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


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
        ({"weights": "nowhere.safetensors"}, CheckpointError, "nowhere.safetensors: not the weights of this network"),
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

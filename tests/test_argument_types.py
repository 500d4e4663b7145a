"""Public functions that are given something else say in one line what they need."""

from pathlib import Path

import pytest
import torch
from torch import nn

import nnmass
from nnmass import export, latency, networks, tracing
from nnmass.errors import NNMassError, require_type

SPEC = nnmass.DenseMLP(width=4, depth=5, max_skips=3, in_features=6)
VALUES = {
    "text": "MobileNetV2",
    "path": Path("x.json"),
    "None": None,
    "number": 3,
    "mapping": {},
    "list": [1],
    "module": nn.Linear(3, 2),
    "class": nn.Linear,
    "space": nnmass.DenseMLPSpace(),
}
CALLS = {
    "compress": nnmass.compress,
    "expected_isometry": nnmass.expected_isometry,
    "isometry": lambda value: nnmass.isometry(value, torch.zeros(2, 9)),
    "analyze": lambda value: nnmass.analyze(value, (1, 9)),
    "build": networks.build,
    "blocks_of": latency.blocks_of,
    "standalone_code": export.standalone_code,
    "export_onnx": lambda value: export.export_onnx(value, (9,), "n.onnx"),
    "export_program": lambda value: export.export_program(value, (9,), "n.pt2"),
    "hand_over": lambda value: export.hand_over(value, "out", formats=["pt2"], input_shapes=[(9,)]),
    "load_spec": nnmass.load_spec,
    "load_space": nnmass.load_space,
    "load_data": nnmass.load_data,
    "load_model": tracing.load_model,
    "analyze_source": tracing.analyze_source,
    "RunStore": lambda value: nnmass.RunStore(value, create=False),
    "LatencyTable": nnmass.LatencyTable.held_by,
    "train": lambda value: nnmass.train(SPEC, value),
    "train a": lambda value: nnmass.train(value, None),
    "run_sweep": lambda value: nnmass.run_sweep(value, None, None),
    "design, budget": lambda value: nnmass.design("DenseMLP", max_macs=value or "1"),
    "design, latency": lambda value: nnmass.design("DenseMLP", max_latency_ms=1, latency=value),
    "compress, budget": lambda value: nnmass.compress(SPEC, max_macs=value or "1"),
    "compress, share": lambda value: nnmass.compress(SPEC, keep_macs=value or "1"),
    "compress, domain": lambda value: nnmass.compress(SPEC, domain=value or 1),
}


@pytest.mark.parametrize("call", CALLS)
def test_another_type_is_one_line(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in VALUES.items():
        with pytest.raises(NNMassError) as caught:
            CALLS[call](value)
        assert "\n" not in str(caught.value), name
        assert len(str(caught.value)) < 600, name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("3", "the str '3'"),
        (int, "the class int"),
        (None, "NoneType"),
        (True, "bool"),
        (Path("a"), "the PosixPath 'a'"),
    ],
)
def test_the_message_shows_what_came(value, got):
    with pytest.raises(TypeError, match=f"depth must be a list, got {got}"):
        require_type(value, list, "depth", "a list")

import re

import pytest

from nnmass import CifarResNet, DenseMLP
from nnmass.latency import LatencyTable

QUICK = ("--threads", 1, "--seconds", 0.001)


@pytest.fixture
def spec(tmp_path):
    return CifarResNet(layers=(1, 2), widths=(4, 8), image_size=8).to_json(tmp_path / "spec.json")


def test_a_network_is_measured_whole_and_block_by_block(nnmass, spec, tmp_path):
    table = tmp_path / "latency.sqlite"
    result = nnmass("bench", spec, *QUICK, "--table", table, "--json")
    assert result.code == 0, result.err
    values = result.json()
    assert 0 < values["latency"]["p10_ms"] <= values["latency"]["median_ms"] <= values["latency"]["p99_ms"]
    assert values["predicted_ms"] == pytest.approx(sum(block["latency_ms"] for block in values["blocks"]))
    assert values["relative_error"] == pytest.approx(values["predicted_ms"] / values["latency"]["median_ms"] - 1)
    assert values["peak_bytes"] > 0
    assert values["activation_bytes"] == CifarResNet(layers=(1, 2), widths=(4, 8), image_size=8).activation_bytes
    assert len(LatencyTable(table)) == 5
    shown = nnmass("bench", spec, *QUICK, "--table", table)
    assert "predicted from its blocks" in shown.out
    assert "basic(inputs=4" in shown.out


@pytest.mark.parametrize("engine", ["compile", "onnxruntime"])
def test_other_engines(nnmass, tmp_path, engine):
    path = DenseMLP(width=4, depth=4, max_skips=3, in_features=6).to_json(tmp_path / "mlp.json")
    values = nnmass("bench", path, *QUICK, "--engine", engine, "--json").json()
    assert values["conditions"]["engine"] == engine
    assert values["latency"]["repeats"] >= 5
    assert values["peak_bytes"] is None


def test_models_of_libraries_are_measured(nnmass, tmp_path):
    table = tmp_path / "latency.sqlite"
    recognised = nnmass("bench", "timm:mobilenetv2_035", "--image-size", 64, *QUICK, "--table", table, "--json").json()
    assert recognised["predicted_ms"] > 0
    other = nnmass("bench", "timm:efficientnet_b0", "--image-size", 64, *QUICK, "--json").json()
    assert other["predicted_ms"] is None
    assert other["activation_bytes"] is None
    assert other["peak_bytes"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "name a MODEL, or a --space"),
        (("nowhere.json",), 1, "nowhere.json: cannot be read as a specification"),
        (("--space", "MobileNetV2"), 2, "--space needs a --table to fill"),
        (("--space", "nowhere.json", "--table", "t.sqlite"), 1, "nowhere.json: cannot be read as a design space"),
        (("timm:no_such_model",), 1, "no_such_model"),
        (("x.json", "--engine", "abacus"), 2, "abacus"),
        (("x.json", "--batch", "0"), 2, "--batch"),
    ],
)
def test_a_mistake_is_one_clear_line(nnmass, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    result = nnmass("bench", *arguments)
    assert result.code == code
    assert re.search(message, " ".join(result.err.replace("│", " ").split()))
    assert result.err.count("\n") == 1


GREY = "from torch import nn\ndef grey():\n    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())\n"
TOKENS = "from torch import nn\ndef tokens():\n    return nn.Embedding(9, 4)\n"


@pytest.mark.parametrize(
    ("code", "name", "sizes"),
    [(GREY, "grey", "2,1,8,8"), (TOKENS, "tokens", "3,16:int"), (GREY, "grey", "1,1,8,8:float")],
)
def test_sizes_of_inputs_are_given(nnmass, tmp_path, code, name, sizes):
    path = tmp_path / "m.py"
    path.write_text(code)
    values = nnmass("bench", f"{path}:{name}", *QUICK, "--input-size", sizes, "--json").json()
    assert values["conditions"]["batch"] == int(sizes[0])
    assert values["latency"]["median_ms"] > 0
    both = nnmass("bench", f"{path}:{name}", *QUICK, "--input-size", sizes, "--batch", 7)
    assert both.code == 1
    assert "the first number of every input's size must be the batch, 7" in both.err


def test_what_is_not_steady_says_so(nnmass, spec, tmp_path, monkeypatch):
    """The clock of a busy machine is made up, since a real one is busy or not as it likes."""
    table = tmp_path / "latency.sqlite"
    monkeypatch.setattr("nnmass.timing.yardstick._SPREAD", 0.0)
    monkeypatch.setattr("nnmass.timing.yardstick._AGREEMENT", 10.0)
    monkeypatch.setattr("nnmass.timing.yardstick.LARGEST_CORRECTION", 1e9)
    monkeypatch.setattr("nnmass.latency.times._WIDE", 0.0)
    result = nnmass("bench", spec, *QUICK, "--table", table)
    assert "not steady: the middle 80 % of its times spread by a factor of" in result.out
    assert "5 of its 5 blocks were not steady" in result.out
    values = nnmass("bench", spec, *QUICK, "--table", table, "--json").json()
    assert all(block["unstable"] for block in values["blocks"])
    assert "spread" in values["latency"]["unstable"]
    assert len(LatencyTable(table).unstable()) == 5

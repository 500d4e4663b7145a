"""What long commands say where there is no terminal: on standard error, while standard output stays what it is."""

import json
import re
import time

import pytest

from nnmass.cli import output

LINE = re.compile(
    r"note: training on digits: (\d) of 3 epochs, \d+ s gone(?:, about \d+ s left)?; "
    r"training loss \d\.\d{4}, validation accuracy \d+\.\d\d %"
)


@pytest.mark.parametrize("as_json", [False, True])
def test_training_says_a_line_for_every_epoch(nnmass, reference, tmp_path, as_json):
    result = nnmass("train", reference, "--epochs", 3, "--out", tmp_path / "out", *["--json"] * as_json)
    assert [LINE.fullmatch(line)[1] for line in result.err.splitlines()] == ["1", "2", "3"]
    if as_json:
        shown = [float(line.split("training loss ")[1].split(",")[0]) for line in result.err.splitlines()]
        assert shown == pytest.approx(result.json()["train_loss"], abs=1e-4)
    else:
        assert result.out.startswith("test accuracy ")


@pytest.fixture
def impatient(monkeypatch):
    """Lines come after tenths of seconds."""
    for name, seconds in {"_BEAT": 0.05, "_SOONEST": 0.1, "_LATEST": 0.2}.items():
        monkeypatch.setattr(output, name, seconds)


LONG = {
    "sweep": ("sweep", "--base", "SPEC", "--vary", "depth=4,5", "--seeds", 2, "--epochs", 5, "--store", "OUT/s.sqlite"),
    "compress": (
        *("compress", "SPEC", "--keep-macs", 0.75, "--data", "digits", "--verify", "--no-calibrate"),
        *("--seeds", 3, "--epochs", 2, "--workers", 1, "--out", "OUT"),
    ),
    "reproduce": ("reproduce", "mlp-accuracy", "--scale", "smoke", "--workers", 1, "--out", "OUT"),
    "isometry": ("isometry", "SPEC", "--initialisations", 64, "--inputs", 64),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", LONG)
def test_other_long_work_says_now_and_then_how_far_it_is(nnmass, reference, tmp_path, command):
    places = {"SPEC": str(reference)}
    arguments = [places.get(text, str(text).replace("OUT", str(tmp_path))) for text in LONG[command]]
    result = nnmass(*arguments, "--json")
    assert result.code == 0, result.err
    json.loads(result.out)
    lines = result.err.splitlines()
    assert lines
    assert all(re.search(r"^note: .*: (\d[\d,]* of \d[\d,]* \w+|not begun), \d+ s gone", line) for line in lines)


@pytest.mark.usefixtures("impatient")
def test_work_that_does_not_go_on_is_told_too(capsys):
    with output.progress_bar("stuck\x1b[2J", unit="networks") as progress:
        time.sleep(0.3)
        progress(2, 8)
        time.sleep(0.3)
        progress(4, 8)
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == r"note: stuck\x1b[2J: not begun, 0 s gone"
    assert r"note: stuck\x1b[2J: 2 of 8 networks, 0 s gone" in lines
    assert lines[-1].startswith(r"note: stuck\x1b[2J: 4 of 8 networks, 1 s gone, about ")


def test_short_work_is_quiet(nnmass, reference):
    assert nnmass("isometry", reference, "--inputs", 2, "--initialisations", 2).err == ""

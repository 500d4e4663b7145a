import json
import re

import pytest

from nnmass import compress, load_spec
from nnmass.training import load_weights
from nnmass.verification import FEWEST_SEEDS

QUICK = ("--epochs", 1, "--seeds", 2, "--workers", 1)


def test_without_data_gives_specification_weights_and_report(nnmass, reference, tmp_path):
    result = nnmass("compress", "--reference", reference, "--out", tmp_path / "out", "--json")
    assert result.code == 0
    values = result.json()
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {
        "compressed.json",
        "weights.safetensors",
        "report.html",
        "result.json",
        "skip-topology.png",
    }
    assert values == json.loads((tmp_path / "out" / "result.json").read_text())
    assert values["table"] == compress(load_spec(reference)).table
    assert values["weights"] == "initial, seed 0"
    assert values["verification"] is None


def test_with_data_and_verify_predicts_and_measures(nnmass, reference, tmp_path):
    out = tmp_path / "out"
    result = nnmass(
        "compress", "--reference", reference, "--data", "digits", "--verify", *QUICK, "--out", out, "--json"
    )
    assert result.code == 0, result.err
    values = result.json()
    assert values["verification"]["seeds"] == 2
    assert set(values["prediction"]) == {"reference", "compressed"}
    assert values["fit"]["fits"].keys() == {"nn_mass", "params", "macs"}
    spec = load_spec(out / "compressed.json")
    load_weights(spec.build(seed=7), out / "weights.safetensors")
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "95 % interval" in page


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_fewer_than_three_seeds_are_trained_and_give_no_verdict(nnmass, reference, tmp_path, seeds):
    arguments = ("compress", "--reference", reference, "--data", "digits", "--verify", "--no-calibrate", "--epochs", 1)
    result = nnmass(*arguments, "--seeds", seeds, "--workers", 1, "--out", tmp_path)
    assert result.code == 0, result.err
    few = seeds < FEWEST_SEEDS
    assert (f"--seeds {seeds} gives means only: an interval and a verdict need 3 seeds" in result.err) == few
    assert ("shown to be better nor worse, as an interval needs 3 seeds" in " ".join(result.out.split())) == few
    found = json.loads((tmp_path / "result.json").read_text())["verification"]
    assert (found["seeds"], found["test_samples"]) == (seeds, 360)
    assert (found["difference"]["interval_95"] is None) == few
    assert found["difference"]["test_samples"] == "paired"
    assert (found["reference"]["std"] is None) == (seeds == 1)
    page = (tmp_path / "report.html").read_text()
    assert ("none: it needs 3 seeds" in page) == few
    assert f"{seeds} seed" in page


def test_the_help_says_how_many_seeds_a_verdict_needs(nnmass):
    assert f"a verdict needs {FEWEST_SEEDS} seeds" in " ".join(
        nnmass("compress", "--help").out.replace("│", " ").split()
    )


def test_a_second_call_trains_nothing_again(nnmass, reference, tmp_path):
    arguments = ("compress", "--reference", reference, "--data", "digits", *QUICK, "--out", tmp_path / "out", "--json")
    first = nnmass(*arguments).json()
    stored = (tmp_path / "out" / "runs.sqlite").stat().st_mtime_ns
    second = nnmass(*arguments).json()
    assert second["prediction"] == first["prediction"]
    assert (tmp_path / "out" / "runs.sqlite").stat().st_mtime_ns == stored


def test_the_table_shows_the_outcome(nnmass, reference, tmp_path):
    result = nnmass("compress", "--reference", reference, "--keep", 0.9, "--out", tmp_path)
    assert result.code == 0
    assert "NN-Mass" in result.out
    assert "compressed / reference" in result.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--max-macs", "10"), 1, "no specification of NN-Mass .* at most 10 macs; the cheapest has"),
        (("--max-macs", "0"), 2, "must be a whole number from 1 to .*, got '0'"),
        (("--max-params", "many"), 2, "must be a whole number from 1 to .*, got 'many'"),
        (("--keep", "1.5"), 2, "must be a number above 0 and at most 1, got '1.5'"),
        (("--keep", "0.5", "--max-macs", "1k"), 2, "give --keep-macs or --max-macs, not both"),
        (("--tolerance", "-1"), 2, "--tolerance.*: must be a number from 0 to below 1, got '-1'"),
        (("--max-density", "2"), 2, "must be a number above 0 and at most 1, got '2'"),
        (("--min-depth", "1"), 1, "min_depth must be at least 3, got 1"),
        (("--verify",), 2, "--verify needs --data"),
        (("--data", "nowhere"), 1, "data 'nowhere' is neither one of digits, "),
        (("--data", "linear"), 1, "linear: its inputs have the shape .* reads 64 values"),
        (("--data", "digits", "--verify", "--seeds", "0"), 2, "--seeds.*must be a whole number from 1"),
        (("--data", "digits", "--epochs", "0"), 2, "--epochs"),
        (
            ("--data", "digits", "--optimizer", "magic"),
            1,
            "optimizer should be 'adam', 'sgd', or timm's, as 'timm:NAME', got 'magic'",
        ),
        (("--objective", "beauty"), 2, "beauty"),
        (("--wrong-flag",), 2, "--wrong-flag"),
    ],
)
def test_a_mistake_is_one_clear_line(nnmass, reference, tmp_path, arguments, code, message):
    result = nnmass("compress", "--reference", reference, "--out", tmp_path / "out", *arguments)
    assert result.code == code
    assert re.search(message, " ".join(result.err.replace("│", " ").split()))
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("timm:mobilenetv2_100", ("--keep-macs", 0.66)),
        ("torchvision:mobilenet_v2", ("--keep-macs", 0.66, "--keep-params", 0.9)),
    ],
)
def test_a_mobilenet_is_compressed_by_its_name(nnmass, tmp_path, source, options):
    out = tmp_path / "out"
    result = nnmass("compress", source, *options, "--out", out, "--json")
    assert result.code == 0, result.err
    values = result.json()
    assert abs(values["table"]["ratio"]["nn_mass"] - 1) <= 0.02
    assert values["table"]["ratio"]["macs"] <= 0.66
    assert values["certificate"]["optimal"] is True
    assert load_spec(out / "compressed.json").macs == values["table"]["compressed"]["macs"]
    assert {path.name for path in out.glob("*.png")} == {"skips-of-reference.png", "skips-of-compressed.png"}


def test_a_budget_of_milliseconds(nnmass, reference, tmp_path):
    table = tmp_path / "latency.sqlite"
    assert nnmass("bench", reference, "--table", table, "--threads", 1, "--seconds", 0.001).code == 0
    result = nnmass("compress", reference, "--max-latency-ms", 5000, "--latency", table, "--out", tmp_path, "--json")
    assert result.code == 0, result.err
    assert result.json()["objective"] == "latency_ms"
    found = result.json()["table"]["compressed"]
    assert 0 < found["latency_low_ms"] <= found["latency_ms"] <= found["latency_high_ms"] <= 5000


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "give MODEL or --reference, one of them"),
        (("timm:mobilenetv2_100", "--reference", "x.json"), 2, "give MODEL or --reference, one of them"),
        (("timm:densenet121",), 1, "timm:densenet121 is none of DenseMLP, .*MobileNetV2"),
        (
            ("timm:mobilenetv2_100", "--keep-macs", "0.1"),
            1,
            "no specification of NN-Mass 1287.00 ± 2% within the domain",
        ),
        (("timm:mobilenetv2_100", "--stage-tolerance", "2"), 2, "must be a number from 0 to below 1, got '2'"),
        (("timm:mobilenetv2_100", "--max-latency-ms", "3"), 1, "milliseconds need a latency table"),
        (
            ("timm:mobilenetv2_100", "--keep-params", "0.5", "--max-params", "1M"),
            2,
            "give --keep-params or --max-params",
        ),
    ],
)
def test_a_mistake_about_the_model_is_one_clear_line(nnmass, tmp_path, arguments, code, message):
    result = nnmass("compress", *arguments, "--out", tmp_path / "out")
    assert result.code == code
    assert re.search(message, " ".join(result.err.replace("│", " ").split()))
    assert result.err.count("\n") == 1


def test_a_reference_without_skips_is_refused(nnmass, tmp_path):
    path = tmp_path / "plain.json"
    path.write_text('{"family": "DenseMLP", "width": 4, "depth": 10, "max_skips": 0}')
    result = nnmass("compress", "--reference", path, "--out", tmp_path / "out")
    assert (result.code, result.out) == (1, "")
    assert "NN-Mass 0" in result.err
    assert not (tmp_path / "out").exists()


def test_a_damaged_store_stays_as_it_is(nnmass, reference, tmp_path):
    store = tmp_path / "out" / "runs.sqlite"
    store.parent.mkdir()
    store.write_bytes(b"not a database, but long enough to be taken for one" * 20)
    before = store.read_bytes()
    result = nnmass("compress", "--reference", reference, "--data", "digits", *QUICK, "--out", store.parent)
    assert result.code == 1
    assert "damaged, or not a run store" in result.err
    assert store.read_bytes() == before

import json
import re

import pytest

from nnmass import DenseCNN, DenseMLP, MobileNetV2, load_spec
from nnmass.designing import MobileNetV2Space
from nnmass.latency import PASSES, Block, Conditions, LatencyTable, Timing
from nnmass.timing import conditions


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "space.json"
    path.write_text('{"family": "DenseMLP", "width": 6, "depth": {"min": 8, "max": 12}, "in_features": 64}')
    return path


def test_a_design_is_printed_and_written(nnmass, space, tmp_path):
    out = tmp_path / "out"
    result = nnmass("design", space, "--max-macs", "2k", "--top", 2, "--out", out, "--json")
    assert result.code == 0, result.err
    values = result.json()
    spec = load_spec(out / "design.json")
    assert spec.without_links() == DenseMLP(**{k: v for k, v in values["design"]["spec"].items() if k != "family"})
    assert values["certificate"]["optimal"] is True
    assert spec.macs <= 2000
    assert json.loads((out / "result.json").read_text()) == values
    assert {path.name for path in out.iterdir()} == {"design.json", "report.html", "result.json", "skips.png"}
    assert "<svg" in (out / "report.html").read_text()
    shown = nnmass("design", space, "--max-macs", "2k", "--top", 2)
    assert "Proven: no network of the space within the budgets has larger NN-Mass." in shown.out
    assert "No accuracy is predicted" in shown.out


def test_the_papers_mobilenet_from_one_command(nnmass):
    values = nnmass("design", "MobileNetV2", "--max-macs", "393M", "--max-params", "3.7M", "--json").json()
    assert values["design"]["macs"] <= 393e6
    assert values["design"]["params"] <= 3.7e6
    assert values["design"]["outside_domain"] == []
    assert values["certificate"]["optimal"] is True


def test_the_mass_of_another_network(nnmass):
    found = nnmass("design", "MobileNetV2", "--mass-of", "timm:mobilenetv2_100", "--json").json()
    assert abs(found["design"]["nn_mass"] / MobileNetV2().nn_mass - 1) <= 0.02
    assert found["objective"] == "macs"
    assert found["design"]["macs"] <= 0.66 * MobileNetV2().macs


def test_a_front_is_listed_drawn_and_written(nnmass, tmp_path):
    result = nnmass("design", "MobileNetV2", "--front", "macs", "--max-macs", "200M", "--out", tmp_path / "front")
    assert result.code == 0, result.err
    assert "Largest NN-Mass for its macs" in result.out
    values = json.loads((tmp_path / "front" / "front.json").read_text())
    masses = [row["nn_mass"] for row in values["front"]]
    assert masses == sorted(masses)
    assert (tmp_path / "front" / "front.png").stat().st_size > 5000


def test_a_fit_predicts(nnmass, reference, tmp_path):
    sweep = ("sweep", "--base", reference, "--vary", "max_skips=2,5,12,40", "--data", "digits", "--epochs", 1)
    assert nnmass(*sweep, "--seeds", 1, "--workers", 1, "--store", tmp_path / "runs.sqlite").code == 0
    space = tmp_path / "space.json"
    space.write_text('{"family": "DenseMLP", "width": 8, "depth": [12, 16], "in_features": 64}')
    result = nnmass("design", space, "--fit", tmp_path / "runs.sqlite", "--json")
    assert result.code == 0, result.err
    assert set(result.json()["design"]["accuracy"]) == {"nn_mass", "params", "macs"}
    shown = nnmass("design", space, "--fit", tmp_path / "runs.sqlite")
    assert "The same fit on plain counts predicts" in shown.out
    assert (
        "Holds for DenseMLPs of width 8, in features 64, num classes 10, activation elu on digits; trained" in shown.out
    )


@pytest.mark.parametrize(
    ("space", "difference"),
    [
        ('"family": "DenseMLP", "width": 9, "depth": [12, 16], "in_features": 64', "width 9, not 8$"),
        ('"family": "DenseMLP", "width": 8, "depth": [12, 16]', "in features 784, not 64$"),
        (
            '"family": "DenseCNN", "widths": [8, 16], "conv": "separable"',
            r"family DenseCNN \(widths 8, 16, conv separable, image size 32, .*\), not DenseMLP$",
        ),
    ],
)
@pytest.mark.parametrize("options", [(), ("--outside-domain",), ("--objective", "accuracy"), ("--top", 3)])
def test_a_fit_of_other_networks_is_refused(nnmass, tmp_path, mixed_store, space, difference, options):
    path = tmp_path / "space.json"
    path.write_text(f"{{{space}}}")
    result = nnmass("design", path, "--fit", mixed_store, "--fit-only", "width=8", *options)
    assert result.code == 1
    assert re.search(rf"the fit holds for DenseMLPs of width 8.* on digits; this space has {difference}", result.err)
    assert result.err.count("\n") == 1


def test_a_store_of_several_kinds_predicts_with_one_of_them(nnmass, tmp_path, mixed_store):
    path = tmp_path / "space.json"
    path.write_text('{"family": "DenseMLP", "width": 9, "depth": [12, 16], "in_features": 64}')
    refused = nnmass("design", path, "--fit", mixed_store)
    assert refused.code == 1
    assert "these networks are not alike: they have width 8 or 9." in " ".join(refused.err.split())
    chosen = nnmass("design", path, "--fit", mixed_store, "--fit-only", "width=9", "--json").json()
    assert chosen["fit"]["holds_for"]["traits"]["width"] == 9
    assert chosen["design"]["accuracy"]["nn_mass"]["high"] <= 1


def test_a_latency_table_is_filled_and_used(nnmass, space, tmp_path):
    table = tmp_path / "latency.sqlite"
    filled = nnmass("bench", "--space", space, "--table", table, "--threads", 1, "--seconds", 0.001, "--json")
    assert filled.code == 0, filled.err
    assert filled.json()["measured"] == filled.json()["blocks"] > 0
    result = nnmass("design", space, "--max-latency-ms", 5000, "--latency", table, "--json")
    assert result.code == 0, result.err
    found = result.json()["design"]
    assert 0 < found["latency_low_ms"] <= found["latency_ms"] <= found["latency_high_ms"] <= 5000


def test_what_a_latency_table_cannot_tell_is_said(nnmass, tmp_path):
    path = tmp_path / "latency.sqlite"
    table = LatencyTable(path, conditions(threads=1), create=True)
    stages = [{"expansion": 3, "channels": 16, "repeats": [1, 2, 3], "stride": 1}] * 2
    space = MobileNetV2Space(stages=stages, image_size=32)
    for piece in space.blocks():
        table.add(piece, Timing(1.0, 0.9, 1.1, 1.1, 7))
    chosen = space.to_json(tmp_path / "space.json")
    shown = nnmass("design", chosen, "--max-latency-ms", 7, "--latency", path, "--out", tmp_path / "out")
    assert shown.code == 0, shown.err
    assert "6.00 ms [5.40, 6.60]" in shown.out
    assert "Proven: no network of the space surely within the budgets has larger NN-Mass." in shown.out
    assert "The latency table cannot tell whether another with NN-Mass" in shown.out
    assert "7.00 ms [6.30, 7.70]" in (tmp_path / "out" / "report.html").read_text()
    least = nnmass("design", chosen, "--min-mass", 1, "--objective", "latency_ms", "--latency", path)
    assert "cannot tell which is the fastest: none takes less than 3.60 ms" in least.out
    open_ = nnmass("design", chosen, "--max-latency-ms", 4, "--latency", path)
    assert (open_.code, open_.err.count("\n")) == (1, 1)
    assert (
        "feasible is at most 4.4 ms; by its lower bounds there is a network of 3.6 ms: the table cannot tell"
        in open_.err
    )
    front = nnmass("design", chosen, "--front", "latency_ms", "--latency", path, "--out", tmp_path / "out")
    assert "possibly" in front.out
    assert "The latency table cannot tell whether one of the mass" in " ".join(front.out.split())
    assert (tmp_path / "out" / "front.png").stat().st_size > 5000


def test_a_larger_block_that_is_faster_is_named(nnmass, tmp_path):
    path = tmp_path / "latency.sqlite"
    here = conditions(threads=1)
    table = LatencyTable(path, here, create=True)
    space = MobileNetV2Space(stages=[{"expansion": [3, 4, 5, 6], "channels": 16, "repeats": 1, "stride": 2}])
    for k, piece in enumerate(space.blocks()):
        for _ in range(PASSES):
            table.add(piece, Timing(9.0 - k, 9.0 - k, 9.0 - k, 9.0 - k, 7))
    arguments = ("bench", "--space", space.to_json(tmp_path / "space.json"), "--table", path, "--threads", 1)
    shown = nnmass(*arguments).out
    assert shown.count("takes longer than the larger inverted_residual") == 3
    assert "3 more such pairs; --json lists all" in shown
    assert len(nnmass(*arguments, "--json").json()["exceptions"]) == 6


def test_a_table_of_another_device_is_refused_and_can_be_asked_for(nnmass, tmp_path):
    path = tmp_path / "latency.sqlite"
    other = LatencyTable(path, Conditions("a phone", "eager", 1, 1, "1"), create=True)
    other.add(Block("dense_second", (0, 8, 8)), Timing(1, 1, 1, 1, 5))
    arguments = ("design", "DenseCNN", "--max-latency-ms", 5, "--latency", path)
    result = nnmass(*arguments)
    assert result.code == 1
    assert re.search(r"holds no such latencies of this machine .*, but a phone, .*; --other-device", result.err)
    result = nnmass(*arguments, "--other-device")
    assert result.code == 1
    assert "was not measured; nnmass bench" in result.err
    here = conditions(threads=1)
    for engine in ("eager", "compile"):
        own = LatencyTable(path, Conditions(here.device, engine, 1, 1, "1"), create=True)
        own.add(Block("dense_second", (0, 8, 8)), Timing(1, 1, 1, 1, 5))
    result = nnmass(*arguments)
    assert "holds 2 such sets of latencies; --engine chooses one" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nowhere.json",), 1, "nowhere.json: cannot be read as a design space"),
        (
            ("DenseCNN", "--max-macs", "1M"),
            1,
            "no network of the space has at most 1,000,000 MACs, feasible is at most",
        ),
        (("DenseCNN", "--max-macs", "0"), 2, "must be a whole number from 1 to .*, got '0'"),
        (("DenseCNN", "--max-latency-ms", "3"), 1, "milliseconds need a latency table"),
        (("DenseCNN", "--min-mass", "5", "--max-mass", "4"), 1, "min_mass 5 exceeds max_mass 4"),
        (("DenseCNN", "--objective", "beauty"), 2, "beauty"),
        (("DenseCNN", "--objective", "macs"), 1, "objective 'macs' needs a min_mass"),
        (("DenseCNN", "--mass-of", "timm:vgg11"), 2, "has NN-Mass 0 .no skips.: there is no mass to match"),
        (("DenseCNN", "--mass-of", "x.json", "--min-mass", "3"), 2, "give --mass-of, or --min-mass and --max-mass"),
        (("DenseCNN", "--top", "0"), 2, "--top"),
        (("DenseCNN", "--fit", "nowhere.sqlite"), 1, "nowhere.sqlite: no such run store"),
        (("DenseCNN", "--latency", "nowhere.sqlite"), 1, "nowhere.sqlite: no such latency table"),
        (("DenseCNN", "--front", "macs", "--max-macs", "1k"), 1, "has at most 1,000 MACs, feasible is at most"),
        (("DenseCNN", "--front", "latency_ms"), 1, "milliseconds need a latency table"),
        (("DenseCNN", "--wrong-flag"), 2, "--wrong-flag"),
    ],
)
def test_a_mistake_is_one_clear_line(nnmass, arguments, code, message):
    result = nnmass("design", *arguments)
    assert result.code == code
    assert re.search(message, " ".join(result.err.replace("│", " ").split()))
    assert result.err.count("\n") == 1


def test_a_space_beyond_the_domain_says_how_to_allow_it(nnmass, tmp_path):
    path = tmp_path / "space.json"
    path.write_text('{"family": "DenseCNN", "widths": [[16, 32], 64], "depth": [4, 8]}')
    result = nnmass("design", path)
    assert result.code == 1
    assert re.search("beyond what NN-Mass .*widths vary .16 … 32.*depth 4: .*--outside-domain", result.err)
    allowed = nnmass("design", path, "--max-macs", "80M", "--outside-domain")
    assert allowed.code == 0
    assert "Outside the domain: widths vary" in allowed.out


REFERENCE = DenseCNN(widths=(32, 64, 128), depth=16, max_skips=(80, 80, 65))


def test_the_papers_densenet_from_one_command(nnmass, tmp_path):
    """5.02 M parameters and 1.95 GFLOPs become at most 3.82 M and 1.2 at the same mass."""
    assert (round(REFERENCE.params / 1e6, 2), round(2 * REFERENCE.macs / 1e9, 2)) == (5.02, 1.95)
    path = REFERENCE.to_json(tmp_path / "large.json")
    command = ("compress", path, "--max-params", "3.82M", "--max-macs", "600M", "--out", tmp_path / "out", "--json")
    result = nnmass(*command)
    assert result.code == 0, result.err
    table = result.json()["table"]
    assert abs(table["ratio"]["nn_mass"] - 1) <= 0.02
    assert table["compressed"]["params"] <= 3.82e6
    assert table["compressed"]["macs"] <= 0.6e9
    assert result.json()["certificate"]["optimal"] is True


def test_sizes_and_classes_of_a_space_are_given_on_the_command_line(nnmass, tmp_path):
    asked = ("design", "mobilenet_v2", "--image-size", 96, "--classes", 10, "--max-macs", "60M")
    spec = nnmass(*asked, "--json").json()["design"]["spec"]
    assert (spec["image_size"], spec["num_classes"]) == (96, 10)
    written = tmp_path / "space.json"
    result = nnmass("design", "mobilenet_v2", "--image-size", 96, "--classes", 10, "--write-space", written)
    assert result.code == 0, result.err
    assert nnmass("design", written, "--max-macs", "60M", "--json").json()["design"]["spec"] == spec
    refused = nnmass("design", written, "--image-size", 128)
    assert (refused.code, refused.err) == (
        1,
        "nnmass: the space states image_size 96, and 128 is asked for: change one of them\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("DenseMLP", "--image-size", 32), "--image-size is not for a DenseMLP"),
        (("DenseCNN", "--in-features", 32), "--in-features is not for a DenseCNN"),
        (("ResNet", "--classes", 0), "must be a whole number from 1"),
        (("example:spaces",), "did you mean example:space?"),
    ],
)
def test_constants_and_examples_that_do_not_fit_are_one_line(nnmass, arguments, message):
    result = nnmass("design", *arguments)
    assert result.code in (1, 2)
    assert message in result.err
    assert result.err.count("\n") == 1


def test_an_example_is_designed_from_trained_and_listed(nnmass, tmp_path):
    assert nnmass("design", "example:space", "--max-macs", "100M", "--json").json()["certificate"]["optimal"] is True
    assert nnmass("analyze", "example:reference", "--json").json()["params"] == 7482
    out = ("--epochs", 1, "--out", tmp_path / "run", "--json")
    assert nnmass("train", "example:reference", *out).code == 0
    assert load_spec(tmp_path / "run" / "spec.json").without_links() == load_spec("example:reference")

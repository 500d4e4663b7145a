import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from nnmass.tracing import CAVEAT, RankedModel, load_model
from nnmass.tracing.journal import Journal

FILE = """
import time
from torch import nn

def quick():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))

def slow():
    time.sleep(300)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "models.py"
    path.write_text(FILE)
    return path


@pytest.fixture(autouse=True, scope="module")
def imported():
    """What the libraries say while they are imported is said here."""
    load_model("timm:resnet18")


def models(result):
    return [row["model"] for row in result.json()["models"]]


def test_models_and_patterns_become_one_sorted_table(nnmass, reference):
    result = nnmass("rank", "timm:mobilenetv2_0*", "timm:vgg11", "timm:mobilenetv2_050", reference, "timm:nothing")
    assert result.code == 0
    lines = [line.split() for line in result.out.splitlines()]
    assert [line[0] for line in lines[2:8]] == [
        "timm:mobilenetv2_075",
        "timm:mobilenetv2_050",
        "timm:mobilenetv2_035",
        str(reference),
        "timm:nothing",
        "timm:vgg11",
    ]
    assert lines[3][1:5] == ["650.0", "0.125", "1.97M", "97.1M"]
    assert lines[7][1:] == ["–", "–", "133M", "7.61G", "uninformative:", "no", "cell", "holds", "a", "skip"]
    assert "6 models: 4 answered, 1 uninformative, 1 failed" in result.out
    assert CAVEAT in " ".join(result.out.split())


def test_budgets_and_order(nnmass):
    budgets = ("--max-macs", "500M", "--max-params", "3M")
    result = nnmass("rank", "timm:mobilenetv2_*", *budgets, "--sort", "macs", "--json")
    assert models(result) == ["timm:mobilenetv2_035", "timm:mobilenetv2_050", "timm:mobilenetv2_075"]
    values = result.json()
    assert values["left_out"] == 4
    assert values["caveat"] == CAVEAT
    assert values["models"][0]["flops"] == 2 * values["models"][0]["macs"]


def test_budgets_leave_out_models_of_unknown_cost_and_say_why(nnmass, tmp_path):
    (tmp_path / "m.py").write_text(
        "from torch import nn\n"
        "class Free(nn.Conv2d):\n"
        "    def __init__(self): super().__init__(3, 4, 3)\n"
        "class Guarded(Free):\n"
        "    def forward(self, x): return super().forward(x) if x.max() < 9 else x\n"
        "class Fails(Free):\n"
        "    def forward(self, x): raise ValueError('no')\n"
    )
    sources = [f"{tmp_path}/m.py:{name}" for name in ("Guarded", "Fails", "Free")]
    options = ["--image-size", "8", "--sort", "macs"]
    everything = json.loads(nnmass("rank", *sources, *options, "--json").out)
    assert [row["macs"] for row in everything["models"]] == [36 * 4 * 27, None, None]
    result = nnmass("rank", *sources, *options, "--max-macs", "1M", "--json")
    values = json.loads(result.out)
    assert [row["model"] for row in values["models"]] == sources[2:]
    assert values["left_out"] == 2
    reasons = {row["model"]: row["reason"] for row in values["of_unknown_cost"]}
    assert reasons[sources[0]].endswith("MACs unknown: the forward pass cannot be followed there")
    assert reasons[sources[1]].endswith("ValueError: no")
    shown = nnmass("rank", *sources, *options, "--max-macs", "100")
    assert "1 above the budgets are left out" in shown.out
    assert "Left out: costs unknown" in shown.out


def test_published_accuracies_name_their_weights(nnmass, tmp_path):
    results = tmp_path / "results.csv"
    results.write_text("model,img_size,top1\nresnet18.a1_in1k,224,71.5\nresnet18.tv_in1k,224,69.8\n")
    arguments = ("rank", "timm:resnet18", "torchvision:resnet18", "timm:resnet10t", "--results", results)
    out = nnmass(*arguments, "--sort", "top1").out
    assert [line.split()[0] for line in out.splitlines()[2:5]] == [
        "timm:resnet18",
        "torchvision:resnet18",
        "timm:resnet10t",
    ]
    assert "71.50 %  resnet18.a1_in1k, 224" in out
    assert "69.80 %  resnet18.tv_in1k, 224" in out


def test_the_table_is_written_with_every_column(nnmass, file, tmp_path):
    out = tmp_path / "out.csv"
    result = nnmass("rank", "timm:resnet18", "timm:vit_tiny_patch16_224", f"{file}:quick", "--csv", out)
    assert result.code == 0
    first, *others = csv.DictReader(out.read_text().splitlines())
    assert (first["model"], first["nn_mass"], first["params"]) == ("timm:resnet18", "3392.0", "11689512")
    outcomes = {row["model"].rpartition(":")[2]: (row["outcome"], row["reason"]) for row in others}
    assert outcomes["vit_tiny_patch16_224"] == ("refused", "blocks.0.attn: product of data with data (attention)")
    assert outcomes["quick"][0] == "failed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models.py", "out.csv"]


def test_a_stopped_ranking_goes_on_where_it_was(nnmass, tmp_path):
    out = tmp_path / "out.csv"
    journal = Journal(f"{out}.partial", {"image_size": None, "projection": None})
    journal.add(RankedModel("timm:resnet18", "answered", nn_mass=1.0, density=1.0, params=1, macs=1))
    journal.add(RankedModel("timm:resnet26", "answered", nn_mass=2.0, density=1.0, params=1, macs=1))
    found = nnmass("rank", "timm:resnet18", "timm:resnet34", "--csv", out, "--json").json()["models"]
    assert {row["model"]: row["params"] for row in found} == {"timm:resnet18": 1, "timm:resnet34": 21_797_672}
    again = nnmass("rank", "timm:resnet18", "--csv", out, "--json").json()["models"]
    assert again[0]["params"] == 11_689_512


def test_ctrl_c_keeps_what_is_finished(file, tmp_path):
    out, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    command = [sys.executable, "-m", "nnmass", "rank", "timm:resnet18", f"{file}:slow", "--image-size", "32"]
    command += ["--workers", "2", "--csv", str(out)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, **pipes, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (partial.exists() and "timm:resnet18" in partial.read_text()):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    shown, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err, err
    assert "timm:resnet18  3,392.0" in shown
    assert err.splitlines()[-1].startswith(f"nnmass: interrupted after 1 of 2 models; {out} holds them")
    assert [row["model"] for row in csv.DictReader(out.read_text().splitlines())] == ["timm:resnet18"]
    assert len(partial.read_text().splitlines()) == 2


def test_ctrl_c_without_a_file_shows_what_is_finished(nnmass, monkeypatch):
    def measured(sources, **_):
        yield RankedModel(sources[0], "failed", reason="bad luck")
        raise KeyboardInterrupt

    monkeypatch.setattr("nnmass.tracing.measure_all", measured)
    result = nnmass("rank", "timm:resnet18", "timm:resnet34")
    assert result.code == 130
    assert "failed: bad luck" in result.out
    assert result.err == "nnmass: interrupted after 1 of 2 models; --csv FILE keeps what is finished\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["timm:qqq*"], 1, "no model of timm matches 'qqq*'"),
        (["timm:resnet18", "--sort", "beauty"], 2, "--sort"),
        (["timm:resnet18", "--sort", "top1"], 2, "top1 needs --results"),
        (["timm:resnet18", "--results", "nowhere.csv"], 1, "nowhere.csv: cannot be read as CSV"),
        (["timm:resnet18", "--max-macs", "-3"], 2, "must be a whole number from 1 to"),
        (["timm:resnet18", "--workers", "0"], 2, "--workers"),
        ([], 2, "MODEL"),
    ],
)
def test_mistakes_are_one_line(nnmass, arguments, code, message):
    result = nnmass("rank", *arguments)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_all_models_of_a_file_are_ranked(nnmass, models):
    result = nnmass("rank", f"{models}:*", "--input-size", "1,8", "--json")
    assert result.code == 0, result.err
    rows = {row["model"].rpartition(":")[2]: row for row in result.json()["models"]}
    assert set(rows) == {"Net", "make", "ready"}
    assert all(row["macs"] for row in rows.values())
    assert nnmass("rank", f"{models}:[mr]*", "--input-size", "1,8", "--json").json()["models"][0]["params"] == 51
    nothing = nnmass("rank", f"{models}:x*")
    assert (nothing.code, nothing.err) == (
        1,
        f"nnmass: {models} has no model that matches 'x*'; it has Net, make, ready\n",
    )
    both = nnmass("rank", f"{models}:*", "--input-size", "1,8", "--image-size", 8)
    assert both.code == 2
    assert "give sizes of the inputs or an image size, not both" in both.err


def test_examples_are_ranked_by_pattern(nnmass):
    rows = nnmass("rank", "example:*", "--json").json()["models"]
    assert [row["outcome"] for row in rows] == ["answered"] * 3

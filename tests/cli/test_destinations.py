"""Where a command cannot write, it says so before it works: one line, the same in every command."""

import os
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from typer.models import OptionInfo

from nnmass.cli.parameters import all_parameters

WRITING = {
    ("isometry", "--out"): ["reference.json"],
    ("isometry", "--plot"): ["reference.json"],
    ("analyze", "--graph"): ["reference.json"],
    ("rank", "--csv"): ["torchvision:resnet18"],
    ("bench", "--table"): ["reference.json"],
    ("design", "--out"): ["DenseMLP"],
    ("design", "--write-space"): ["DenseMLP"],
    ("compress", "--out"): ["reference.json", "--keep-macs", "0.6"],
    ("export", "--to"): ["reference.json"],
    ("train", "--out"): ["reference.json"],
    ("sweep", "--store"): ["--base", "reference.json"],
    ("sweep", "--export"): ["--base", "reference.json", "--store", "new.sqlite"],
    ("fit", "--plot"): ["runs.sqlite"],
    ("reproduce", "--out"): ["mlp-accuracy"],
}
"""Every option that names what is written, with what else the command needs."""
ENDINGS = {"--plot": ".png", "--graph": ".svg", "--csv": ".csv", "--export": ".csv", "--table": ".sqlite"}
ENDINGS |= {"--store": ".sqlite", "--write-space": ".json"}


@pytest.fixture
def folder(tmp_path, reference, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").write_text("a file")
    return tmp_path


def test_every_option_that_writes_is_tried():
    paths = [
        p for p in all_parameters() if Path in (p.kind, *typing.get_args(p.kind)) and isinstance(p.info, OptionInfo)
    ]
    tried = {
        (p.command, p.flag) for p in paths if getattr(p.info.parser, "__module__", "") == "nnmass.cli.destinations"
    }
    assert tried == set(WRITING)
    others = {p.flag for p in paths} - {flag for _, flag in tried}
    assert others <= {
        "--reference",
        "--latency",
        "--fit",
        "--results",
        "--recipe",
        "--base",
        "--data-root",
        "--weights",
    }


@pytest.mark.parametrize(("command", "option"), WRITING)
def test_a_destination_below_a_file_is_one_line_before_any_work(nnmass, folder, command, option):
    target = f"plain/below/x{ENDINGS.get(option, '')}"
    code, out, err = nnmass(command, *WRITING[command, option], option, target)
    assert code == 1
    assert out == ""
    shown = "plain/below" if option in ENDINGS else target
    assert err == f"nnmass: cannot write to {shown}: not a directory\n"
    assert sorted(os.listdir(folder)) == ["plain", "reference.json"]


@pytest.mark.parametrize(("command", "option"), WRITING)
def test_a_name_that_no_file_has_is_one_line(nnmass, folder, command, option):
    code, _, err = nnmass(command, *WRITING[command, option], option, f"\ud800{ENDINGS.get(option, '')}")
    assert code == 2
    assert f"\\ud800{ENDINGS.get(option, '')} cannot be the name of a file" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("command", "option"), [key for key in WRITING if key[1] in ENDINGS])
def test_a_file_is_not_written_over_a_folder(nnmass, folder, command, option):
    name = f"x{ENDINGS[option]}"
    (folder / name).mkdir()
    code, _, err = nnmass(command, *WRITING[command, option], option, name)
    assert code == 2
    assert f"{name} is a folder, not a file" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("command", "option"), [key for key in WRITING if key[1] in ("--plot", "--graph")])
def test_another_ending_than_a_pictures_is_refused_before_any_work(nnmass, folder, command, option):
    for name in ("a.gif", os.fsdecode(b"\xff.gif")):
        code, _, err = nnmass(command, *WRITING[command, option], option, name)
        assert code == 2
        assert "pictures end in .pdf, .png, .svg, got '.gif'" in err
        assert err.count("\n") == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root")
@pytest.mark.parametrize(("command", "option"), [("train", "--out"), ("sweep", "--store"), ("rank", "--csv")])
def test_a_forbidden_folder_is_never_damaged(folder, command, option):
    forbidden = folder / "forbidden"
    forbidden.mkdir(mode=0o755)
    os.chown(forbidden, 65534, 65534)
    target = f"forbidden/x{ENDINGS.get(option, '')}"
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    arguments = [command, *WRITING[command, option], option, target]
    done = subprocess.run(
        [*without, sys.executable, "-m", "nnmass", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    shown = "forbidden" if option in ENDINGS else target
    assert (done.returncode, done.stderr) == (1, f"nnmass: cannot write to {shown}: permission denied\n")


def test_a_refused_call_leaves_no_folder_behind(nnmass, folder):
    code, _, err = nnmass("design", "DenseMLP", "--max-params", "1", "--out", "designed")
    assert code == 1
    assert "no network" in err
    assert not (folder / "designed").exists()

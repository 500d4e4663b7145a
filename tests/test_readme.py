import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnmass import TrainingConfig

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "docs/designing.md", "docs/hand-over.md", "docs/large-scale.md"]
pages = pytest.mark.parametrize("page", PAGES)
needs_results = pytest.mark.skipif(not (ROOT / "results").exists(), reason="results/ is in the repository only")


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", path / "examples")
    return path


@pages
def test_the_commands_run_one_after_the_other(folder, page):
    commands = [line for block in blocks(page, "console") for line in block.splitlines() if line.startswith("nnmass ")]
    assert commands
    for command in commands:
        arguments = [sys.executable, "-m", *shlex.split(command)]
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_the_recipe_of_the_page_is_one():
    (recipe,) = blocks("docs/large-scale.md", "json")
    values = json.loads(recipe)
    assert TrainingConfig(**values).model_dump().items() >= values.items()


@pages
def test_the_python_examples_print_what_stands_below_them(capsys, page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    known = {}
    for code, text in zip(blocks(page, "python"), blocks(page, "text"), strict=True):
        exec(compile(code, page, "exec"), known)
        assert capsys.readouterr().out.strip() == text.strip()


@needs_results
@pages
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(target).exists(), target


@needs_results
def test_tables_show_what_the_results_hold():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "fill_tables.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_worked_example_runs():
    command = [sys.executable, "-W", "ignore", ROOT / "examples" / "quantise.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()[1:]}
    assert int(rows["int8"][2].replace(",", "")) < int(rows["float32"][2].replace(",", ""))
    for name in ("float32", "int8"):
        assert float(rows[name][3].rstrip("%")) > 90

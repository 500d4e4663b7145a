import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", path / "examples")
    return path


def test_the_commands_run_one_after_the_other(folder):
    commands = [line for block in blocks("console") for line in block.splitlines() if line.startswith("nnmass ")]
    assert len(commands) >= 5
    for command in commands:
        arguments = [sys.executable, "-m", *shlex.split(command)]
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_the_python_examples_print_what_stands_below_them(capsys):
    known = {}
    for code, text in zip(blocks("python"), blocks("text"), strict=True):
        exec(compile(code, "README.md", "exec"), known)
        assert capsys.readouterr().out.strip() == text.strip()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_tables_show_what_the_results_hold():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "fill_tables.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

"""What is handed out: the sdist with tests, docs and examples, the wheel with the package and its data files."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

import nnmass

ROOT = Path(__file__).parents[1]
NOT_OURS = shutil.ignore_patterns(
    ".git", ".venv", "results", "demo", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)
GRAFTED = ("src", "tests", "docs", "examples", "benchmarks")
BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, f"build_{sys.argv[1]}")(sys.argv[2]))
"""


class Built(NamedTuple):
    sdist: set[str]
    wheel: set[str]
    metadata: str


def build(kind, source, target):
    command = [sys.executable, "-c", BUILD, kind, str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An sdist, without network, and a wheel that is built from it alone."""
    folder = tmp_path_factory.mktemp("distribution")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=NOT_OURS)
    for name in ("results/runs.csv", "demo/report.html", "tests/__pycache__/old.pyc"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("not handed out")
    sdist = build("sdist", source, folder)
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2] for member in archive if member.isfile()}
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    with zipfile.ZipFile(build("wheel", unpacked, folder)) as archive:
        wheel = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in wheel if name.endswith("/METADATA"))
    return Built(files, wheel, metadata)


def ours(folder):
    """Files of a folder of the repository."""
    paths = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    return {p.as_posix() for p in paths if "__pycache__" not in p.parts and "egg-info" not in p.as_posix()}


@pytest.mark.parametrize("folder", GRAFTED)
def test_the_sdist_holds_all_of_a_folder(built, folder):
    held = {name for name in built.sdist if name.startswith(f"{folder}/") and ".egg-info/" not in name}
    assert ours(folder) == held


def test_the_sdist_holds_what_stands_beside_them_and_no_results(built):
    assert {"README.md", "CHANGELOG.md", "LICENSE", "Makefile", "constraints.txt", "pyproject.toml"} < built.sdist
    roots = {name.partition("/")[0] for name in built.sdist if "/" in name}
    assert roots == {*GRAFTED, ".ci"}
    assert not [name for name in built.sdist if name.endswith(".pyc") or "__pycache__" in name]


def test_the_wheel_holds_the_package_with_its_data_files_and_nothing_else(built):
    package = {name.removeprefix("src/") for name in ours("src")}
    assert package <= built.wheel
    assert "nnmass/py.typed" in built.wheel
    assert any(name.endswith(".jinja") for name in built.wheel)
    assert {name.partition("/")[0] for name in built.wheel} == {"nnmass", f"nnmass-{nnmass.__version__}.dist-info"}


def test_the_version_is_written_once(built):
    assert f"\nVersion: {nnmass.__version__}\n" in built.metadata
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]

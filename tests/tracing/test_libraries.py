import sys
from pathlib import Path

import pytest

from nnmass.errors import ModelError
from nnmass.tracing import libraries
from nnmass.tracing.libraries import import_library

MISSING = 'raise RuntimeError("operator torchvision::nms does not exist")'


def torchvisions() -> dict[str, object]:
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] == "torchvision"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose packages hide the installed ones."""
    monkeypatch.syspath_prepend(tmp_path)
    loaded = torchvisions()
    for name in loaded:
        del sys.modules[name]
    yield tmp_path
    for name in torchvisions():
        del sys.modules[name]
    sys.modules.update(loaded)


def package(folder: Path, name: str, source: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source)


@pytest.mark.parametrize("name", ["torchvision", "torchvision.models", "timm", "onnx"])
def test_the_installed_libraries_are_imported(name):
    assert import_library(name) is sys.modules[name]


def test_operators_that_torchvision_lacks_are_declared_and_it_is_imported_anew(folder, monkeypatch):
    declared = []
    monkeypatch.setattr(libraries, "_declare_operators", lambda: declared.append(True))
    monkeypatch.setattr(sys, "seen", [], raising=False)
    source = f"import sys, torchvision.part\nsys.seen.append(1)\nif len(sys.seen) < 2:\n    {MISSING}\n"
    package(folder, "torchvision", source)
    (folder / "torchvision" / "part.py").write_text("")
    module = import_library("torchvision")
    assert sys.seen == [1, 1]
    assert declared == [True]
    assert sys.modules["torchvision.part"] is module.part


def test_other_failures_of_torchvision_are_told(folder):
    package(folder, "torchvision", 'raise RuntimeError("no such device\\ndetails")')
    with pytest.raises(ModelError, match=r"^timm cannot be imported: no such device$"):
        import_library("timm")


def test_a_dependency_that_is_missing_is_named(folder):
    package(folder, "torchvision", "import no_such_package.part")
    with pytest.raises(
        ModelError, match=r"^torchvision needs no_such_package, which is not installed: pip install no_s"
    ):
        import_library("torchvision.models")


@pytest.mark.parametrize(("name", "extra"), [("torchvision", "models"), ("timm", "models"), ("onnx", "onnx")])
def test_a_library_that_is_not_installed_names_its_extra(name, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModelError, match=rf"^{name} is not installed: pip install 'nnmass\[{extra}\]'$"):
        import_library(name)

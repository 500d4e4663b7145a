import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from nnmass.errors import ModelError
from nnmass.tracing.sources import load_model

MODELS = """
from dataclasses import dataclass
from torch import nn
from layers import Layer
from parts.head import head

@dataclass
class Options:
    width: int = 3

def make(width=3):
    from late import scale
    return nn.Sequential(Layer(width), head(width), scale())

def named(*sizes, **options):
    return nn.Linear(2, 2)

def needs(depth, width):
    return nn.Linear(depth, width)

def wrong():
    return {"weights": 1}

def fails():
    depth = 3
    raise ValueError("depth must be odd\\nand so on")

def leaves():
    raise SystemExit(2)

class Net(nn.Linear):
    def __init__(self):
        super().__init__(4, 5)

ready = nn.Linear(6, len(__file__) and 7)
number = 3
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "layers.py").write_text("from torch import nn\nclass Layer(nn.LazyLinear):\n    pass\n")
    (tmp_path / "late.py").write_text("from torch import nn\nscale = nn.Identity\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "head.py").write_text(
        "from torch import nn\ndef head(width):\n    return nn.Linear(width, 2)\n"
    )
    path = tmp_path / "models.py"
    path.write_text(MODELS)
    return path


@pytest.mark.parametrize(("name", "kind"), [("make", nn.Sequential), ("named", nn.Linear), ("ready", nn.Linear)])
def test_functions_and_modules_are_found(file, name, kind):
    model = load_model(f"{file}:{name}")
    assert type(model.module) is kind
    assert model.name == f"{file}:{name}"
    assert model.input_sizes is None


def test_a_class_without_arguments_is_made(file):
    assert load_model(f"{file}:Net").module.out_features == 5


def test_image_size_gives_the_input_size(file):
    assert load_model(f"{file}:Net", image_size=32).input_sizes == ((1, 3, 32, 32),)


def test_a_relative_path_is_one_from_here(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    assert load_model("models.py:ready").module.out_features == 7


def test_nothing_is_left_behind(file):
    path, modules, state = list(sys.path), set(sys.modules), torch.get_rng_state()
    python = random.getstate()
    load_model(f"{file}:make")
    assert not any("nnmass_model_file" in name for name in sys.modules)
    assert sys.path == path
    assert set(sys.modules) == modules
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == python


def test_installed_packages_below_the_folder_stay_loaded(tmp_path, monkeypatch):
    installed = tmp_path / ".venv" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "some_library.py").write_text("from torch import nn")
    (tmp_path / "model.py").write_text("import some_library\nmake = some_library.nn.Identity")
    monkeypatch.syspath_prepend(installed)
    load_model(f"{tmp_path / 'model.py'}:make")
    assert sys.modules.pop("some_library").nn is nn


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mak", "{file} has no 'mak'; it has make"),
        ("", "{file} has no ''; it has Options, make, named, needs, wrong, fails, leaves, Net, ready"),
        ("needs", "{file}:needs must need no arguments, but: missing a required argument: 'depth'"),
        ("wrong", "{file}:wrong returned dict, not a torch.nn.Module"),
        ("Options", "{file}:Options returned Options, not a torch.nn.Module"),
        ("number", "{file}:number is of type int, not a torch.nn.Module or a function"),
        ("fails", "{file}:26: ValueError: depth must be odd"),
        ("leaves", "{file}:29: SystemExit: 2"),
    ],
)
def test_what_makes_no_module_is_told_in_one_line(file, name, message):
    with pytest.raises(ModelError, match=f"^{re.escape(message.format(file=file))}$"):
        load_model(f"{file}:{name}")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_package", "1: ModuleNotFoundError: No module named 'no_such_package'"),
        ("a = 1\ndef make(:\n", r"2: SyntaxError: .*"),
        ("\n\nraise RuntimeError", "3: RuntimeError: RuntimeError"),
        ("import broken", "1: ZeroDivisionError: division by zero"),
    ],
)
def test_files_that_do_not_run_are_told_with_the_line(tmp_path, source, message):
    (tmp_path / "broken.py").write_text("\n1 / 0\n")
    file = tmp_path / "model.py"
    file.write_text(source)
    modules = set(sys.modules)
    with pytest.raises(ModelError, match=f"^{file}:{message}$"):
        load_model(f"{file}:make")
    assert set(sys.modules) == modules


def test_a_file_with_nothing_says_so(tmp_path):
    (tmp_path / "empty.py").write_text("from torch import nn")
    with pytest.raises(ModelError, match=r"empty.py has no 'make'; it has nothing that makes a model"):
        load_model(f"{tmp_path / 'empty.py'}:make")


def test_missing_files_and_names_are_told():
    assert not Path("no/such.py").exists()
    with pytest.raises(ModelError, match=r"^no/such.py: no such file$"):
        load_model("no/such.py:make")
    with pytest.raises(ModelError, match=r"^model.py: say what makes the model, model.py:NAME$"):
        load_model("model.py")


def test_files_may_import_torchvision_and_what_needs_it(tmp_path):
    """In a process of its own, in which nobody has imported it before."""
    file = tmp_path / "vision.py"
    file.write_text(
        "from torchvision.models import resnet18\n"
        "def now(): return resnet18()\n"
        "def later():\n    import timm, torchvision.ops\n    return timm.create_model('resnet18')\n"
    )
    code = (
        "import sys; from nnmass.tracing import analyze_source\n"
        f"print(*(analyze_source(f'{file}:{{n}}', image_size=64).nn_mass for n in ('now', 'later')))\n"
        "import torchvision; print(torchvision.__spec__.submodule_search_locations != [], len(sys.meta_path))\n"
        "import nnmass; print(len(sys.meta_path))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    masses, spec, finders = done.stdout.splitlines()
    assert masses == "3392.0 3392.0"
    assert spec.split() == ["True", finders]


def test_without_torchvision_a_file_may_go_another_way(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    file = tmp_path / "vision.py"
    file.write_text(
        "from torch import nn\ntry:\n    import torchvision\nexcept ImportError:\n    net = nn.Linear(3, 2)\n"
    )
    assert isinstance(load_model(f"{file}:net").module, nn.Linear)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class Stop(BaseException): pass\nraise Stop('half\\nway')", ":2: Stop: half"),
        ("class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd", ":3: Odd: Odd"),
        ("raise ValueError('x' * 10**6)", ":1: ValueError: xxxx"),
        ("import bad_circle_a", "ImportError: cannot import name"),
        ("def make(): return make()", ":1: RecursionError: maximum recursion depth"),
        ("def make(depth, *, width): return None", "must need no arguments, but: missing a required argument: 'depth'"),
        ("import os, signal\ndef make(): raise SystemExit", ":2: SystemExit: SystemExit"),
        ("make = property(lambda self: 1)", "is of type property, not a torch.nn.Module or a function"),
        ("\n".join(f"def f{k}(): pass" for k in range(99)), "it has f0, f1, .* and 87 more"),
    ],
)
def test_whatever_a_file_does_is_told_in_one_line(tmp_path, source, message):
    for one, other in ("ab", "ba"):
        (tmp_path / f"bad_circle_{one}.py").write_text(f"from bad_circle_{other} import {other}\n{one} = 1\n")
    (tmp_path / "model.py").write_text(source)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(f"{tmp_path}/model.py:make")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("make", "message"), [(os.mkfifo, "is a named pipe, not a file"), (Path.mkdir, "is a folder, not a file")]
)
def test_only_files_are_run(tmp_path, make, message):
    make(tmp_path / "model.py")
    with pytest.raises(ModelError, match=rf"model\.py: {message}"):
        load_model(f"{tmp_path}/model.py:make")

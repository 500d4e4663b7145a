import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import nnmass
from nnmass import errors

PACKAGE = Path(nnmass.__file__).parent
FLOORS = (
    "version",
    "faces",
    "errors",
    "plain_text",
    "representation",
    "validated",
    "memory",
    "files",
    "atomic",
    "claims",
    "devices",
    "database",
    "processes",
    "provenance",
    "prediction",  # a line through numbers: knows no network
    "topology",
    "architectures",
    "latency",  # tables of measured milliseconds, read without PyTorch
    "designing",
    "networks",
    "tracing",
    "timing",  # fills those tables
    "propagation",
    "data",
    "training",
    "export",
    "sweeps",
    "verification",  # the main job: never imports the experiments
    "experiments",
    "reporting",
    "cli",
    "__main__",
)
UPWARD = {("architectures/specification.py", "networks")}
HEAVY = {"torch", "matplotlib", "pandas", "sklearn", "scipy", "rich", "typer", "pyarrow"}

modules = sorted(PACKAGE.rglob("*.py"))
names = [module.relative_to(PACKAGE).as_posix() for module in modules]


def own_nodes(parent: ast.AST, *, functions: bool = True) -> Iterator[ast.AST]:
    """Everything below a node, except what only type checkers see, and functions if they are not wanted."""
    for child in ast.iter_child_nodes(parent):
        children = [child]
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            children = child.orelse
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not functions:
            children = []
        for node in children:
            yield node
            yield from own_nodes(node, functions=functions)


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def imports_of(source: str, *, functions: bool = True) -> list[list[str]]:
    nodes = own_nodes(ast.parse(source), functions=functions)
    return [path.split(".") for node in nodes for path in imported(node)]


def rooms_above(source: str, room: str, *, functions: bool = True) -> set[str]:
    """Rooms on a higher floor, or unknown, that a module imports."""
    paths = imports_of(source, functions=functions)
    rooms = {path[1] if len(path) > 1 else "nnmass" for path in paths if path[0] == "nnmass"}
    return {r for r in rooms if r not in FLOORS or FLOORS.index(r) > FLOORS.index(room)}


@pytest.mark.parametrize("name", [name for name in names if name != "__init__.py"])
def test_imports_run_downward_only(name):
    source, room = (PACKAGE / name).read_text(), name.split("/")[0].removesuffix(".py")
    assert {(name, above) for above in rooms_above(source, room)} == {pair for pair in UPWARD if pair[0] == name}
    assert not rooms_above(source, room, functions=False)


def test_the_face_of_the_package_imports_no_room():
    paths = {".".join(path[:2]) for path in imports_of((PACKAGE / "__init__.py").read_text())}
    assert paths <= {"typing.TYPE_CHECKING", "nnmass.faces", "nnmass.version"}


FACES = [name for name in names if "on_demand(" in (PACKAGE / name).read_text() and name.endswith("__init__.py")]


@pytest.mark.parametrize("name", FACES)
def test_every_name_of_a_face_that_loads_on_demand_is_there(name):
    package = import_module(".".join(["nnmass", *name.split("/")[:-1]]))
    modules = {module.stem for module in (PACKAGE / name).parent.glob("*")}
    assert not set(package.__all__) & modules, "a loaded module would hide the name"
    for own in package.__all__:
        assert getattr(package, own) is not None
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from nnmass.training import train", {"training"}),
        ("def f():\n    import nnmass.cli.app", {"cli"}),
        ("from nnmass import sweeps, atomic", {"sweeps"}),
        ("import nnmass", {"nnmass"}),
        ("if TYPE_CHECKING:\n    from nnmass.cli import app\nelse:\n    from nnmass.sweeps import grid", {"sweeps"}),
        ("from nnmass.topology import Cell\nimport torch", set()),
    ],
)
def test_the_check_sees_upward_imports(source, found):
    assert rooms_above(source, "networks") == found
    assert rooms_above(source, "networks", functions=False) == (found if "def" not in source else set())


@pytest.mark.parametrize("name", [name for name in names if name.startswith(("topology/", "architectures/"))])
def test_topology_and_architectures_do_not_load_pytorch(name):
    assert "torch" not in {path[0] for path in imports_of((PACKAGE / name).read_text(), functions=False)}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("import nnmass") & (HEAVY | {"numpy", "pydantic"})


def test_specifications_and_designs_load_no_pytorch():
    assert not loaded_by("from nnmass import DenseCNN, nn_mass, compress; compress") & {
        "torch",
        "matplotlib",
        "sklearn",
    }


@pytest.mark.parametrize("name", [name for name in nnmass.__all__ if name != "__version__"])
def test_public_names_resolve(name):
    assert getattr(nnmass, name).__name__ == name
    assert name in dir(nnmass)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'nnmass' has no attribute 'nn_mas'"):
        _ = nnmass.nn_mas


def test_every_error_is_of_the_family():
    own = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(own) >= 9
    assert all(issubclass(error, errors.NNMassError) for error in own)
    assert issubclass(errors.InvalidValueError, ValueError)

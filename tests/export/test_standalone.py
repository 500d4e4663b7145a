import ast
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from nnmass import DenseCNN, DenseMLP
from nnmass.errors import InvalidValueError
from nnmass.export import standalone, standalone_code
from nnmass.training import save_weights


def outputs(network, x, *, training):
    torch.manual_seed(3)
    with torch.no_grad():
        return network.train(training)(x)


def check(spec, path, imported):
    """The file's network has our parameters, in our order, and computes our function."""
    path.write_text(standalone_code(spec))
    own, other = spec.build(seed=0), imported(path).Network()
    assert list(other.state_dict()) == list(own.state_dict())
    assert [n for n, _ in other.named_parameters()] == [n for n, _ in own.named_parameters()]
    other.load_state_dict(own.state_dict())
    x = torch.randn(3, *spec.input_shape)
    assert torch.equal(outputs(other, x, training=False), outputs(own, x, training=False))
    assert_close(outputs(other, x, training=True), outputs(own, x, training=True), rtol=1e-5, atol=1e-5)


def test_the_code_computes_the_same(spec, tmp_path, imported):
    check(spec, tmp_path / "generated.py", imported)


@given(
    st.builds(
        DenseMLP, width=st.integers(1, 5), depth=st.integers(2, 6), max_skips=st.integers(0, 9), in_features=st.just(4)
    )
    | st.builds(
        DenseCNN,
        widths=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
        depth=st.integers(1, 5),
        max_skips=st.integers(0, 9),
        conv=st.sampled_from(["regular", "separable"]),
        image_size=st.integers(4, 9),
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cells_compute_the_same(tmp_path, imported, spec):
    check(spec, tmp_path / "generated.py", imported)


def test_the_code_needs_pytorch_alone(spec):
    tree = ast.parse(standalone_code(spec))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports}
    assert {name.split(".")[0] for name in names} == {"torch", "safetensors"}


def test_the_code_is_clean(spec, tmp_path):
    path = tmp_path / "generated.py"
    path.write_text(standalone_code(spec))
    for arguments in (["check", "--select", "E,F,I,N,UP,B,RET,D100,D101,D102,D103"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--line-length", "120", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_file_runs_and_loads_weights(tmp_path, imported):
    spec = DenseCNN(widths=(4, 6), depth=4, max_skips=5, image_size=8)
    network, path = spec.build(seed=2), tmp_path / "generated.py"
    path.write_text(standalone_code(network.spec))
    save_weights(network, tmp_path / "w.safetensors")
    loaded = imported(path).load(str(tmp_path / "w.safetensors"))
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(loaded(x), network.eval()(x))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "torch.Size([1, 10])"


def test_the_code_compiles_and_exports(tmp_path, imported):
    spec = DenseMLP(width=6, depth=7, max_skips=9, in_features=12)
    path = tmp_path / "generated.py"
    path.write_text(standalone_code(spec))
    network = imported(path).Network().eval()
    x = torch.randn(2, 12)
    assert_close(torch.export.export(network, (x,)).module()(x), network(x))
    assert_close(torch.compile(network, backend="eager", fullgraph=True)(x), network(x))


def test_an_unknown_family_is_refused(monkeypatch):
    class Other(DenseMLP):
        family: str = "Other"

    monkeypatch.setattr(standalone, "DenseMLP", DenseCNN)
    with pytest.raises(InvalidValueError, match="no code is known for the family 'Other'"):
        standalone_code(Other(width=2, depth=4, max_skips=1))

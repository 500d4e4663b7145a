import csv
import json


def test_convergence_writes_runs_summary_and_picture(nnmass, tmp_path):
    out = tmp_path / "out"
    result = nnmass(
        "reproduce", "convergence", "--data", "digits", "--seeds", 2, "--epochs", 1, "--workers", 1, "--out", out
    )
    assert result.code == 0, result.err
    assert "NN-Mass 120" in result.out
    assert "log params" in result.out
    assert {path.name for path in out.iterdir()} >= {"summary.json", "runs.csv", "convergence.png"}
    values = json.loads((out / "summary.json").read_text())
    assert values["provenance"]["command"]
    assert values["data"].startswith("digits (")
    assert values["training"]["epochs"] == 1
    assert (values["runs"], values["diverged"], values["left_out"]) == (30, 0, 0)
    assert set(values["at_equal_mass"]) == {"10", "40", "120"}
    with (out / "runs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 30

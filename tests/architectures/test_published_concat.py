import json
import os
from pathlib import Path

import pytest

from nnmass.architectures import DenseCNN, DenseMLP, Specification


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    data = os.environ.get("NNMASS_DATA")
    if not data:
        pytest.skip("NNMASS_DATA is unset: the values of the published code lie in its ../reference")
    return json.loads((Path(data) / ".." / "reference" / "published_code_concat.json").read_text())


def specification(row: dict) -> Specification:
    common = {"max_skips": row["max_skips"], "depth": row["depth"], "num_classes": row["num_classes"]}
    if row["family"] == "mlp":
        return DenseMLP(width=row["width"], in_features=row["input_dim"], **common)
    return DenseCNN(widths=row["widths"], conv=row["conv"], **common)


def densities(row: dict) -> list[float]:
    return row["density"] if isinstance(row["density"], list) else [row["density"]]


def test_the_file_covers_both_families_and_both_convolutions(rows):
    kinds = {(row["family"], row.get("conv")) for row in rows}
    assert kinds == {("mlp", None), ("cnn", "regular"), ("cnn", "separable")}
    assert len(rows) >= 60


def test_mass_and_density_are_those_of_the_published_code(rows):
    for row in rows:
        spec = specification(row)
        assert spec.nn_mass == pytest.approx(row["nn_mass"], rel=1e-9, abs=0), row
        assert [cell.density for cell in spec.cells] == pytest.approx(densities(row), rel=1e-9, abs=0), row


def test_parameters_are_exactly_those_of_the_published_code(rows):
    for row in rows:
        assert specification(row).params == row["params"], row

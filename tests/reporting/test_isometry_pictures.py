import json

import numpy as np
import pytest

from nnmass import DenseCNN, DenseMLP, expected_isometry, isometry
from nnmass.experiments import IsometryExperiment, IsometryRow
from nnmass.experiments.isometry_analysis import conditions
from nnmass.propagation import mends, normal_inputs
from nnmass.reporting import (
    isometry_figure,
    isometry_fit_rows,
    isometry_gap_rows,
    isometry_rows,
    isometry_summary,
    isometry_values,
    mend_rows,
    spectrum_figure,
    write_isometry,
)

SPEC = DenseMLP(width=6, depth=7, max_skips=8, in_features=5, num_classes=3)


@pytest.fixture(scope="module")
def found():
    return isometry(SPEC, 20, initialisations=4)


@pytest.fixture(scope="module")
def theory():
    return expected_isometry(SPEC)


def test_every_layer_has_a_column_a_mean_and_an_expected_mean(found, theory):
    left, right = spectrum_figure(found, theory, title="t").axes
    mesh = left.collections[0]
    heat = np.asarray(mesh.get_array())
    assert heat.shape[1] == 7
    height = np.diff(mesh.get_coordinates()[:, 0, 1])
    np.testing.assert_allclose((heat * height[:, None]).sum(0), 1, atol=0.03)
    means = left.lines[0].get_ydata()
    assert list(means) == [layer.mean for layer in found.layers]
    levels = [
        line.get_ydata()[0] for line in left.lines if len(set(line.get_ydata())) == 1 and len(line.get_xdata()) == 2
    ]
    assert {layer.mean for layer in theory.layers} <= set(levels)
    assert right.get_title(loc="left") == "hidden layers pooled"


def test_the_expected_density_lies_over_the_pooled_singular_values(found, theory):
    _, right = spectrum_figure(found, theory, title="t").axes
    _, expected = [patch.get_data() for patch in right.patches]
    shares, middles = expected.values * np.diff(expected.edges), (expected.edges[1:] + expected.edges[:-1]) / 2
    assert shares.sum() == pytest.approx(1, abs=0.02)
    assert shares @ middles == pytest.approx(found.mean, rel=0.03)


def test_lanczos_nodes_are_drawn_with_their_weights():
    spec = DenseCNN(widths=(3, 4), depth=3, max_skips=4, image_size=6)
    found = isometry(spec, 8, initialisations=2, dense_limit=0)
    left, _ = spectrum_figure(found, None, title="t").axes
    mesh = left.collections[0]
    heat, height = np.asarray(mesh.get_array()), np.diff(mesh.get_coordinates()[:, 0, 1])
    np.testing.assert_allclose((heat * height[:, None]).sum(0)[[1, 2, 4, 5]], 1, atol=0.05)  # stems reach higher
    assert sum(len(set(line.get_xdata())) == 1 and line.get_xdata()[0] == 2.5 for line in left.lines) == 1


def test_tables_say_what_was_measured_and_expected(found, theory):
    columns, rows = isometry_rows(found, theory)
    assert len(rows) == 7
    assert rows[1][:2] == ("layers.1", "6 × 6")
    assert rows[3][2:4] == (f"{found.layers[3].mean:.3f}", f"{theory.layers[3].mean:.3f}")
    assert isometry_rows(found, None)[1][3][3] == "–"
    text = isometry_summary(found, theory)
    low, high = found.interval
    assert f"mean singular value {found.mean:.3f} [{low:.3f}, {high:.3f}] (95 % over 4 networks)" in text
    assert f"theory expects {theory.mean:.3f}" in text
    assert "5 flagged" in text or "of 5 flagged" in text or "none is flagged" in text
    columns, rows = mend_rows(mends(SPEC), theory)
    assert columns[-1] == f"expected mean (now {theory.mean:.3f})"
    assert len(rows) >= 3
    assert "No hidden layers" in isometry_summary(isometry(DenseMLP(width=3, depth=2, max_skips=0), 2), None)


def test_the_page_holds_picture_tables_and_numbers(found, theory, tmp_path):
    write_isometry(found, theory, mends(SPEC), tmp_path, title="A title", extra={"seed": 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "isometry.json",
        "report.html",
        "spectrum.png",
        "spectrum.svg",
    ]
    values = isometry_values(found, theory, mends(SPEC), {"seed": 3})
    assert json.loads((tmp_path / "isometry.json").read_text()) == json.loads(json.dumps(values))
    page = (tmp_path / "report.html").read_text()
    for text in ("A title", "<svg", "layers.6", "glorot initialisation", "What would bring it closer to 1"):
        assert text in page


@pytest.mark.parametrize("expected", [True, False])
def test_the_caption_names_the_colours_that_are_drawn(found, theory, tmp_path, expected):
    shown = theory if expected else None
    write_isometry(found, shown, [], tmp_path, title="t", extra={})
    page = (tmp_path / "report.html").read_text()
    caption = page[page.index("Blue: measured") :].split("<", 1)[0]
    left, right = spectrum_figure(found, shown, title="t").axes
    drawn = {line.get_color() for line in (*left.lines, *right.lines)}
    colours = {"Black": "black", "Green": "#009e73", "Orange": "#d55e00"}
    assert {word for word in colours if word in caption} == {word for word in colours if colours[word] in drawn}


@pytest.mark.parametrize("init", ["orthogonal", "he"])
@pytest.mark.parametrize("max_skips", [0, 16, 80])
def test_the_expected_band_holds_what_was_measured(init, max_skips):
    spec = DenseMLP(width=32, depth=5, max_skips=max_skips, in_features=32, num_classes=30, activation="tanh")
    inputs = normal_inputs(spec, 16)
    found = isometry(spec, inputs, initialisations=8, init=init)
    theory = expected_isometry(spec, init, input_mean_square=float(inputs.square().mean()))
    left, _ = spectrum_figure(found, theory, title="t").axes
    bands = {line.get_xdata()[0]: line.get_ydata() for line in left.lines if len(set(line.get_xdata())) == 1}
    for i, layer in enumerate(found.layers):
        low, high = bands[i]
        inside = ((layer.singular_values >= low - 0.01) & (layer.singular_values <= high + 0.01)).mean()
        assert 0.7 < inside <= 1


@pytest.fixture
def outcome():
    rows = []
    for init in ("he", "default"):
        for depth in (16, 32):
            for mass in (5.0, 10.0, 20.0, 40.0):
                mean = np.log(mass) + depth / 100
                quantities = (8 + mass / 2, mass / depth / 8, int(depth * mass), int(depth * mass))
                found = (mean, 0.01, 0.1, 0.0, mean, 0.01, mean, mean, mean)
                rows.append(IsometryRow(init, "elu", depth, 3, mass, *quantities, *found))
    return IsometryExperiment(tuple(conditions(rows)), 64, 16)


def test_networks_stand_against_mass_and_params(outcome):
    drawn = isometry_figure(outcome, title="t")
    assert [axes.get_xlabel() for axes in drawn.axes] == ["NN-Mass", "NN-Mass", "parameters", "parameters"]
    assert all(axes.get_xscale() == "log" for axes in drawn.axes)
    assert len(drawn.axes[0].containers) == 2
    assert drawn.axes[0].get_title(loc="left").startswith("He weights; ELU\nR² of a cubic")


def test_experiment_tables_have_a_row_per_condition_and_figure(outcome):
    columns, rows = isometry_fit_rows(outcome)
    assert [row[:2] for row in rows] == [
        (name, layers) for name in ("he, elu", "default, elu") for layers in ("hidden", "all")
    ]
    assert len(columns) == len(rows[0])
    columns, rows = isometry_gap_rows(outcome)
    assert len(columns) == len(rows[0])
    assert rows[0][3] == "0.00%"

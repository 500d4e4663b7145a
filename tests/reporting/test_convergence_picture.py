import numpy as np
import pytest

from nnmass import TrainingConfig, load_data
from nnmass.experiments import Convergence, LossCurve, convergence_grid
from nnmass.reporting import convergence_figure, convergence_fit_rows, convergence_rows, save

EPOCHS = 4


@pytest.fixture(scope="module")
def outcome():
    rng = np.random.default_rng(0)
    curves = []
    for mass, spec in convergence_grid(load_data("digits")):
        mean = 2.3 * np.exp(-np.arange(EPOCHS) * mass / 100)
        losses = mean * rng.normal(1, 0.03, (3, EPOCHS))
        curves.append(LossCurve(mass, spec, tuple(map(tuple, losses.tolist()))))
    return Convergence(tuple(curves), TrainingConfig(epochs=EPOCHS), runs=45, diverged=0, left_out=0)


def test_each_mass_has_a_panel_with_a_line_and_a_band_per_depth(outcome):
    above = convergence_figure(outcome, title="t").axes[:3]
    assert [axes.get_title(loc="left") for axes in above] == ["NN-Mass 10", "NN-Mass 40", "NN-Mass 120"]
    for k, axes in enumerate(above):
        own = outcome.curves[5 * k : 5 * k + 5]
        assert len(axes.lines) == len(axes.collections) == 5
        for line, curve in zip(axes.lines, own, strict=True):
            assert line.get_xdata().tolist() == [1, 2, 3, 4]
            assert line.get_ydata().tolist() == list(curve.mean)
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == [f"depth {curve.spec.depth}, {curve.spec.params:,} params" for curve in own]
    assert len({axes.get_ylim() for axes in above}) == 1
    assert {axes.get_yscale() for axes in above} == {"log"}


def test_below_every_network_is_drawn_against_every_quantity(outcome):
    below = convergence_figure(outcome, title="t").axes[3:]
    assert [axes.get_xlabel() for axes in below] == ["NN-Mass", "parameters", "MACs"]
    for axes, quantity in zip(below, ("nn_mass", "params", "macs"), strict=True):
        points = [xy for bars in axes.containers for xy in zip(*bars.lines[0].get_data(), strict=True)]
        expected = [(getattr(c.spec, quantity), np.mean(c.mean_loss)) for c in outcome.curves]
        assert np.allclose(sorted(points), sorted(expected), rtol=1e-12)
        assert axes.get_title(loc="left").startswith(f"R² {outcome.fits['mean_loss'][quantity].fit.r2:.2f}  [")


def test_one_epoch_can_be_drawn(outcome, tmp_path):
    first = tuple(LossCurve(c.target_mass, c.spec, tuple(seed[:1] for seed in c.losses)) for c in outcome.curves)
    drawn = convergence_figure(Convergence(first, outcome.config, 45, 0, 0), title="t")
    assert save(drawn, tmp_path / "one.png").stat().st_size > 10_000


def test_the_table_has_a_row_per_group_and_measure(outcome):
    columns, rows = convergence_rows(outcome)
    groups = ["NN-Mass 10", "NN-Mass 40", "NN-Mass 120", *(f"depth {d}" for d in (16, 20, 24, 28, 32))]
    assert [row[:2] for row in rows] == [(g, m) for g in groups for m in ("all epochs", "last epoch")]
    assert {len(row) for row in rows} == {len(columns)}
    assert rows[1][columns.index("spread")] == f"{outcome.at_equal_mass[10]['final_loss'].spread:.3f}"


def test_the_table_of_fits_has_a_row_per_measure_and_quantity(outcome):
    columns, rows = convergence_fit_rows(outcome)
    assert len(rows) == 6
    assert {len(row) for row in rows} == {len(columns)}
    assert rows[4][2].startswith(f"{outcome.fits['final_loss']['params'].fit.r2:.2f} [")
    assert rows[0][3] == rows[3][3] == ""

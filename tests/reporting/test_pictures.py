import io
import math

import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb

from nnmass import DenseCNN, DenseMLP
from nnmass.errors import InvalidValueError
from nnmass.prediction import Network, compare
from nnmass.reporting import (
    COLOURS,
    Mark,
    accuracy_figure,
    comparison_notes,
    comparison_rows,
    marked_figure,
    save,
    topology_figure,
)
from nnmass.reporting.style import figure, picture, plain_log_ticks


def network(mass, accuracy, depth):
    return Network(mass, int(100 * mass), int(90 * mass), accuracy, 5, 0.01, str(depth))


@pytest.fixture
def comparison():
    return compare([network(10 * k, 0.8 + 0.02 * k + 0.003 * (k % 3), 16 + 8 * (k % 2)) for k in range(1, 9)])


def test_every_network_is_drawn_once_in_each_panel(comparison):
    drawn = accuracy_figure(comparison, title="t")
    assert len(drawn.axes) == 3
    for axes in drawn.axes:
        points = sum(len(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "None")
        assert points == 8
        assert axes.get_xscale() == "log"
    assert "R² 0.9" in drawn.axes[0].get_title(loc="left")


def test_a_line_through_a_curve_is_dashed_and_said_to_be_one():
    curved = compare([network(10 * k, 0.8 + 0.1 * (1 - 2.0 / k) + 0.001 * (k % 3), 16) for k in range(2, 16)])
    straight = compare([network(10 * 2**k, 0.8 + 0.01 * k + 0.001 * (k * k % 3), 16) for k in range(9)])
    for comparison, style, said in ((curved, "--", True), (straight, "-", False)):
        assert bool(comparison.mass.misfit) == said
        axes = accuracy_figure(comparison, title="t").axes[0]
        (line,) = [line for line in axes.lines if line.get_linestyle() != "None"]
        assert line.get_linestyle() == style
        assert ("a curve fits better (p" in axes.get_title(loc="left")) == said
        labels = [text.get_text() for text in marked_figure(comparison, [], title="t").axes[0].get_legend().get_texts()]
        assert any("a curve fits better" in label for label in labels) == said
        assert any("a curve fits them better" in note for note in comparison_notes(comparison)) == said


def test_the_band_of_far_marks_stays_between_0_and_1(comparison):
    drawn = marked_figure(comparison, [Mark("far", network(1e9, 0.9, 32), COLOURS[0])], title="t")
    band = drawn.axes[0].collections[-1].get_paths()[0].vertices[:, 1]
    assert 0 <= band.min() < band.max() <= 1


def test_marks_are_named_with_their_costs(comparison):
    drawn = marked_figure(comparison, [Mark("reference", network(40, 0.9, 32), COLOURS[0])], title="t")
    labels = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert "reference: 3,600 MACs" in labels


def test_topology_has_a_dot_per_layer_and_an_arc_per_joined_pair():
    spec = DenseMLP(width=2, depth=5, max_skips=9, in_features=4)  # all pairs (0,2) (0,3) (1,3) (0,4) (1,4) (2,4)
    axes = topology_figure([("all", spec)]).axes[0]
    assert len(axes.collections[0].get_paths()) == 6
    assert len(axes.lines[-1].get_xdata()) == 5
    assert to_rgb(axes.collections[0].get_edgecolor()[0]) == to_rgb(COLOURS[0])


def test_cells_stand_side_by_side_and_a_cell_without_skips_is_drawn():
    spec = DenseCNN(widths=(4, 8), depth=(2, 4), max_skips=3)
    axes = topology_figure([("two cells", spec)]).axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["width 4, depth 2", "width 8, depth 4"]


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_pictures_are_the_same_every_time(comparison, tmp_path, ending):
    first, second = (
        save(accuracy_figure(comparison, title="t"), tmp_path / f"{k}{ending}").read_bytes() for k in (1, 2)
    )
    assert first == second


def test_other_endings_are_refused(comparison, tmp_path):
    with pytest.raises(InvalidValueError, match=r"pictures end in .pdf, .png, .svg, got '.gif'"):
        save(accuracy_figure(comparison, title="t"), tmp_path / "a.gif")


def test_the_table_has_a_row_per_quantity_in_points(comparison):
    columns, rows = comparison_rows(comparison)
    assert [row[0] for row in rows] == ["log NN-Mass", "log params", "log MACs"]
    assert rows[0][3] == f"{100 * comparison.fits['nn_mass'].fit.loo_error:.2f}"
    assert len(columns) == len(rows[0])


@pytest.mark.parametrize(("low", "high"), [(110_000, 290_000), (3, 60), (1, 9.5)])
def test_a_logarithmic_axis_has_room_for_its_labels(low, high):
    with figure(3.4, 3) as drawn:
        axes = drawn.subplots()
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        plain_log_ticks(axes.xaxis)
        marked = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert 2 <= len(marked) <= 7


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_marker_on_the_frame_is_drawn_whole(corner):
    with figure(3, 3) as drawn:
        axes = _middle(drawn)
        axes.plot(*corner, "o", color=COLOURS[1], markersize=20)
    assert _coloured(picture(drawn, "png"), COLOURS[1]) == pytest.approx(math.pi * 21**2, rel=0.05)


def test_a_line_that_leaves_the_frame_is_cut_there():
    with figure(3, 3) as drawn:
        axes = _middle(drawn)
        axes.plot([0.5, 0.5], [-2, 2], "o-", color=COLOURS[1], linewidth=5)
    assert _coloured(picture(drawn, "png"), COLOURS[1]) == pytest.approx(10 * 1.5 * 144, rel=0.05)


def _middle(drawn):
    """Axes without labels in the middle of a figure, half its size."""
    drawn.set_layout_engine("none")
    axes = drawn.add_axes((0.25, 0.25, 0.5, 0.5), xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    return axes


def _coloured(png, colour):
    """Pixels of about this colour."""
    pixels = image.imread(io.BytesIO(png))[..., :3]
    return int((np.abs(pixels - np.array(to_rgb(colour))).max(-1) < 0.35).sum())

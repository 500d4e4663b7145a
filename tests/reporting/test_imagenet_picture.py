import pytest

from nnmass.prediction import QUANTITIES
from nnmass.reporting import (
    imagenet_figure,
    imagenet_group_rows,
    imagenet_left_out_rows,
    imagenet_pair_rows,
    imagenet_pooled_rows,
    save,
)


@pytest.fixture
def panels(published_outcome):
    return imagenet_figure(published_outcome, title="t").axes


def test_every_ranked_model_stands_once_against_each_quantity(panels, published_outcome):
    for axes, name in zip(panels[:3], ("NN-Mass", "parameters", "MACs"), strict=True):
        points = [point for line in axes.lines for point in zip(line.get_xdata(), line.get_ydata(), strict=True)]
        assert len(points) == published_outcome.pooled.n
        assert sum(y for _, y in points) == pytest.approx(0, abs=1e-9)
        assert axes.get_xlabel() == f"{name}, relative to the group's mean"
        assert axes.get_xscale() == "log"


def test_titles_state_what_was_measured(panels, published_outcome):
    for axes, quantity in zip(panels[:3], QUANTITIES, strict=True):
        value = published_outcome.pooled.measures["spearman"][quantity].value
        assert axes.get_title(loc="left").startswith(f"rank correlation {value:.2f} [")


def test_leads_have_a_row_per_ranked_group_and_one_for_all(panels):
    labels = [text.get_text() for text in panels[3].get_yticklabels()]
    assert labels == ["torchvision-1 (13)", "torchvision-2-resnet (7)", "timm-a1 (6)", "all groups (26)"]
    assert panels[3].get_xlabel() == "rank correlation, mass − MACs [95 %]"
    assert panels[4].get_xlabel() == "rank correlation, mass − params [95 %]"


def test_pairs_are_counted_and_drawn(panels, published_outcome):
    labels = [text.get_text() for text in panels[5].get_yticklabels()]
    counts = [len(published_outcome.pairs.equal[quantity].pairs) for quantity in QUANTITIES]
    assert labels[0] == f"equal NN-Mass ({counts[0]})"
    assert [len(line.get_xdata()) for line in panels[5].lines if line.get_markersize() == 3.5] == counts


def test_the_picture_is_the_same_every_time(published_outcome, tmp_path):
    first, second = (
        save(imagenet_figure(published_outcome, title="t"), tmp_path / f"{k}.png").read_bytes() for k in (1, 2)
    )
    assert first == second


def test_tables_have_rows_of_one_length(published_outcome):
    tables = (imagenet_group_rows, imagenet_pooled_rows, imagenet_pair_rows, imagenet_left_out_rows)
    for columns, rows in (table(published_outcome) for table in tables):
        assert {len(row) for row in rows} == {len(columns)}


def test_a_group_that_is_not_ranked_stands_in_the_table(published_outcome):
    rows = {row[0]: row for row in imagenet_group_rows(published_outcome)[1]}
    assert rows["timm-ra-mobile"][1:] == ("4 of 4", "–", "–", "–", "–", "–")
    assert rows["torchvision-1"][1:5] == ("13 of 15", "0.89", "0.90", "0.94")
    assert rows["all groups"][1] == "26"


def test_pairs_show_masses_ratios_and_accuracies(published_outcome):
    rows = imagenet_pair_rows(published_outcome)[1]
    assert rows[-1] == (
        "densenet161.tv_in1k, resnet34",
        "7,104",
        "× 1.32",
        "× 2.11",
        "77.38, 73.30",
        "+4.09",
    )


def test_what_was_left_out_is_listed_with_the_reason(published_outcome):
    rows = imagenet_left_out_rows(published_outcome)[1]
    assert ("vgg16_bn.tv_in1k", "uninformative", "no cell of depth 2 or more") in rows
    assert ("seresnet50.a1_in1k", "refused", "has no closed form") in rows
    assert len(rows) == 4

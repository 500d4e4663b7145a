import pytest

from nnmass import DenseCNNSpace, MobileNetV2Space, design, pareto_front
from nnmass.latency import Conditions, Latency, Prediction, Timing, block
from nnmass.reporting import (
    Checked,
    bench_rows,
    bench_summary,
    design_rows,
    design_summary,
    front_figure,
    front_rows,
    latency_figure,
    write_design,
)
from nnmass.timing import Bench


@pytest.fixture(scope="module")
def front():
    return pareto_front(MobileNetV2Space(), max_macs=300e6)


def test_a_front_is_drawn_point_by_point(front):
    axes = front_figure(front, "macs", title="t").axes[0]
    assert axes.lines[1].get_xdata().tolist() == [candidate.spec.macs for candidate in front]
    assert axes.get_xscale() == "linear"
    wide = pareto_front(MobileNetV2Space(), max_macs=900e6)
    cheap = pareto_front(MobileNetV2Space(image_size=32), max_macs=900e6)
    assert front_figure([cheap[0], *wide], "macs", title="t").axes[0].get_xscale() == "log"


def test_a_long_front_is_thinned_but_keeps_its_ends(front):
    columns, rows = front_rows(front)
    assert len(front) > 40 >= len(rows)
    assert columns[:4] == ("network", "NN-Mass", "params", "MACs")
    assert rows[0][3] == f"{front[0].spec.macs:,}"
    assert rows[-1][3] == f"{front[-1].spec.macs:,}"


def test_an_unproven_answer_says_how_far_it_may_be_off():
    found = design(DenseCNNSpace(), max_macs=500e6, time_limit=1e-9)
    lines = " ".join(design_summary(found))
    assert not found.optimal
    assert "Not proven: the bound on NN-Mass is" in lines
    assert len(design_rows(found)[1]) == 1


@pytest.mark.parametrize("space", [DenseCNNSpace(depth=(8,)), MobileNetV2Space()])
def test_a_report_has_its_picture(space, tmp_path):
    found = design(space, max_macs=400e6)
    write_design(found, tmp_path, {"provenance": {"command": "c"}})
    assert "<svg" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "skips.png").stat().st_size > 5000


def test_latencies_are_drawn_by_family():
    axes = latency_figure([Checked("a", 1, 2), Checked("b", 3, 4), Checked("a", 5, 6)], title="t").axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["within 15 %", "a", "b"]


def test_like_blocks_stand_in_one_row():
    same, other = block("dense_second", 0, 8, 8), block("pooled_head", 8, 8, 10)
    timing = Timing(4.0, 3.9, 4.2, 4.5, 20)
    parts = ((same, Latency(1.0, 0.9, 1.2)), (same, Latency(1.5, 1.4, 1.6)), (other, Latency(2.0, 2.0, 2.0)))
    prediction = Prediction(Latency(4.5, 4.3, 4.8), parts)
    found = Bench("n", Conditions("d", "eager", 1, 1, "1"), timing, prediction, 2_000_000, 1_000_000)
    assert bench_rows(found)[1] == [
        (str(same), "2", "2.500 [2.300, 2.800]", "55.6%", ""),
        (str(other), "1", "2.000 [2.000, 2.000]", "44.4%", ""),
    ]
    text = "\n".join(bench_summary(found))
    assert "n: 4.00 ms (10 … 90 %: 3.90 … 4.20, 99 %: 4.50; 20 repeats)" in text
    assert "predicted from its blocks: 4.50 ms [4.30, 4.80] (+12.5%)" in text
    assert "2.00 MB held at most" in text

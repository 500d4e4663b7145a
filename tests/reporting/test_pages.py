"""What a page holds is seen, on a screen and on paper."""

import re
from html.parser import HTMLParser

import pytest

from nnmass import DenseCNN, DenseCNNSpace, DenseMLPSpace, MobileNetV2, MobileNetV2Space, compress, design
from nnmass.networks import build
from nnmass.reporting import render_page, write_compression, write_design
from nnmass.reporting.layer_graph_strip import text_width
from nnmass.verification import CompressionOutcome

INCH = 96  # pixels
SCREEN = {"page": (60 - 2) * 16, "font": 16, "padding": 0.9 * 16, "first": 9 * 16, "long": 16 * 16}
PAPER = {"page": 210 / 25.4 * INCH - 2 * 0.4 * INCH, "font": 8 / 72 * INCH, "padding": 0.5 * 16, "first": 0, "long": 0}
"""A4, with the margins of a browser."""


class Tables(HTMLParser):
    """All tables of a page: rows of (text, class) cells."""

    def __init__(self, page):
        super().__init__()
        self.found, self._within = [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "table":
            self.found.append([])
        elif tag == "tr":
            self.found[-1].append([])
        elif tag in {"td", "th"}:
            self.found[-1][-1].append(["", tag, dict(attributes).get("class")])
            self._within = True

    def handle_endtag(self, tag):
        self._within &= tag not in {"td", "th"}

    def handle_data(self, data):
        if self._within:
            self.found[-1][-1][-1][0] += data.strip()


def least_width(table, medium):
    """Pixels below which a table gets a scroll bar, or is cut."""
    width = 0.0
    for column, cells in enumerate(zip(*table, strict=True)):
        width += max(_least(cell, medium, first=column == 0) for cell in cells) + medium["padding"]
    return width


def _least(cell, medium, *, first):
    text, tag, kind = cell
    wraps = first or kind == "long" or (tag == "th" and medium is PAPER)
    pieces = re.split(r"[\s-]", text) if wraps else [text]
    least = max(text_width(piece, medium["font"] * 72 / INCH) * INCH for piece in pieces)
    return max(least, medium["first"] if first else 0, medium["long"] if kind == "long" else 0)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for space in (MobileNetV2Space(), DenseCNNSpace(), DenseMLPSpace()):
        name = type(space).__name__
        write_design(design(space, max_macs=4e8, top=3, outside_domain=True), folder / name, {"provenance": {}})
        found[name] = (folder / name / "report.html").read_text()
    for spec in (MobileNetV2(), DenseCNN(widths=(32, 64, 128), depth=16, max_skips=(80, 80, 65))):
        outcome = CompressionOutcome(compress(spec, keep_macs=0.8, between=2))
        name = type(spec).__name__
        write_compression(outcome, build(outcome.compression.spec, seed=0), folder / name, {"provenance": {}})
        found[name] = (folder / name / "report.html").read_text()
    return found


@pytest.mark.parametrize("medium", [SCREEN, PAPER], ids=["screen", "paper"])
def test_every_column_of_a_report_is_seen_without_a_scroll_bar(pages, medium):
    for name, page in pages.items():
        tables = Tables(page).found
        assert tables, name
        for table in tables:
            assert least_width(table, medium) <= medium["page"], (name, table[0])


def test_on_paper_nothing_scrolls():
    page = render_page("title", "lead", [], {})
    rules = page[page.index("@media print") :]
    scrolling = set(re.findall(r"^ {2}(\S+) \{[^}]*overflow-x: auto", page, re.MULTILINE))
    assert scrolling == {".scroll", "pre"}
    assert ".scroll { overflow: visible; }" in rules
    assert "pre { white-space: pre-wrap;" in rules

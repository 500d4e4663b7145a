"""Names that files hold reach the terminal, tables, pictures, pages, CSV and JSON as plain text."""

import csv
import io
import json

import pytest
from matplotlib.text import Text as DrawnText
from rich.console import Console

from nnmass import atomic
from nnmass.cli import output
from nnmass.plain_text import plain
from nnmass.reporting import page, style

NAMES = [
    "[/b]",
    "[red]x[/red]",
    "[link=file:///etc]x",
    r"$\frac{$",
    "a $ b $ c",
    "\x1b[2J\x1b]0;title\x07",
    "first\nnnmass: second error",
    "right\u202eleft",
    "lone \ud800 surrogate",
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "@SUM(1)",
    "bell \x07 null \x00",
    "x" * 500,
    ":smile:",
]


@pytest.fixture(params=NAMES, ids=lambda name: repr(name[:12]))
def name(request):
    return request.param


def is_plain(text: str) -> bool:
    return text.replace("\n", "").isprintable() and text.encode().decode() == text


def test_lines_and_tables(capsys, name):
    output.say(f"model {name}")
    output.print_table(name, ("model", name), [(name, "1"), (name, name)])
    shown = capsys.readouterr().out
    assert is_plain(shown)
    assert shown.count("\n") == 5
    if name == plain(name):
        assert shown.count(name) == 6


def test_lines_and_tables_on_a_terminal(monkeypatch, name):
    stream = io.StringIO()
    monkeypatch.setattr(output, "console", Console(file=stream, force_terminal=True, color_system=None, width=200))
    output.say(f"model {name}")
    output.print_table(name, ("model", name), [(name, "1"), (name, name)])
    assert is_plain(stream.getvalue())


def test_progress_bars(monkeypatch, name):
    stream = io.StringIO()
    monkeypatch.setattr(output, "messages", Console(file=stream, force_terminal=True, width=200, color_system=None))
    with output.progress_bar(name) as advance:
        advance(1, 2)
    assert "\u202e" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_pictures(name, kind):
    with style.figure(20, 10) as drawn:
        axes = drawn.subplots()
        axes.plot([1, 2], [1, 2], label=name)
        axes.set_title(f"{name}\n{name.replace(chr(10), ' ') * 100}")
        axes.set_xticks([1, 2], [name[:50], "b"])
        axes.annotate(name, (1, 1))
        axes.legend()
    assert style.picture(drawn, kind)
    assert all(is_plain(text.get_text()) for text in drawn.findobj(DrawnText))


def test_pages(name):
    section = page.Section(name, texts=[name], table=((name, "b"), [(name, "1")]), caption=name)
    rendered = page.render_page(name, name, [section], {"command": name})
    assert is_plain(rendered)
    assert "<script>alert" not in rendered


def test_csv_files(tmp_path, name):
    path = atomic.write_csv(tmp_path / "t.csv", ("model", "top1"), [{"model": name, "top1": -1.5}, {"model": None}])
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) == 2
    assert rows[0]["top1"] == "-1.5"
    assert not rows[0]["model"].startswith(("=", "@", "+", "-"))
    assert rows[1] == {"model": "", "top1": ""}


def test_json(tmp_path, name):
    path = atomic.write_json(tmp_path / "t.json", {"model": name})
    assert json.loads(path.read_text())["model"] == name
    assert is_plain(path.read_text())


def test_powers_of_ten_on_an_axis_stay_powers():
    with style.figure(4, 3) as drawn:
        axes = drawn.subplots()
        axes.plot([1, 1e6], [1, 1e6], label="$x$")
        axes.set_xscale("log")
        axes.legend()
    assert style.picture(drawn, "svg")
    assert all(tick.get_parse_math() for tick in axes.get_xticklabels())
    assert not axes.get_legend().get_texts()[0].get_parse_math()

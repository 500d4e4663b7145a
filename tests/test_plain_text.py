import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnmass.plain_text import one_line, plain, spreadsheet_cell

anything = st.text(st.characters(), max_size=40)  # lone surrogates included


@given(anything)
def test_plain_text_is_one_printable_line(text):
    shown = plain(text)
    assert shown.encode().decode() == shown
    assert len(shown.splitlines()) <= 1
    assert not any(character < " " or "\x7f" <= character < "\xa0" for character in shown)
    assert plain(shown) == shown


@given(anything, st.integers(1, 30))
def test_a_limit_is_kept(text, limit):
    shown = plain(text, limit=limit)
    assert len(shown) <= limit
    assert shown == plain(text) or shown.endswith("…")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("features.conv0", "features.conv0"),
        ("größe µ 数", "größe µ 数"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\u202eevil", r"\u202eevil"),
        ("\ud800", r"\ud800"),
        ("a\u2028b", r"a\u2028b"),
        ("\x9b2J", r"\x9b2J"),
        ("[/b]$\\frac{$", "[/b]$\\frac{$"),
    ],
)
def test_what_is_seen_stays_and_the_rest_becomes_an_escape(text, shown):
    assert plain(text) == shown


def test_a_message_keeps_its_words_on_one_line():
    assert one_line("first:\n   second\n") == "first: second"
    assert len(one_line("word " * 10**6)) <= 2000


@given(anything)
def test_no_cell_of_a_csv_file_is_a_formula(text):
    stream = io.StringIO()
    csv.writer(stream).writerow([spreadsheet_cell(text), 1.5])
    read = next(csv.reader(io.StringIO(stream.getvalue(), newline="")))
    assert read[1] == "1.5"
    if read[0][:1] in {"=", "+", "-", "@"}:
        float(read[0])

"""Every number on the command line: its range stands in its type, and what lies outside is one line."""

import contextlib
import math
import re
import typing

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.models import OptionInfo

from nnmass.cli.parameters import all_parameters
from nnmass.cli.ranges import Range, count

OPTIONS = [p for p in all_parameters() if isinstance(p.info, OptionInfo)]
NUMBERS = [p for p in OPTIONS if {int, float} & {p.kind, *typing.get_args(p.kind)}]
RANGED = [p for p in NUMBERS if isinstance(p.info.parser, Range)]
SILLY = (
    "",
    "x",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1e400",
    "9" * 5000,
    "0x10",
    "1e30G",
    "-7",
    "\x1b[2J",
    "[/b]",
    "\ud800",
)


def test_every_number_has_a_range():
    assert len(NUMBERS) > 60
    assert [str(p) for p in NUMBERS if p.info.parser not in (count,) and not isinstance(p.info.parser, Range)] == []
    assert [str(p) for p in NUMBERS if p.info.min is not None or p.info.max is not None] == []


@pytest.mark.parametrize("option", NUMBERS, ids=str)
@pytest.mark.parametrize("text", SILLY, ids=lambda text: repr(text[:8]))
def test_what_is_no_number_of_the_range_is_one_short_line(nnmass, option, text):
    needed = {"sweep": ["--base", "x.json", "--store", "x"], "reproduce": ["list"], "compress": [], "bench": []}
    result = nnmass(option.command, *needed.get(option.command, ["x"]), option.flag, text)
    assert result.code == 2
    assert result.out == ""
    assert result.err.count("\n") == 1
    assert re.search(rf"'{option.flag}'( / '--\w+')?: must be a ", result.err)
    assert len(result.err) < 200
    assert "\x1b" not in result.err


@pytest.mark.parametrize("option", RANGED, ids=str)
def test_ends_of_a_range_are_in_it_unless_they_are_open(option):
    span = option.info.parser
    step = 1 if span.whole else 0.0001
    for end, is_open, outside in ((span.low, span.open_low, -step), (span.high, span.open_high, step)):
        text = repr(int(end) if span.whole else float(end))
        if is_open:
            with pytest.raises(typer.BadParameter, match="must be a number"):
                span(text)
        else:
            assert span(text) == end
        beyond = int(end) + outside if span.whole else math.nextafter(float(end), math.inf * outside)
        with pytest.raises(typer.BadParameter, match=r"must be a (whole )?number"):
            span(repr(beyond))


@pytest.mark.parametrize("option", [p for p in RANGED if isinstance(p.default, int | float)], ids=str)
def test_defaults_lie_in_their_range(option):
    assert option.info.parser(repr(option.default)) == option.default


@given(st.text(max_size=50) | st.floats().map(repr) | st.integers().map(str))
def test_counts_are_whole_numbers_or_refused(text):
    with contextlib.suppress(typer.BadParameter):
        value = count(text)
        assert isinstance(value, int)
        assert 1 <= value <= 10**18


@pytest.mark.parametrize("value", [1, 999, 9_007_199_254_740_993, 10**18])
def test_counts_are_exact(value):
    assert count(str(value)) == count(f"{value:,}") == value


@pytest.mark.parametrize(("text", "value"), [("1k", 1000), ("2.5M", 2_500_000), ("1G", 10**9), ("1e3k", 10**6)])
def test_units_of_counts(text, value):
    assert count(text) == value

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.errors import InvalidValueError
from nnmass.topology import Cell, check_links, draw_links

DRAWS = 2_000
CELL = Cell(width=3, depth=6, max_skips=5)
LINKS = ((), (), (0, 1, 2), (0, 2, 3, 4, 5), (0, 1, 4, 5, 8), (2, 3, 5, 9, 11))

cells = st.builds(Cell, width=st.integers(1, 6), depth=st.integers(1, 9), max_skips=st.integers(0, 50))


@given(cells, st.integers(0, 2**32))
@settings(max_examples=50)
def test_layers_draw_from_all_but_the_layer_before_without_repeats(cell, seed):
    links = draw_links(cell, np.random.default_rng(seed))
    assert len(links) == cell.depth
    for i, channels in enumerate(links):
        candidates = {j * cell.width + k for j in range(i - 1) for k in range(cell.width)}
        assert set(channels) <= candidates
        assert list(channels) == sorted(set(channels))
        assert len(channels) == min(cell.max_skips, len(candidates))
    check_links(cell, links)


def test_every_candidate_is_drawn_equally_often():
    generator = np.random.default_rng(0)
    draws = [draw_links(CELL, generator) for _ in range(DRAWS)]
    for i in range(2, CELL.depth):
        candidates = CELL.width * (i - 1)
        taken = np.bincount([c for links in draws for c in links[i]], minlength=candidates)
        share = CELL.layer_skips[i] / candidates
        deviation = np.sqrt(DRAWS * share * (1 - share))
        assert len(taken) == candidates
        assert np.abs(taken - DRAWS * share).max() <= 5 * deviation  # layer 0 is as likely as any


def test_pairs_of_candidates_are_drawn_independently_of_their_order():
    cell = Cell(width=2, depth=4, max_skips=2)  # layer 3 takes 2 of 4: six pairs
    generator = np.random.default_rng(0)
    pairs = [draw_links(cell, generator)[3] for _ in range(DRAWS)]
    counts = np.array([pairs.count((a, b)) for a in range(4) for b in range(a + 1, 4)])
    assert counts.sum() == DRAWS
    assert np.abs(counts - DRAWS / 6).max() <= 5 * np.sqrt(DRAWS * 5 / 36)


def test_links_are_plain_integers():
    links = draw_links(CELL, np.random.default_rng(0))
    assert {type(channel) for channels in links for channel in channels} == {int}


def test_same_generator_state_gives_the_same_links():
    first, again, other = (draw_links(CELL, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again != other


def replaced(layer: int, channels: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return (*LINKS[:layer], channels, *LINKS[layer + 1 :])


def test_links_that_fit_are_accepted():
    check_links(CELL, LINKS)
    check_links(CELL, [list(channels) for channels in LINKS])


@pytest.mark.parametrize(
    ("links", "message"),
    [
        (LINKS[:-1], r"links must list 6 layers \(the depth\), got 5"),
        ((*LINKS, ()), r"links must list 6 layers \(the depth\), got 7"),
        (replaced(0, (0,)), r"links\[0\] must have 0 skips, got 1"),
        (replaced(1, (0,)), r"links\[1\] must have 0 skips, got 1"),
        (replaced(2, (0, 1)), r"links\[2\] must have 3 skips, got 2"),
        (replaced(5, (0, 1, 2, 3, 4, 5)), r"links\[5\] must have 5 skips, got 6"),
        (replaced(3, (0, 2, 2, 4, 5)), r"links\[3\] must be ascending without repeats"),
        (replaced(3, (0, 2, 1, 4, 5)), r"links\[3\] must be ascending without repeats"),
        (
            replaced(2, (-1, 1, 2)),
            r"links\[2\] must lie in 0 \.\.\. 2 \(outputs of layers 0 \.\.\. 0\), got -1 \.\.\. 2",
        ),
        (
            replaced(4, (0, 1, 2, 3, 9)),
            r"links\[4\] must lie in 0 \.\.\. 8 \(outputs of layers 0 \.\.\. 2\), got 0 \.\.\. 9",
        ),
    ],
)
def test_links_that_do_not_fit_are_refused(links, message):
    with pytest.raises(InvalidValueError, match=message):
        check_links(CELL, links)


def test_the_message_names_the_place():
    with pytest.raises(InvalidValueError, match=r"^cells\[3\] must list 6 layers"):
        check_links(CELL, (), where="cells[3]")

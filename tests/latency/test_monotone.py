import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.latency import KINDS, Block, Latency, block, comparison, smoothed

widths = st.integers(1, 6)


@st.composite
def measured(draw):
    sizes = draw(st.lists(st.tuples(widths, widths), min_size=1, max_size=12, unique=True))
    found = {}
    for width, side in sizes:
        low, ms, high = sorted(draw(st.lists(st.floats(0.1, 10), min_size=3, max_size=3)))
        found[block("dense_second", 0, width, side)] = Latency(ms, low, high)
    return found


def is_smaller(one, other):
    return one != other and all(a <= b for a, b in zip(one.sizes[1:], other.sizes[1:], strict=True))


def pairs(blocks):
    return [(a, b) for a, b in itertools.permutations(blocks, 2) if is_smaller(a, b)]


@settings(deadline=None, max_examples=200)
@given(measured())
def test_latencies_grow_with_their_blocks_but_for_what_is_no_noise(known):
    found = smoothed(known)
    contrary = [(a, b) for a, b in pairs(known) if known[a].low_ms > known[b].high_ms]
    assert sorted(found.exceptions) == sorted(contrary)
    for a, b in pairs(known):
        between = any(
            (c == a or is_smaller(c, a)) and (d == b or is_smaller(b, d)) for c, d in contrary
        )  # a lies above the smaller and b below the larger one
        if not between:
            assert all(x <= y for x, y in zip(found.latencies[a], found.latencies[b], strict=True))
    for piece, latency in found.latencies.items():
        assert known[piece].low_ms <= latency.low_ms <= latency.ms <= latency.high_ms <= known[piece].high_ms


@settings(deadline=None, max_examples=100)
@given(measured())
def test_what_is_in_order_stays(known):
    once = smoothed(known).latencies
    again = smoothed(once).latencies
    for piece, latency in once.items():
        assert again[piece][1:] == latency[1:]
        if not smoothed(known).exceptions:
            assert again[piece].ms == pytest.approx(latency.ms)


@settings(deadline=None, max_examples=100)
@given(measured(), st.randoms(use_true_random=False))
def test_the_order_of_measuring_does_not_matter(known, random):
    shuffled = list(known.items())
    random.shuffle(shuffled)
    found, other = smoothed(known).latencies, smoothed(dict(shuffled)).latencies
    assert all(found[piece][1:] == other[piece][1:] for piece in known)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6))
def test_bounds_that_hold_the_truth_still_do(seed):
    """A truth that grows, seen with noise within bounds: tightened bounds hold it, and estimates come nearer to it."""
    generator = np.random.default_rng(seed)
    truth = {block("dense_second", 0, w, s): float(w * s) for w in range(1, 6) for s in (4, 5)}
    noise = {piece: float(generator.uniform(-0.15, 0.15)) for piece in truth}
    known = {
        p: Latency(ms * (1 + noise[p]), ms * (1 + noise[p] - 0.2), ms * (1 + noise[p] + 0.2)) for p, ms in truth.items()
    }
    found = smoothed(known)
    assert found.exceptions == ()
    assert all(found.latencies[piece].low_ms <= ms <= found.latencies[piece].high_ms for piece, ms in truth.items())


def test_the_smoothing_is_the_least_absolute_change():
    """By hand: of three in a row, of which the second is exact and the first too slow, the first moves alone."""
    first, second, third = (block("dense_second", 0, width, 8) for width in (1, 2, 3))
    known = {first: Latency(3.0, 1.0, 4.0), second: Latency(2.0, 1.9, 2.1), third: Latency(5.0, 4.0, 6.0)}
    found = smoothed(known)
    assert found.latencies[first] == pytest.approx((2.0, 1.0, 2.1))
    assert found.latencies[second] == pytest.approx((2.0, 1.9, 2.1))
    assert found.latencies[third] == pytest.approx((5.0, 4.0, 6.0))


def test_a_larger_block_that_really_is_faster_stays_so():
    """Five channels may take longer than eight; what lies between them says nothing of either."""
    five, six, eight, nine = (block("dense_second", 0, width, 8) for width in (5, 6, 8, 9))
    known = {five: Latency(4.0, 3.9, 4.1), six: Latency(3.5, 3.0, 4.2)}
    known |= {eight: Latency(2.0, 1.9, 2.1), nine: Latency(1.9, 1.8, 2.0)}
    found = smoothed(known)
    assert found.exceptions == ((five, eight), (five, nine), (six, eight), (six, nine))
    assert found.latencies[five] == known[five]
    assert found.latencies[six] == known[six]


def test_blocks_are_compared_by_what_makes_them_larger():
    assert comparison(block("inverted_residual", 16, 96, 24, 1, 1, 56))[0] == comparison(
        block("inverted_residual", 24, 96, 32, 1, 1, 28)
    )[0]  # fmt: skip
    for other in [(16, 96, 16, 1, 1, 56), (16, 96, 24, 0, 1, 56), (16, 96, 24, 1, 2, 56)]:  # adds, expands, stride
        assert comparison(block("inverted_residual", 16, 96, 24, 1, 1, 56))[0] != comparison(
            block("inverted_residual", *other)
        )[0]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_size_is_compared_or_must_be_equal(kind):
    count = len(KINDS[kind])
    alike, sizes = comparison(Block(kind, tuple(range(100, 100 + count))))
    assert sorted([*alike[2:], *sizes]) == list(range(100, 100 + count))
    assert sizes

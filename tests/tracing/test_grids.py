"""Grids are equal only where the numbers of positions are, whatever the size that they come from."""

from itertools import product

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from nnmass.tracing.grids import Grid, Grids

windows = st.builds(
    dict,
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2).map(lambda one_side: 2 * one_side),
    dilation=st.integers(1, 2),
)
WHOLE = Grid.fresh()


def sizes_after(steps):
    """Positions left of 1, 2, … by PyTorch's own convolution; None where a window does not fit."""
    found = []
    for size in range(1, 40):
        x = torch.empty(1, 1, size, device="meta")
        try:
            for step in steps:
                pad = step["padding"] // 2
                kernel = torch.empty(1, 1, step["kernel"], device="meta")
                x = F.conv1d(x, kernel, stride=step["stride"], padding=pad, dilation=step["dilation"])
            found.append(x.shape[-1])
        except RuntimeError:
            found.append(None)
    return found


def after(steps):
    grid = WHOLE
    for step in steps:
        grid = grid.windowed(**step)
    return grid


@settings(deadline=None)
@given(st.lists(windows, max_size=4), st.lists(windows, max_size=4))
def test_equal_grids_have_equal_sizes(one, other):
    if after(one) == after(other):
        pairs = zip(sizes_after(one), sizes_after(other), strict=True)
        assert all(a == b for a, b in pairs if a is not None and b is not None)


@settings(deadline=None)
@given(st.lists(windows, min_size=1, max_size=4))
def test_a_window_that_keeps_every_size_keeps_the_grid(steps):
    kept = [size for size in sizes_after(steps) if size is not None] == list(range(1, 40))
    if kept and all(step["stride"] == 1 for step in steps):
        assert after(steps) == WHOLE


def test_ceiling_is_a_grid_of_its_own():
    window = {"kernel": 2, "stride": 2, "padding": 0}
    assert WHOLE.windowed(**window, ceil=True) == WHOLE.windowed(kernel=3, stride=2, padding=2)
    assert WHOLE.windowed(**window, ceil=True) != WHOLE.windowed(**window)


def test_parts_are_joined_only_with_each_other():
    other = Grid.fresh()
    halves, thirds, others = WHOLE.split(2), WHOLE.split(3), other.split(2)
    for groups, within in product((halves[0], thirds[0], others[0]), (halves[1], thirds[1], others[1])):
        expected = {(*halves,): WHOLE, (*thirds,): WHOLE, (*others,): other}.get((groups, within))
        assert groups.joined(within) == expected
    assert halves[0] == WHOLE.windowed(kernel=2, stride=2, padding=0)


def test_what_was_united_is_found_as_one():
    grids, a, b, c = Grids(), Grid.fresh(), Grid.fresh(), Grid.fresh()
    grids.unite(a, b)
    grids.unite(c, b)
    assert len({grids.find(grid) for grid in (a, b, c)}) == 1
    assert grids.resolution([a, *WHOLE.split(2), b]) == (WHOLE, grids.find(a))


def test_a_pool_of_one_position_comes_from_it():
    pooled = WHOLE.windowed(kernel=3, stride=2, padding=2)
    assert pooled.comes_from(WHOLE)
    assert WHOLE.reduced().comes_from(WHOLE)
    assert not WHOLE.comes_from(pooled)
    assert not pooled.comes_from(Grid.fresh())

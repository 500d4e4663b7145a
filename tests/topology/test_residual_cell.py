import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnmass.errors import InvalidValueError
from nnmass.topology import ResidualCell

widths = st.lists(st.integers(1, 40), min_size=2, max_size=7).map(tuple)


def naive(cell):
    """The definition on the unrolled channels: possible and actual skips, and the mass."""
    nodes = [[(j, c) for c in range(width)] for j, width in enumerate(cell.widths)]
    possible = sum(len(nodes[j]) for i in range(2, len(nodes)) for j in range(i - 1))
    last = len(nodes) - 1
    actual = len(nodes[0]) if cell.shortcut and last >= 2 else 0
    return possible, actual, actual / possible * sum(map(len, nodes[:-1])) if possible else 0.0


@given(widths, st.booleans())
def test_counts_are_those_of_the_definition(given_widths, shortcut):
    cell = ResidualCell(given_widths, shortcut)
    possible, actual, mass = naive(cell)
    assert (cell.possible_skips, cell.num_skips) == (possible, actual)
    assert cell.nn_mass == pytest.approx(mass, rel=1e-12)
    if cell.depth > 1:
        assert cell.density == pytest.approx(actual / possible)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 500))
def test_blocks_have_the_published_masses(inputs, inner, outputs):
    assert ResidualCell((inputs, inner, outputs)).nn_mass == pytest.approx(inputs + inner)
    bottleneck = (inputs + 2 * inner) * inputs / (2 * inputs + inner)
    assert ResidualCell((inputs, inner, inner, outputs)).nn_mass == pytest.approx(bottleneck)


def test_a_block_of_one_layer_has_no_density():
    cell = ResidualCell((8, 8))
    assert (cell.num_skips, cell.nn_mass) == (0, 0.0)
    with pytest.raises(InvalidValueError, match="a density needs at least two layers, got 1"):
        _ = cell.density


@pytest.mark.parametrize(
    ("given_widths", "message"), [((8,), "at least two nodes"), ((8, 0), "widths must be at least 1")]
)
def test_impossible_cells_are_refused(given_widths, message):
    with pytest.raises(InvalidValueError, match=message):
        ResidualCell(given_widths)

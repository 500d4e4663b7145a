import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.errors import InvalidValueError
from nnmass.topology import (
    MIN_DENSITY_DEPTH,
    Cell,
    average_degree,
    cell_density,
    nn_mass,
    num_skips,
    possible_skips,
)

GRID = list(itertools.product((1, 2, 3, 8), range(1, 12), (0, 1, 2, 3, 7, 8, 9, 24, 1000)))
SMALL_GRID = list(itertools.product((1, 2, 5), (1, 2, 3, 4, 7), (0, 1, 4, 5, 6, 99)))
MEASURES = (num_skips, cell_density, nn_mass, average_degree)

widths = st.integers(1, 300)
depths = st.integers(1, 200)
deep = st.integers(MIN_DENSITY_DEPTH, 200)
skips = st.integers(0, 80_000)


def paper_skips(width: int, depth: int, max_skips: int) -> int:
    total = 0
    for layer in range(2, depth):
        candidates = [(earlier, k) for earlier in range(layer - 1) for k in range(width)]
        total += min(max_skips, len(candidates))
    return total


def paper_possible_skips(width: int, depth: int) -> int:
    return sum(width for layer in range(depth) for earlier in range(layer) if earlier <= layer - 2)


def paper_density(width: int, depth: int, max_skips: int) -> Fraction:
    return Fraction(paper_skips(width, depth, max_skips), paper_possible_skips(width, depth))


def neuron_graph(width: int, depth: int, max_skips: int) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    """Every link of the cell, as (source neuron, target neuron); which candidates are taken makes no difference."""
    links = set()
    for layer in range(1, depth):
        sources = [(layer - 1, k) for k in range(width)]
        sources += [(earlier, k) for earlier in range(layer - 1) for k in range(width)][:max_skips]
        links |= {(source, (layer, k)) for source in sources for k in range(width)}
    return links


@pytest.mark.parametrize(("width", "depth", "max_skips"), GRID)
def test_counts_and_mass_are_those_of_the_paper(width, depth, max_skips):
    assert num_skips(width, depth, max_skips) == paper_skips(width, depth, max_skips)
    assert possible_skips(width, depth) == paper_possible_skips(width, depth)
    if depth < MIN_DENSITY_DEPTH:
        assert nn_mass(width, depth, max_skips) == 0
    else:
        density = paper_density(width, depth, max_skips)
        assert cell_density(width, depth, max_skips) == pytest.approx(float(density), rel=1e-15, abs=0)
        assert nn_mass(width, depth, max_skips) == pytest.approx(float(width * depth * density), rel=1e-15, abs=0)


@pytest.mark.parametrize(("width", "depth", "max_skips"), SMALL_GRID)
def test_average_degree_is_links_per_node_of_the_neuron_graph(width, depth, max_skips):
    links = neuron_graph(width, depth, max_skips)
    assert average_degree(width, depth, max_skips) == pytest.approx(len(links) / (width * depth), rel=1e-15)


@pytest.mark.parametrize(
    ("cell", "skips", "mass"),
    [
        ((8, 16, 20), 264, 40.2286),
        ((8, 16, 10), 138, 21.0286),
        ((8, 16, 100), 824, 125.5619),
        ((8, 32, 10), 298, 20.5075),
    ],
)
def test_worked_values_of_the_design(cell, skips, mass):
    assert num_skips(*cell) == skips
    assert nn_mass(*cell) == pytest.approx(mass, abs=5e-5)


def test_worked_value_of_a_network_of_three_cells():
    masses = nn_mass(np.array([32, 64, 128]), 8, np.array([10, 20, 40]))
    assert masses.sum() == 160


def test_degree_tends_to_width_plus_half_the_mass():
    assert average_degree(8, 10_000, 20) == pytest.approx(8 + nn_mass(8, 10_000, 20) / 2, rel=1e-3)


@given(widths, deep, skips)
def test_density_lies_between_0_and_1(width, depth, max_skips):
    assert 0 <= cell_density(width, depth, max_skips) <= 1


@given(widths, deep, skips, skips)
def test_every_measure_grows_with_the_skips(width, depth, one, other):
    fewer, more = sorted((one, other))
    for measure in MEASURES:
        assert measure(width, depth, fewer) <= measure(width, depth, more)


@given(widths, deep, skips)
def test_skips_saturate_when_every_candidate_is_taken(width, depth, excess):
    full = width * (depth - 2)
    assert num_skips(width, depth, full + excess) == possible_skips(width, depth)
    assert cell_density(width, depth, full + excess) == 1
    assert num_skips(width, depth, full - 1) < possible_skips(width, depth)


@given(widths, st.lists(deep, min_size=1, max_size=4), st.lists(skips, min_size=1, max_size=4))
@settings(max_examples=50)
def test_arrays_broadcast_as_a_loop_over_numbers(width, some_depths, some_skips):
    depth, max_skips = np.array(some_depths)[:, None], np.array(some_skips, np.int32)
    for measure in MEASURES:
        expected = [[measure(width, d, t) for t in some_skips] for d in some_depths]
        result = measure(width, depth, max_skips)
        assert result.dtype == (np.int64 if measure is num_skips else np.float64)
        np.testing.assert_array_equal(result, expected)


@given(widths, deep, skips)
def test_numbers_give_plain_numbers(width, depth, max_skips):
    for measure in MEASURES:
        result = measure(width, np.int64(depth), max_skips)
        assert type(result) is (int if measure is num_skips else float)
    assert type(possible_skips(width, depth)) is int


@given(widths, depths, skips)
def test_cell_agrees_with_the_functions(width, depth, max_skips):
    cell = Cell(width, depth, max_skips)
    assert cell.num_skips == num_skips(width, depth, max_skips) == sum(cell.layer_skips)
    assert len(cell.layer_skips) == depth
    assert cell.nn_mass == nn_mass(width, depth, max_skips)
    assert cell.average_degree == average_degree(width, depth, max_skips)


def test_empty_arrays_give_empty_arrays():
    assert num_skips(np.array([], np.int64), 16, 20).shape == (0,)
    assert cell_density(8, np.array([], np.int64), 20).shape == (0,)


def test_largest_cell_does_not_overflow():
    assert num_skips(10**6, 10**6, 10**18) == 10**6 * (10**6 - 1) * (10**6 - 2) // 2
    assert cell_density(10**6, 10**6, 10**18) == 1


def test_small_integer_types_do_not_overflow():
    assert num_skips(np.int8(100), np.int8(100), np.int16(10_000)) == num_skips(100, 100, 10_000)


def test_layers_of_a_cell_of_small_integers_do_not_overflow():
    assert Cell(np.int8(100), np.int8(5), np.int16(1000)).layer_skips == (0, 0, 100, 200, 300)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((2.5, 16, 20), r"width must be a whole number of at least 1, got 2\.5"),
        ((8, 16.0, 20), r"depth must be a whole number of at least 1, got 16\.0"),
        ((8, 16, np.array([1.0, 2.0])), r"max_skips must be a whole number of at least 0, got array\(\[1\., 2\.\]\)"),
        ((8, True, 20), "depth must be a whole number of at least 1, got True"),
        ((8, 16, "20"), "max_skips must be a whole number of at least 0, got '20'"),
        ((None, 16, 20), "width must be a whole number of at least 1, got None"),
        ((8, 16, float("nan")), "max_skips must be a whole number of at least 0, got nan"),
        ((0, 16, 20), "width must be at least 1, got 0"),
        ((8, 0, 20), "depth must be at least 1, got 0"),
        ((8, 16, -1), "max_skips must be at least 0, got -1"),
        ((np.array([8, -3]), 16, 20), "width must be at least 1, got -3"),
        ((1_000_001, 16, 20), "width must be at most 1000000, got 1000001"),
        ((8, np.array([16, 2_000_000]), 20), "depth must be at most 1000000, got 2000000"),
        ((8, 16, 2**63), "max_skips must be at most 9223372036854775807, got 9223372036854775808"),
    ],
)
def test_values_out_of_range_are_refused(measure, values, message):
    with pytest.raises(InvalidValueError, match=f"^{message}$"):
        measure(*values)


def test_numbers_beyond_64_bits_are_called_too_large():
    with pytest.raises(
        InvalidValueError, match="max_skips must be at most 9223372036854775807, got 18446744073709551616"
    ):
        num_skips(8, 16, 2**64)


def test_cells_and_possible_skips_refuse_the_same_values():
    with pytest.raises(InvalidValueError, match=r"width must be a whole number of at least 1, got 2\.5"):
        Cell(2.5, 16, 20)
    with pytest.raises(InvalidValueError, match="max_skips must be at least 0, got -1"):
        Cell(8, 16, -1)
    with pytest.raises(InvalidValueError, match="depth must be at least 1, got 0"):
        possible_skips(8, 0)


@pytest.mark.parametrize(("depth", "shallowest"), [(1, 1), (2, 2), (np.array([16, 2]), 2)])
def test_density_needs_three_layers(depth, shallowest):
    with pytest.raises(InvalidValueError, match=f"depth must be at least 3 for a density, got {shallowest}"):
        cell_density(8, depth, 20)


def test_shallow_cell_has_mass_0_and_no_density():
    cell = Cell(8, 2, 20)
    assert cell.nn_mass == 0
    with pytest.raises(InvalidValueError, match="depth must be at least 3 for a density, got 2"):
        _ = cell.density

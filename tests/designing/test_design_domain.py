import itertools

import numpy as np
import pytest

from nnmass.architectures import DenseCNN
from nnmass.designing import Domain
from nnmass.designing.surroundings import levels_around, space_around
from nnmass.errors import InvalidValueError
from nnmass.topology import Cell


@pytest.mark.parametrize(
    ("depth", "lowest"), [(3, 3), (4, 3), (5, 3), (6, 3), (7, 4), (8, 4), (9, 5), (32, 16), (33, 17)]
)
def test_depths_go_down_to_half_rounded_up_but_at_least_3(depth, lowest):
    assert list(Domain().depth_choices(Cell(4, depth, 2))) == list(range(lowest, depth + 1))


def depths_around(reference: DenseCNN, domain: Domain) -> set[tuple[int, ...]]:
    """Depths of all cells of the specifications that may stand in for a reference."""
    levels = levels_around(reference, space_around(reference, domain), domain)
    chosen = [{tuple(map(int, choice)) for choice in level.choices} for level in levels]
    everything = {tuple(depth for _, depth, _ in path) for path in itertools.product(*chosen)}
    tied = len(set(reference.depths)) == 1
    return {depths for depths in everything if not tied or len(set(depths)) == 1}


def test_equal_depths_stay_equal_and_others_go_their_own_way():
    tied = DenseCNN(widths=(2, 3, 4), depth=5, max_skips=2)
    assert depths_around(tied, Domain()) == {(3, 3, 3), (4, 4, 4), (5, 5, 5)}
    assert space_around(tied, Domain()).equal_depths
    free = DenseCNN(widths=(2, 3), depth=(4, 5), max_skips=2)
    assert depths_around(free, Domain()) == {(3, 3), (3, 4), (3, 5), (4, 3), (4, 4), (4, 5)}


def test_a_minimal_depth_is_that_of_every_cell_that_reaches_it():
    reference = DenseCNN(widths=(2, 3), depth=(4, 9), max_skips=2)
    assert depths_around(reference, Domain(min_depth=8)) == {(4, 8), (4, 9)}


def test_cells_too_shallow_for_a_skip_stay_as_they_are():
    reference = DenseCNN(widths=(2, 3, 4), depth=(1, 2, 3), max_skips=2)
    assert depths_around(reference, Domain()) == {(1, 2, 3)}
    assert Domain().skip_choices(Cell(3, 2, 2), 2).tolist() == [0]


def test_density_is_capped_unless_the_reference_is_denser():
    domain = Domain(max_density=0.5, cell_tolerance=None)
    sparse, dense = Cell(2, 4, 1), Cell(2, 4, 4)  # 2 and 6 of 6 possible skips
    assert domain.density_cap(sparse) == 0.5
    assert domain.density_cap(dense) == 1
    # depth 4 with t = 0 ... 4: 0, 2, 4, 5, 6 skips of 6
    assert domain.skip_choices(sparse, 4).tolist() == [0, 1]
    assert domain.skip_choices(dense, 4).tolist() == [0, 1, 2, 3, 4]


def test_a_cells_mass_stays_within_its_tolerance_or_a_step():
    own = Cell(4, 10, 8)
    for tolerance in (0.0, 0.1, 0.4):
        choices = Domain(max_density=1, cell_tolerance=tolerance).skip_choices(own, 10)
        allowed = max(tolerance * own.nn_mass, Cell(4, 10, 1).nn_mass)
        expected = [t for t in range(33) if abs(Cell(4, 10, t).nn_mass - own.nn_mass) <= allowed + 1e-9]
        assert choices.tolist() == expected
        assert 8 in choices


def test_a_cell_without_skips_stays_without():
    assert Domain().skip_choices(Cell(4, 10, 0), 7).tolist() == [0]
    assert len(Domain(cell_tolerance=None, max_density=1).skip_choices(Cell(4, 10, 0), 7)) == 4 * 5 + 1


def test_choices_are_ascending_and_without_saturated_repeats():
    choices = Domain(max_density=1, cell_tolerance=None).skip_choices(Cell(3, 6, 1_000), 5)
    np.testing.assert_array_equal(choices, np.arange(3 * 3 + 1))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_density": 0}, r"max_density must lie in \(0, 1\], got 0"),
        ({"max_density": 1.1}, r"max_density must lie in \(0, 1\], got 1.1"),
        ({"max_density": float("nan")}, "max_density .* got nan"),
        ({"cell_tolerance": -0.1}, r"cell_tolerance must lie in \[0, 1\), got -0.1"),
        ({"cell_tolerance": 1}, r"cell_tolerance must lie in \[0, 1\), got 1"),
        ({"stage_tolerance": -0.1}, r"stage_tolerance must lie in \[0, 1\), got -0.1"),
        ({"min_depth": 2}, "min_depth must be at least 3, got 2"),
    ],
)
def test_bounds_out_of_range_are_refused(values, message):
    with pytest.raises(InvalidValueError, match=message):
        Domain(**values)

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.architectures import DenseCNN, DenseMLP, Specification
from nnmass.designing import Domain, compress
from nnmass.errors import InfeasibleError
from nnmass.topology import Cell

EPSILON = 1e-9

domains = st.builds(
    Domain,
    min_depth=st.none() | st.integers(3, 7),
    max_density=st.sampled_from([1.0, 0.8, 0.5, 0.2]),
    cell_tolerance=st.sampled_from([None, 0.5, 0.1, 0.0]),
)
tolerances = st.sampled_from([0.1, 0.02, 0.4, 0.0])
budget_shares = st.none() | st.sampled_from([1.0, 0.9, 0.8, 0.6])
objectives = st.sampled_from(["params", "macs"])

mlps = st.builds(
    DenseMLP,
    width=st.integers(1, 4),
    depth=st.integers(3, 9),
    max_skips=st.integers(1, 30),
    in_features=st.integers(1, 20),
    num_classes=st.integers(1, 12),
)


@st.composite
def cnns(draw, *, num_cells: int, widest: int) -> DenseCNN:
    return DenseCNN(
        widths=draw(st.tuples(*[st.integers(1, widest)] * num_cells)),
        depth=draw(st.integers(4, 6) | st.tuples(*[st.integers(2, 6)] * num_cells)),
        max_skips=draw(st.tuples(*[st.integers(0, 7)] * num_cells)),
        conv=draw(st.sampled_from(["regular", "separable"])),
        image_size=draw(st.integers(1, 9)),
        in_channels=draw(st.integers(1, 3)),
    )


def lowest_depth(cell: Cell, domain: Domain) -> int:
    low = domain.min_depth if domain.min_depth is not None else max(math.ceil(cell.depth / 2), 3)
    return min(low, cell.depth)


def depths_of(reference: Specification, domain: Domain) -> Iterator[tuple[int, ...]]:
    cells = reference.cells
    ranges = [range(lowest_depth(cell, domain), cell.depth + 1) for cell in cells]
    tied = len({cell.depth for cell in cells}) == 1
    return (d for d in itertools.product(*ranges) if not tied or len(set(d)) == 1)


def stands_in(cell: Cell, own: Cell, domain: Domain) -> bool:
    """Whether a cell may stand in for the reference's own."""
    if cell.depth < 3:
        return True
    cap = max(domain.max_density, own.density if own.depth >= 3 else 0)
    if cell.density > cap + EPSILON:
        return False
    one_step = Cell(cell.width, cell.depth, 1).nn_mass if own.num_skips else 0
    free = domain.cell_tolerance is None
    return free or abs(cell.nn_mass - own.nn_mass) <= max(domain.cell_tolerance * own.nn_mass, one_step) + EPSILON


class Weighed(NamedTuple):
    spec: Specification
    nn_mass: float
    params: int
    macs: int

    def rank(self, objective: str) -> tuple[int, int]:
        return (self.params, self.macs) if objective == "params" else (self.macs, self.params)


def weighed(spec: Specification) -> Weighed:
    return Weighed(spec, *spec.costs)


@cache
def members(reference: Specification, domain: Domain) -> list[Weighed]:
    """Every specification of the domain."""
    found = []
    for depths in depths_of(reference, domain):
        kept = [
            [t for t in range(own.width * max(d - 2, 0) + 1) if stands_in(Cell(own.width, d, t), own, domain)]
            for own, d in zip(reference.cells, depths, strict=True)
        ]
        for skips in itertools.product(*kept):
            changes = {"depth": depths, "max_skips": skips}
            if isinstance(reference, DenseMLP):
                changes = {"depth": depths[0], "max_skips": skips[0]}
            found.append(weighed(type(reference)(**reference.model_dump(exclude={"links"}) | changes)))
    return found


def check_against_brute_force(reference, domain, tolerance, objective, shares):
    budgets = {
        name: math.floor(share * getattr(reference, name)) or 1
        for name, share in zip(("params", "macs"), shares, strict=True)
        if share is not None
    }
    mass = reference.nn_mass
    if domain.cell_tolerance is not None:  # a cell may always move as far as the whole
        domain = replace(domain, cell_tolerance=max(domain.cell_tolerance, tolerance))
    everything = members(reference, domain)
    right = [one for one in everything if abs(one.nn_mass - mass) <= tolerance * mass + EPSILON]
    affordable = [one for one in right if all(getattr(one, name) <= limit for name, limit in budgets.items())]
    options = {f"max_{name}": limit for name, limit in budgets.items()}
    options |= {"objective": objective, "tolerance": tolerance, "domain": domain}
    if affordable:
        result = compress(reference, **options)
        assert weighed(result.spec) in affordable
        assert weighed(result.spec).rank(objective) == min(one.rank(objective) for one in affordable)
        assert result.certificate.space_size == len(everything)
        assert result.optimal
    else:
        cheapest = min(right, key=lambda one: one.rank(objective))
        named = f"the cheapest has {cheapest.params:,} params and {cheapest.macs:,} macs"
        with pytest.raises(InfeasibleError, match=named):
            compress(reference, **options)


@given(mlps, domains, tolerances, objectives, st.tuples(budget_shares, budget_shares))
@settings(max_examples=50, deadline=None)
def test_the_mlp_found_is_the_cheapest_of_all(reference, domain, tolerance, objective, shares):
    check_against_brute_force(reference, domain, tolerance, objective, shares)


@given(
    cnns(num_cells=2, widest=3).filter(lambda spec: spec.nn_mass > 0),
    domains,
    tolerances,
    objectives,
    st.tuples(budget_shares, budget_shares),
)
@settings(max_examples=50, deadline=None)
def test_the_two_cell_cnn_found_is_the_cheapest_of_all(reference, domain, tolerance, objective, shares):
    check_against_brute_force(reference, domain, tolerance, objective, shares)


@given(
    cnns(num_cells=3, widest=2).filter(lambda spec: spec.nn_mass > 0),
    domains,
    tolerances,
    objectives,
    st.tuples(budget_shares, budget_shares),
)
@settings(max_examples=30, deadline=None)
def test_the_three_cell_cnn_found_is_the_cheapest_of_all(reference, domain, tolerance, objective, shares):
    check_against_brute_force(reference, domain, tolerance, objective, shares)


@pytest.mark.parametrize("cell_tolerance", [None, 0.3])
@pytest.mark.parametrize("conv", ["regular", "separable"])
@pytest.mark.parametrize(
    ("widths", "depth", "max_skips"),
    [
        ((3, 4), 6, (3, 5)),
        ((4, 4), (7, 5), (4, 4)),
        ((3, 4), (5, 2), (3, 5)),
        ((2, 3, 2), 5, (2, 4, 3)),
        ((2, 1, 2), (5, 4, 6), (4, 1, 3)),
    ],
)
@pytest.mark.parametrize("shares", [(None, None), (0.9, None), (None, 0.9), (0.95, 0.85), (0.3, None)])
def test_chosen_cnns_are_compressed_to_the_cheapest_of_all(widths, depth, max_skips, conv, cell_tolerance, shares):
    reference = DenseCNN(widths=widths, depth=depth, max_skips=max_skips, conv=conv, image_size=8)
    domain = Domain(cell_tolerance=cell_tolerance)
    for objective in ("params", "macs"):
        check_against_brute_force(reference, domain, 0.05, objective, shares)


@given(mlps | cnns(num_cells=2, widest=3).filter(lambda spec: spec.nn_mass > 0), domains, objectives)
@settings(max_examples=50, deadline=None)
def test_the_reference_stands_in_for_itself(reference, domain, objective):
    result = compress(reference, domain=domain, objective=objective, tolerance=0.0)
    assert result.spec.nn_mass == pytest.approx(reference.nn_mass, rel=1e-12)
    assert weighed(result.spec).rank(objective) <= weighed(reference).rank(objective)

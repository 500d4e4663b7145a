"""The options of a DenseMLP space within limits, in closed form, against all of them."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnmass.designing import DenseMLPSpace, design
from nnmass.designing.problem import Limit, Problem
from nnmass.designing.solver import solve_problem

choices = st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True).map(tuple)
spaces = st.builds(
    DenseMLPSpace,
    width=choices,
    depth=st.lists(st.integers(2, 9), min_size=1, max_size=4, unique=True).map(tuple),
    max_skips=st.none() | st.lists(st.integers(0, 40), min_size=1, max_size=5).map(tuple),
    max_density=st.sampled_from([0.1, 0.5, 0.8, 1.0]),
    in_features=st.integers(1, 50),
)


@given(spaces, st.data())
@settings(max_examples=200, deadline=None)
def test_the_best_of_every_shape_is_kept(space, data):
    everything = space.levels()[0]
    assert space.size() == len(everything.quantities)
    if not space.size():
        return
    limits = []
    for column, sign in ((0, 1), (0, -1), (1, 1), (2, 1)):
        if data.draw(st.booleans()):
            bound = float(data.draw(st.sampled_from(everything.quantities[:, column].tolist())))
            limits.append(Limit(column, bound, sign))
    memory = data.draw(st.none() | st.integers(1, 4_000))
    everything = space.levels(max_activation_bytes=memory)[0]
    within = space.levels_within(limits, max_activation_bytes=memory)[0]
    problem = Problem((everything,), 0, 1, tuple(limits))
    fits = (problem.use(everything.quantities) <= problem.room).all(1)
    shapes = {tuple(shape) for shape in everything.choices[fits, :2].tolist()}
    assert {tuple(shape) for shape in within.choices[:, :2].tolist()} == shapes
    kept = {tuple(choice) for choice in within.choices.tolist()}
    assert kept <= {tuple(choice) for choice in everything.choices[fits].tolist()}
    for shape in shapes:
        own = everything.quantities[fits & (everything.choices[:, :2] == shape).all(1)]
        few = within.quantities[(within.choices[:, :2] == shape).all(1)]
        assert len(few) <= 2
        np.testing.assert_array_equal(few.max(0)[:3], own.max(0)[:3])
        np.testing.assert_array_equal(few.min(0)[:3], own.min(0)[:3])


@pytest.mark.parametrize(("column", "sign"), [(0, 1), (1, -1), (2, -1)])
def test_the_answer_is_that_of_all_options(column, sign):
    space = DenseMLPSpace(width=range(2, 12), depth=range(3, 20), in_features=20)
    limits = (Limit(1, 1500.0), Limit(0, 20.0, -1), Limit(0, 60.0, 1))
    both = [
        solve_problem(Problem(tuple(levels), column, sign, limits)).found
        for levels in (space.levels(), space.levels_within(limits))
    ]
    assert both[0].path.quantities[column] == both[1].path.quantities[column]


def test_millions_of_networks_cost_no_time():
    space = DenseMLPSpace(width=range(8, 257, 8), depth=range(8, 65))
    assert space.size() == 4_592_439
    start = time.process_time()
    found = design(space, max_macs=2e6, max_params=2e6, outside_domain=True, top=20)
    assert time.process_time() - start < 2
    assert found.optimal
    assert math.isclose(found.spec.nn_mass, 1855.56, abs_tol=0.01)

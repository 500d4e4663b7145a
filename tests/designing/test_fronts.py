import numpy as np
import pytest

from nnmass.designing import DenseCNNSpace, MobileNetV2Space, fronts, pareto_front
from nnmass.designing.fronts import mass_front
from nnmass.designing.problem import QUANTITIES, Limit
from nnmass.errors import DomainError, InfeasibleError, InvalidValueError


def expected_front(sums, column, limits):
    """(cost, mass) of what nothing at most as dear has the mass of, to rounding."""
    kept = np.ones(len(sums), bool)
    for limit in limits:
        kept &= sums[:, limit.quantity] <= limit.bound + 1e-9
    pairs = sorted({(row[column], -row[0]) for row in sums[kept].tolist()})
    front = []
    for cost, negative in pairs:
        if not front or -negative > front[-1][1] + 1e-9 * max(1, -negative):
            front.append((cost, -negative))
    return front


@pytest.mark.parametrize("cost", ["params", "macs", "latency_ms"])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_fronts_are_those_of_brute_force(small_space, paths_of, latency_of, cost, share):
    levels, column = small_space.levels(latency_of(small_space)), QUANTITIES.index(cost)
    sums = np.array([s for s, _ in paths_of(levels)])
    cap = Limit(column, float(np.quantile(sums[:, column], share)))
    paths, _ = mass_front(levels, cost, [cap])
    found = [(path.quantities[column], path.quantities[0]) for path in paths]
    np.testing.assert_allclose(found, expected_front(sums, column, [cap]), rtol=1e-9, atol=1e-9)


def test_slices_hold_the_other_limits(small_space, paths_of):
    levels = small_space.levels()
    sums = np.array([s for s, _ in paths_of(levels)])
    limits = [Limit(2, float(np.quantile(sums[:, 2], 0.8))), Limit(1, float(np.quantile(sums[:, 1], 0.5)))]
    paths, _ = mass_front(levels, "macs", limits)
    found = [(path.quantities[2], path.quantities[0]) for path in paths]
    np.testing.assert_allclose(found, expected_front(sums, 2, limits), rtol=1e-9, atol=1e-9)


def test_grid_and_partial_networks_agree(monkeypatch):
    space = DenseCNNSpace(widths=((8, 16), (8, 16, 24), (16, 24)), depth=tuple(range(4, 9)), equal_depths=False)
    levels = space.levels()
    by_grid, _ = mass_front(levels, "macs", [Limit(2, 2e7)])
    monkeypatch.setattr(fronts, "_CELLS", 0)
    otherwise, _ = mass_front(levels, "macs", [Limit(2, 2e7)])
    assert len(by_grid) > 100
    np.testing.assert_allclose([p.quantities[[0, 2]] for p in by_grid], [p.quantities[[0, 2]] for p in otherwise])


def test_a_front_is_of_specifications_with_those_costs():
    found = pareto_front(MobileNetV2Space(), max_macs=200e6)
    costs, masses = [c.spec.macs for c in found], [c.spec.nn_mass for c in found]
    assert costs == sorted(set(costs))
    assert masses == sorted(set(masses))
    assert costs[-1] <= 200e6


def test_a_limit_below_everything_leaves_nothing():
    with pytest.raises(InfeasibleError, match=r"has at most 1,000 MACs, feasible is at most [0-9,]+ MACs"):
        pareto_front(MobileNetV2Space(), max_macs=1000)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cost": "mass"}, InvalidValueError, "cost must be one of params, macs, latency_ms, got 'mass'"),
        ({"cost": "latency_ms"}, InvalidValueError, "milliseconds need a latency table"),
        ({"max_macs": -2}, InvalidValueError, "max_macs must be positive, got -2"),
    ],
)
def test_fronts_of_nothing_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        pareto_front(MobileNetV2Space(), **options)


def test_a_front_beyond_the_domain_needs_to_be_asked_for():
    space = DenseCNNSpace(depth=(4, 5))
    with pytest.raises(DomainError, match="depth 4: cells of fewer than 8 layers"):
        pareto_front(space, max_macs=1e8)
    assert pareto_front(space, max_macs=2e8, outside_domain=True)[0].outside


def test_a_front_too_large_to_hold_is_refused(monkeypatch):
    monkeypatch.setattr(fronts, "_PAIRS", 100)
    with pytest.raises(InvalidValueError, match="give a lower budget"):
        pareto_front(MobileNetV2Space(), max_macs=1e9)

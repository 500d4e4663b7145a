import json

import numpy as np
import pytest
from scipy import stats

from nnmass.errors import FitError
from nnmass.prediction import MEASURES, LogFit, Sample, rank_quantities

PARTIAL = (("nn_mass", ("macs",)), ("nn_mass", ("params", "macs")))


def sample(n=12, groups=None, seed=0, **changes):
    rng = np.random.default_rng(seed)
    macs = np.exp(rng.normal(size=n))
    values = {
        "quantities": {
            "nn_mass": macs * np.exp(rng.normal(size=n)),
            "params": macs * np.exp(rng.normal(0, 0.5, n)),
            "macs": macs,
        },
        "outcome": np.log(macs) + rng.normal(0, 0.3, n),
        "groups": groups or ["only"] * n,
        "units": range(n),
    }
    return Sample(**(values | changes))


def test_every_quantity_is_measured_in_three_ways():
    one = sample()
    found = rank_quantities(one, resamples=50)
    assert (found.n, found.units, found.groups) == (12, 12, 1)
    assert tuple(found.measures) == MEASURES == ("spearman", "kendall", "r2")
    for quantity, values in one.quantities.items():
        assert found.measures["spearman"][quantity].value == pytest.approx(stats.spearmanr(values, one.outcome)[0])
        assert found.measures["kendall"][quantity].value == pytest.approx(stats.kendalltau(values, one.outcome)[0])
        assert found.measures["r2"][quantity].value == pytest.approx(LogFit.fit(values, one.outcome).r2)


def test_intervals_are_those_of_scipy_from_the_same_draws():
    one = sample()
    found = rank_quantities(one, seed=3, resamples=400)

    def lead(mass, macs, outcome):
        return stats.spearmanr(mass, outcome)[0] - stats.spearmanr(macs, outcome)[0]

    theirs = stats.bootstrap(
        (one.quantities["nn_mass"], one.quantities["macs"], one.outcome),
        lead,
        paired=True,
        vectorized=False,
        n_resamples=400,
        method="percentile",
        rng=np.random.default_rng(3),
    )
    assert found.leads["spearman"]["macs"].interval == pytest.approx(tuple(theirs.confidence_interval))
    assert found.leads["spearman"]["macs"].value == pytest.approx(
        found.measures["spearman"]["nn_mass"].value - found.measures["spearman"]["macs"].value
    )


def test_leads_are_those_of_the_first_quantity_over_each_other():
    found = rank_quantities(sample(), resamples=50)
    assert {measure: tuple(leads) for measure, leads in found.leads.items()} == dict.fromkeys(
        MEASURES, ("params", "macs")
    )


def test_a_quantity_that_adds_nothing_has_a_partial_correlation_around_zero():
    rng = np.random.default_rng(2)
    macs, noise = np.exp(rng.normal(size=(2, 200)))
    quantities = {"nn_mass": macs * noise, "macs": macs}
    big = Sample(quantities, np.log(macs) + rng.normal(0, 0.3, 200), ["g"] * 200, range(200))
    found = rank_quantities(big, partial=[("nn_mass", ("macs",)), ("macs", ("nn_mass",))], resamples=300)
    for kind in ("rank", "linear"):
        low, high = found.partial[kind]["nn_mass given macs"].interval
        assert low < 0 < high
        assert found.partial[kind]["macs given nn_mass"].interval[0] > 0.5


def test_partial_correlations_take_several_quantities_as_given():
    found = rank_quantities(sample(), partial=PARTIAL, resamples=100)
    assert list(found.partial["rank"]) == ["nn_mass given macs", "nn_mass given params, macs"]
    assert set(found.partial) == {"rank", "linear"}


def test_what_is_given_may_leave_nothing():
    one = sample()
    alike = Sample(one.quantities | {"macs": one.quantities["nn_mass"] ** 2}, one.outcome, one.groups, one.units)
    found = rank_quantities(alike, partial=PARTIAL[:1], resamples=50)
    assert found.partial == {"rank": {"nn_mass given macs": None}, "linear": {"nn_mass given macs": None}}


def test_units_are_resampled_together():
    one = sample(groups=["a"] * 6 + ["b"] * 6)
    together = Sample(one.quantities, one.outcome, one.groups, [*range(6), *range(6)])
    apart, joined = (rank_quantities(s, resamples=500) for s in (one, together))
    assert (apart.units, joined.units) == (12, 6)
    for quantity in one.quantities:
        assert apart.measures["r2"][quantity].value == joined.measures["r2"][quantity].value
        assert apart.measures["r2"][quantity].interval != joined.measures["r2"][quantity].interval


def test_a_ranking_depends_on_the_seed_alone():
    first, again, other = (rank_quantities(sample(), seed=seed, resamples=60) for seed in (1, 1, 2))
    assert first == again
    assert first.measures != other.measures


def test_plain_values_are_json():
    found = rank_quantities(sample(), partial=PARTIAL, resamples=60)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["measures"]["kendall"]["params"]["value"] == found.measures["kendall"]["params"].value
    assert values["leads"]["r2"]["macs"]["interval_95"] == list(found.leads["r2"]["macs"].interval)
    assert values["partial"]["rank"]["nn_mass given macs"]["value"] == found.partial["rank"]["nn_mass given macs"].value


def quantities(**changes):
    return {name: np.array([1.0, 2, 3, 4]) for name in ("nn_mass", "macs")} | changes


@pytest.mark.parametrize(
    ("values", "outcome", "groups", "units", "message"),
    [
        (quantities(), [], [], [], "needs networks, got none"),
        (quantities(), [1, 2, 3], "aaaa", range(4), r"one outcome per network, got shape \(3,\) for 4"),
        (quantities(macs=np.ones((4, 1))), [1, 2, 3, 4], "aaaa", range(4), r"one macs per network, got shape \(4, 1\)"),
        (quantities(), [1, 2, 3, 4], "aaaa", range(3), "one unit per network, got 3 for 4"),
        (quantities(), [1, 2, 3, np.nan], "aaaa", range(4), "NaN or infinity in outcome"),
        (quantities(macs=np.array([1, np.inf, 2, 3])), [1, 2, 3, 4], "aaaa", range(4), "NaN or infinity in macs"),
        (quantities(nn_mass=np.array([0.0, 1, 2, 3])), [1, 2, 3, 4], "aaaa", range(4), "nn_mass must be positive .* 0"),
        (quantities(nn_mass=np.full(4, 7.0)), [1, 2, 3, 4], "aaaa", range(4), "have the same nn_mass: there is"),
        (quantities(), [5, 5, 5, 5], "aaaa", range(4), "have the same outcome: there is"),
        (quantities(), [1, 2, 3, 4], "aaab", range(4), "group a has 3 networks, and a ranking needs at least 4"),
    ],
)
def test_what_cannot_be_ranked_is_refused(values, outcome, groups, units, message):
    with pytest.raises(FitError, match=message):
        Sample(values, np.array(outcome, float), groups, units)

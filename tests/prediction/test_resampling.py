import numpy as np
import pytest
from scipy import stats

from nnmass.errors import FitError
from nnmass.prediction import Estimate, resample_counts

VALUES = np.array([3.0, 1, 4, 1, 5, 9, 2, 6])


def means(counts):
    return (counts * VALUES).sum(1) / counts.sum(1)


def test_the_interval_is_that_of_scipy_from_the_same_draws():
    found = Estimate.of(means(resample_counts(range(8), resamples=999, seed=5)))
    theirs = stats.bootstrap(
        (VALUES,), np.mean, n_resamples=999, method="percentile", rng=np.random.default_rng(5), vectorized=True
    )
    assert found.value == pytest.approx(VALUES.mean())
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval))


def test_counts_are_those_of_drawing_with_replacement():
    counts = resample_counts("abcd", resamples=50, seed=1)
    picks = np.random.default_rng(1).integers(4, size=(50, 4))
    assert counts[0].tolist() == [1, 1, 1, 1]
    assert counts[1:].tolist() == [[(pick == i).sum() for i in range(4)] for pick in picks]


def test_elements_of_one_unit_are_drawn_together():
    counts = resample_counts(["x", "y", "x", "z", "y"], resamples=50, seed=0)
    assert (counts[:, 0] == counts[:, 2]).all()
    assert (counts[:, 1] == counts[:, 4]).all()
    assert (counts[:, [0, 1, 3]].sum(1) == 3).all()


def test_draws_depend_on_the_seed_alone():
    first, again, other = (resample_counts(range(9), resamples=20, seed=seed) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_resamples_in_which_it_is_not_defined_are_left_out():
    assert Estimate.of(np.array([7.0, np.nan, 1, 1, np.nan])).interval == (1, 1)


@pytest.mark.parametrize("values", [[np.nan, 1, 2], [1, np.nan, np.nan, 2]])
def test_what_is_mostly_not_defined_is_an_error(values):
    with pytest.raises(FitError, match=r"^tau is not defined in this sample or in most of its resamples: too few"):
        Estimate.of(np.array(values), name="tau")
